"""SMS that the SMSC cannot take at the moment: when each is tried again, and how often."""

from __future__ import annotations

import time
from dataclasses import dataclass

from telephony.carriers.smpp import protocol

BUSY_SECONDS = 5.0  # after which what the SMSC could not take is tried again
MOST_ATTEMPTS = 5  # at what the SMSC says is a trouble of its own, while it takes others
LONGEST = 3600.0  # seconds in which one is tried, though no other is taken either
# A queue that is full is the SMSC's, or that of a phone which is off: 0, 5, 10, 20 … seconds, some 25 minutes altogether.
MOST_ATTEMPTS_AT_FULL = 12
LONGEST_PAUSE = 300.0
# At what comes too fast, while the SMSC takes so many others for each that it does not: then it is not the pace.
TAKEN_FOR_EACH = 10
LONGEST_THROTTLED = (
    24 * 3600.0
)  # seconds in which one is tried that comes too fast, though no other is taken either
MOST = 10_000  # SMS whose attempts are counted, the latest


@dataclass(slots=True)
class Trouble:
    """`since` is monotonic; `taken` and `throttled` are how many had been when it was named last."""

    since: float
    times: int = 0
    taken: int = 0
    throttled: int = 0
    throttled_times: int = 0
    status: int | None = None


class Troubles:
    """The attempts of a delivery are no measure, since it is also claimed again when the trunk rests or has to wait."""

    def __init__(self) -> None:
        self._by_key: dict[str, Trouble] = {}
        self._taken = 0
        self._throttled = 0

    def took(self, count: int) -> None:
        """The SMSC took so many PDUs."""
        self._taken += count

    def busy(self, key: str) -> float | None:
        """The SMSC named a passing trouble: seconds until the next attempt at this SMS, None when there should be none.

        While it takes no others, the trouble is none of this SMS.
        """
        trouble = self._of(key)
        if not trouble.times or self._taken > trouble.taken:
            trouble.times += 1
        trouble.taken = self._taken
        ends = trouble.times >= MOST_ATTEMPTS or time.monotonic() - trouble.since > LONGEST
        return None if ends else BUSY_SECONDS

    def full(self, key: str) -> float | None:
        """A queue was full: seconds until the next attempt at this SMS, None when there should be none."""
        trouble = self._of(key)
        trouble.times += 1
        trouble.status = protocol.QUEUE_FULL
        return _growing(trouble.times)

    def throttled(self, key: str) -> float | None:
        """It came too fast: seconds until the next attempt at this SMS, None when there should be none.

        Where the SMSC takes many others and throttles few, again and again, it means this SMS and not the pace.
        """
        trouble = self._of(key)
        others = self._throttled - trouble.throttled
        is_first = not trouble.throttled_times
        is_known = trouble.status == protocol.THROTTLED
        if is_first or is_known or self._taken - trouble.taken > TAKEN_FOR_EACH * others:
            trouble.throttled_times += 1
        self._throttled += 1
        trouble.taken, trouble.throttled = self._taken, self._throttled
        if trouble.throttled_times > 2:
            trouble.status = protocol.THROTTLED
        ends = time.monotonic() - trouble.since > LONGEST_THROTTLED
        return None if ends else _growing(trouble.throttled_times)

    def own_complaint(self, key: str) -> int | None:
        """The status that means "too fast", but, as is known from before, not for this SMS."""
        trouble = self._by_key.get(key)
        return trouble.status if trouble else None

    def forget(self, key: str) -> None:
        """It was taken, or refused."""
        self._by_key.pop(key, None)

    def _of(self, key: str) -> Trouble:
        trouble = self._by_key.pop(key, None) or Trouble(since=time.monotonic())
        self._by_key[key] = trouble
        if len(self._by_key) > MOST:
            del self._by_key[next(iter(self._by_key))]
        return trouble


def _growing(times: int) -> float | None:
    """Seconds after so many attempts: none after the first, which any SMS may need; None when there were enough."""
    if times >= MOST_ATTEMPTS_AT_FULL:
        return None
    return 0.0 if times == 1 else min(LONGEST_PAUSE, BUSY_SECONDS * 2.0 ** (times - 2))
