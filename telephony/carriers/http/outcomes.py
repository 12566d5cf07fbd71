"""The meanings of carriers' error codes. Each adapter has a table from its codes to these verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from telephony.carriers.refusals import Meaning
from telephony.models import Cause


class Verdict(Enum):
    """The subject of a refusal, such as the trunk or the recipient, and the consequence for the delivery.

    The values are printed in docs/http-carriers.md.
    """

    INVALID = "failed: invalid number"
    REFUSED = "failed: refused"
    OPTED_OUT = "failed: opted out"
    EXPIRED = "failed: expired"
    DOUBTFUL = "failed: refused; after ten in a row the trunk rests"
    BUSY = "queued again"
    TOO_FAST = "queued again; the trunk rests"
    TRUNK = "queued again; after three recipients in a row the trunk is paused"
    MISCONFIGURED = "queued again; the trunk is paused"
    OUT_OF_FUNDS = "queued again; the trunk is paused until it is topped up"
    UNKNOWN = "unknown: never sent again blindly"


# The cause with which a delivery fails, and whom the refusal is about. Other verdicts do not end a delivery.
FAILURES: Mapping[Verdict, tuple[Cause, Meaning]] = {
    Verdict.INVALID: (Cause.INVALID, Meaning.RECIPIENT),
    Verdict.REFUSED: (Cause.REFUSED, Meaning.RECIPIENT),
    Verdict.OPTED_OUT: (Cause.OPTED_OUT, Meaning.RECIPIENT),
    Verdict.EXPIRED: (Cause.EXPIRED, Meaning.RECIPIENT),
    Verdict.DOUBTFUL: (Cause.REFUSED, Meaning.DOUBTFUL),
    Verdict.TRUNK: (Cause.REFUSED, Meaning.TRUNK),
}


@dataclass(frozen=True, slots=True)
class Code:
    """One line of an adapter's table: the name of the code in the carrier's documentation, and the verdict."""

    name: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Refusal:
    """The carrier refused one submission. `text` has the carrier's words and the code; `code` tells refusals apart.

    If it is `about_sender`, all refusals of one approved sender count as one: a wrong sender must not stop the trunk.
    """

    verdict: Verdict
    text: str = field(repr=False)
    code: str = ""
    retry_after: float | None = None
    about_sender: bool = False


def status_codes(status: int) -> Verdict:
    """Return the verdict for a response whose body the adapter does not understand.

    A server that does not process a request answers with one of these statuses (RFC 9110, 15.4 and 15.5): the address or
    the login is wrong, it does not know the method or the format, or a firewall in front of it rejects this text. It
    may have accepted a request that it answers with any other status.
    """
    if status in (301, 307, 308) or status in (
        401,
        403,
        404,
        405,
        406,
        407,
        410,
        411,
        414,
        415,
        421,
        426,
        431,
        451,
    ):
        return Verdict.TRUNK
    if status == 425:
        return Verdict.BUSY
    if status in (400, 402, 413, 416, 417, 422):
        return Verdict.DOUBTFUL
    return Verdict.UNKNOWN
