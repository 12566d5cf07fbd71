"""Read from SIPp's log of SIP messages which calls were in progress at the far end, and when."""

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
class SipMessage:
    """A SIP message: time (epoch seconds), first line, Call-ID, and the method of the request or of the one it answers."""

    at: float
    first: str
    call_id: str
    method: str


def messages(far_end: FarEnd) -> Iterator[SipMessage]:
    """Yield all messages in order, retransmissions included."""
    for when, first, call_id, method in _MESSAGE.findall(far_end.messages()):
        yield SipMessage(datetime.fromisoformat(when).timestamp(), first.rstrip("\r"), call_id, method)


@dataclass(slots=True)
class AnsweredCall:
    """The times of pickup and BYE (epoch seconds). `ended` is None if there was no BYE yet."""

    answered: float
    ended: float | None = None


def answered_calls(far_end: FarEnd) -> dict[str, AnsweredCall]:
    """Return the answered calls by Call-ID."""
    found: dict[str, AnsweredCall] = {}
    for one in messages(far_end):
        if one.first.startswith("SIP/2.0 200") and one.method == "INVITE":
            found.setdefault(one.call_id, AnsweredCall(one.at))
        elif one.first.startswith("BYE") and one.call_id in found and found[one.call_id].ended is None:
            found[one.call_id].ended = one.at
    return found


def max_concurrent(spans: Iterable[tuple[float, float]]) -> int:
    """Return the largest number of these (begin, end) spans that overlap at one moment."""
    changes = sorted(change for begin, end in spans for change in ((begin, 1), (end, -1)))
    most = now = 0
    for _, step in changes:
        now += step
        most = max(most, now)
    return most


def max_answered_calls(far_end: FarEnd) -> int:
    """Return the largest number of answered calls in progress at the same time."""
    return max_concurrent(
        (one.answered, one.ended or one.answered) for one in answered_calls(far_end).values()
    )
