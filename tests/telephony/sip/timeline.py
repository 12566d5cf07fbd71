"""Who was on the far end's line, and when, by SIPp's own record of what went to and fro."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from tests.telephony.sip.far_end import FarEnd

_MESSAGE = re.compile(
    r"-{20,} (\S+ \S+)\n\S+ message (?:sent|received)[^\n]*\n\n(.*?)\n.*?Call-ID: (\S+).*?CSeq: \d+ (\w+)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Message:
    """`at` is of the epoch, `first` its first line, `method` that of the request, or of what is answered."""

    at: float
    first: str
    call_id: str
    method: str


def messages(far_end: FarEnd) -> Iterator[Message]:
    """All of them, in order, retransmissions included."""
    for when, first, call_id, method in _MESSAGE.findall(far_end.messages()):
        yield Message(datetime.fromisoformat(when).timestamp(), first.rstrip("\r"), call_id, method)


@dataclass(slots=True)
class Talk:
    """From the answer to the BYE, in seconds of the epoch; `ended` is None while there was none."""

    answered: float
    ended: float | None = None


def talks(far_end: FarEnd) -> dict[str, Talk]:
    """Of each call that was answered, by Call-ID."""
    found: dict[str, Talk] = {}
    for one in messages(far_end):
        if one.first.startswith("SIP/2.0 200") and one.method == "INVITE":
            found.setdefault(one.call_id, Talk(one.at))
        elif one.first.startswith("BYE") and one.call_id in found and found[one.call_id].ended is None:
            found[one.call_id].ended = one.at
    return found


def most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    """The most of these stretches of time, from a beginning to an end, that had a moment in common."""
    changes = sorted(change for begin, end in spans for change in ((begin, 1), (end, -1)))
    most = now = 0
    for _, step in changes:
        now += step
        most = max(most, now)
    return most


def most_talking(far_end: FarEnd) -> int:
    """The most calls that were answered and not yet ended at the same time."""
    return most_at_once((one.answered, one.ended or one.answered) for one in talks(far_end).values())
