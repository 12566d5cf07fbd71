"""SMS that the SMSC cannot take at the moment: when each is tried again, and how often."""

from __future__ import annotations

import time
from dataclasses import dataclass

BUSY_SECONDS = 5.0  # after which what the SMSC could not take is tried again
MOST_ATTEMPTS = 5  # at what the SMSC says is a trouble of its own, while it takes others
LONGEST = 3600.0  # seconds in which one is tried, though no other is taken either
# A queue that is full is the SMSC's, or that of a phone which is off: 0, 5, 10, 20 … seconds, some 25 minutes altogether.
MOST_ATTEMPTS_AT_FULL = 12
LONGEST_PAUSE = 300.0
MOST = 10_000  # SMS whose attempts are counted, the latest


@dataclass(slots=True)
class Trouble:
    """`since` is monotonic; `taken` is how many PDUs had been taken when it was named last."""

    since: float
    times: int = 0
    taken: int = 0


class Troubles:
    """The attempts of a delivery are no measure, since it is also claimed again when the trunk rests or has to wait."""

    def __init__(self) -> None:
        self._by_key: dict[str, Trouble] = {}
        self._taken = 0

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
        if trouble.times >= MOST_ATTEMPTS_AT_FULL:
            return None
        return 0.0 if trouble.times == 1 else min(LONGEST_PAUSE, BUSY_SECONDS * 2.0 ** (trouble.times - 2))

    def is_known(self, key: str) -> bool:
        return key in self._by_key

    def forget(self, key: str) -> None:
        """It was taken, or refused."""
        self._by_key.pop(key, None)

    def _of(self, key: str) -> Trouble:
        trouble = self._by_key.pop(key, None) or Trouble(since=time.monotonic())
        self._by_key[key] = trouble
        if len(self._by_key) > MOST:
            del self._by_key[next(iter(self._by_key))]
        return trouble
