"""Decide whether a carrier's refusal concerns one recipient or the whole trunk.

Most codes can mean either, whatever their names say. An SMSC may refuse a sender ID for one network only, or for all of
them, with the same code. A SIP trunk whose account is empty refuses each call as if its number were forbidden. So one
refusal never stops a trunk. Refusals are evidence against the trunk only if several different recipients in a row were
refused and the trunk accepted nothing in between.
"""

from __future__ import annotations

import math
from enum import Enum

MAX_REST_SECONDS = 60.0  # the first rest takes 1 s; each further rest takes twice as long, up to this maximum
# If all numbers of a campaign are invalid, iris sees the same responses as from a broken trunk, but the campaign must end.
# So iris blames such refusals on the trunk for at most this long. After that it believes them.
MAX_DOUBT_SECONDS = 12 * 3600.0
DOUBT_RESET_SECONDS = 3600.0  # after this long without a refusal, MAX_DOUBT_SECONDS starts again


class Meaning(Enum):
    """The subject of a carrier's response, such as a recipient or the trunk.

    The values are printed in the tables of docs/smpp.md and docs/sip.md.
    """

    TAKEN = "accepted"
    TOO_FAST = "a temporary error: too fast"
    BUSY = "a temporary error"
    RECIPIENT = "this recipient"
    DOUBTFUL = "this recipient or the trunk"
    TRUNK = "the trunk"
    UNKNOWN = "unknown"


# Number of different recipients in a row that must get such a response before it counts against the trunk. RECIPIENT
# responses count only if all have the same code.
MAX_REFUSALS_IN_A_ROW = {
    Meaning.TRUNK: 3,
    Meaning.DOUBTFUL: 10,
    Meaning.BUSY: 20,
    Meaning.RECIPIENT: 30,
}


class RefusalsInARow:
    """Counts the different recipients refused since the trunk last accepted anything. Times are monotonic seconds.

    The count is kept in memory only, because it only decides when the trunk rests.
    """

    def __init__(self) -> None:
        self._kind: object = None
        self._recipients: set[str] = set()
        self._refused_for_trunk: set[str] = set()  # the subset refused with Meaning.TRUNK
        self._began_at = -math.inf  # when the first refused call or SMS was sent
        self._refused_at = -math.inf
        self._doubted_since = -math.inf

    def __len__(self) -> int:
        """Return the number of refused recipients, capped at the largest limit."""
        return len(self._recipients)

    def count(self, *, recipient: str, meaning: Meaning, code: object, sent_at: float, now: float) -> bool:
        """Count the refusal of a call or SMS sent at `sent_at`. Return whether refusals now count against the trunk."""
        kind = (meaning, code) if meaning is Meaning.RECIPIENT else None
        if not self._recipients or kind != self._kind:
            self._begin(kind, sent_at=sent_at, now=now)
        elif now - self._refused_at > DOUBT_RESET_SECONDS:
            self._doubted_since = now
        self._refused_at = now
        if len(self._recipients) < MAX_REFUSALS_IN_A_ROW[Meaning.RECIPIENT]:
            self._recipients.add(recipient)
            if meaning is Meaning.TRUNK:
                self._refused_for_trunk.add(recipient)
        if (
            meaning in (Meaning.DOUBTFUL, Meaning.RECIPIENT)
            and now - self._doubted_since >= MAX_DOUBT_SECONDS
        ):
            return False
        return self._reaches_limit(meaning)

    def end(self, *, sent_at: float) -> None:
        """Reset the count because the trunk accepted something sent at `sent_at`.

        Something sent before the first refusal proves nothing about the trunk since, so it is ignored.
        """
        if sent_at > self._began_at:
            self._recipients.clear()

    def _begin(self, kind: object, *, sent_at: float, now: float) -> None:
        self._kind = kind
        self._recipients.clear()
        self._refused_for_trunk.clear()
        self._began_at, self._doubted_since = sent_at, now

    def _reaches_limit(self, meaning: Meaning) -> bool:
        if meaning is Meaning.TRUNK and len(self._refused_for_trunk) >= MAX_REFUSALS_IN_A_ROW[meaning]:
            return True
        if meaning is Meaning.TRUNK:
            meaning = Meaning.DOUBTFUL
        return len(self._recipients) >= MAX_REFUSALS_IN_A_ROW[meaning]


class Rest:
    """Backoff after a failure of the trunk; each rest takes twice as long as the previous rest. Times are monotonic seconds.

    A `Rest` is true until the trunk is known to work again. After a rest the caller tries the trunk with one call or SMS at
    a time, so an outage of a night fails only a few recipients.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._seconds = 0.0
        self._began_at = -math.inf
        self._until = -math.inf

    def __bool__(self) -> bool:
        return self._seconds > 0

    def begin(self, reason: str, *, now: float, min_seconds: float = 0.0) -> None:
        """Begin a rest of at least `min_seconds`, for which the carrier has asked.

        Failures during a rest change nothing, because they were sent before it began, except that `min_seconds` may end
        later.
        """
        if now < self._until:
            self._until = max(self._until, now + min_seconds)
            return
        self._seconds = min(max(1.0, 2 * self._seconds), MAX_REST_SECONDS)
        self._began_at, self._until, self.reason = now, now + max(self._seconds, min_seconds), reason

    def end(self, *, sent_at: float) -> None:
        """End the backoff because a call or SMS sent at `sent_at` shows that the trunk works."""
        if sent_at > self._began_at:
            self._seconds, self._until = 0.0, -math.inf

    def seconds_left(self, *, now: float) -> float:
        """Return the seconds until the trunk may be tried."""
        return max(0.0, self._until - now)
