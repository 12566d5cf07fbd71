"""Whom a carrier's answer is about: one recipient, or the whole trunk.

Most codes can mean either, whatever their names say: an SMSC that knows a sender's name for one network only, and a trunk
whose account is empty, refuse a single recipient with the very same words. So one refusal never stops a trunk. A refusal
is evidence about the trunk only when several different recipients in a row were refused, and nothing came any
further in between.
"""

from __future__ import annotations

import math
from enum import Enum

LONGEST_REST_SECONDS = 60.0  # the first rest is a second, each next one twice as long
WHILE_SECONDS = 3600.0  # without a refusal, after which a row of refusals is doubted anew
# A list whose numbers are all refused looks like a trunk in trouble, and must come to its end all the same. So a trunk
# that refuses everybody is believed after so long.
DOUBTED_SECONDS = 12 * 3600.0


class Meaning(Enum):
    """What an answer says about what to do next. The words stand in the tables of docs/smpp.md and docs/sip.md."""

    TAKEN = "taken"
    TOO_FAST = "later, and more slowly"
    BUSY = "later"
    RECIPIENT = "this recipient"
    DOUBTFUL = "this recipient or the trunk"
    TRUNK = "the trunk"
    UNKNOWN = "unknown"


# So many different recipients in a row must get such an answer before it counts against the trunk. Answers about the
# recipient count only while all are the same.
MAX_REFUSALS_IN_A_ROW = {
    Meaning.TRUNK: 3,
    Meaning.DOUBTFUL: 10,
    Meaning.BUSY: 20,
    Meaning.RECIPIENT: 30,
}


class RefusalsInARow:
    """Counts the recipients that were refused since the trunk took anything. All times are monotonic seconds.

    The count is rebuilt after a restart: nothing depends on it but when the trunk rests.
    """

    def __init__(self) -> None:
        self._kind: object = None
        self._recipients: set[str] = set()
        self._told_of_trunk: set[str] = set()  # those of them that were refused with Meaning.TRUNK
        self._began_at = -math.inf  # when the first of them was sent
        self._refused_at = -math.inf
        self._doubted_since = -math.inf

    def __len__(self) -> int:
        """How many recipients, up to the greatest number that matters."""
        return len(self._recipients)

    def count(self, *, recipient: str, meaning: Meaning, code: object, sent_at: float, now: float) -> bool:
        """Count the refusal of a call or SMS that was sent at `sent_at`; whether it is the trunk's trouble."""
        kind = (meaning, code) if meaning is Meaning.RECIPIENT else None
        if not self._recipients or kind != self._kind:
            self._begin(kind, sent_at=sent_at, now=now)
        elif now - self._refused_at > WHILE_SECONDS:
            self._doubted_since = now
        self._refused_at = now
        if len(self._recipients) < MAX_REFUSALS_IN_A_ROW[Meaning.RECIPIENT]:
            self._recipients.add(recipient)
            if meaning is Meaning.TRUNK:
                self._told_of_trunk.add(recipient)
        if meaning in (Meaning.DOUBTFUL, Meaning.RECIPIENT) and now - self._doubted_since >= DOUBTED_SECONDS:
            return False
        return self._is_reached(meaning)

    def end(self, *, sent_at: float) -> None:
        """Something that was sent at `sent_at` was taken. If it was sent before the first refusal, it tells nothing new."""
        if sent_at > self._began_at:
            self._recipients.clear()

    def _begin(self, kind: object, *, sent_at: float, now: float) -> None:
        self._kind = kind
        self._recipients.clear()
        self._told_of_trunk.clear()
        self._began_at, self._doubted_since = sent_at, now

    def _is_reached(self, meaning: Meaning) -> bool:
        if meaning is Meaning.TRUNK and len(self._told_of_trunk) >= MAX_REFUSALS_IN_A_ROW[meaning]:
            return True
        if meaning is Meaning.TRUNK:
            meaning = Meaning.DOUBTFUL
        return len(self._recipients) >= MAX_REFUSALS_IN_A_ROW[meaning]


class Rest:
    """A pause after trouble of the trunk, each twice as long as the one before; true until the trunk is known to work.

    After a pause the trunk is on trial, with one call or SMS at a time. So a night without a trunk costs a few
    recipients their call, and not all of them. All times are monotonic seconds.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._seconds = 0.0
        self._began_at = -math.inf
        self._until = -math.inf

    def __bool__(self) -> bool:
        return self._seconds > 0

    def begin(self, reason: str, *, now: float) -> None:
        """Begin a pause. What fails during one was sent before it, and tells nothing new."""
        if now < self._until:
            return
        self._seconds = min(max(1.0, 2 * self._seconds), LONGEST_REST_SECONDS)
        self._began_at, self._until, self.reason = now, now + self._seconds, reason

    def end(self, *, sent_at: float) -> None:
        """Something that was sent at `sent_at` shows that the trunk works."""
        if sent_at > self._began_at:
            self._seconds, self._until = 0.0, -math.inf

    def left(self, *, now: float) -> float:
        """Seconds until the trunk may be tried."""
        return max(0.0, self._until - now)
