"""Find out why a trunk is slower than its CPS setting, by measuring how long each activity of its dispatcher takes.

The measurements cover only the last seconds, so they stay in the memory of the process. The note is stored in the
trunk's row (`pace_note`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

INTERVAL = 5.0  # seconds of work between two notes
SLOW = 0.95  # share of the CPS setting below which a trunk counts as slow
DECAY = 0.9  # factor by which the longest duration shrinks with each shorter one


class Activity(StrEnum):
    CLAIM = "claim"
    SUBMIT = "submit"
    STORE = "store"


class PaceMeter:
    """Measure a dispatcher's work on one trunk since the last note. Times are monotonic, durations in seconds."""

    def __init__(self, cps: float | None) -> None:
        self.cps = cps
        self._longest = dict.fromkeys(Activity, 0.0)
        self._late = 0.0
        self._begin()
        self._noted_slow = False

    def _begin(self) -> None:
        self._since: float | None = None
        self._submitted = 0
        self._seconds = dict.fromkeys(Activity, 0.0)
        self._times = dict.fromkeys(Activity, 0)
        self._overslept = 0.0
        self._woke = 0

    @contextmanager
    def spends(self, activity: Activity) -> Iterator[None]:
        begun = time.monotonic()
        if self._since is None:
            self._since = begun
        try:
            yield
        finally:
            seconds = time.monotonic() - begun
            self._seconds[activity] += seconds
            self._times[activity] += 1
            self._longest[activity] = max(seconds, DECAY * self._longest[activity])

    def woke(self, *, late: float) -> None:
        self._overslept += late
        self._woke += 1
        self._late = max(late, DECAY * self._late)

    def submitted(self, count: int) -> None:
        self._submitted += count

    def nothing_due(self) -> None:
        """Restart the measurement. The trunk has no work or rests, so its present pace does not show a problem."""
        self._begin()

    def longest_pause(self) -> float:
        """Return the longest expected break between two submissions, in seconds: the sum of the recent maxima."""
        return sum(self._longest.values()) + self._late

    def note(self, *, carrier_pace: float | None) -> str | None:
        """Return why the trunk is slow, "" if it is no longer slow, or None if the last note is still true.

        `carrier_pace` is the carrier's own limit in deliveries per second.
        """
        if self.cps is None or self._since is None:
            return None
        elapsed = time.monotonic() - self._since
        if elapsed < INTERVAL:
            return None
        rate = self._submitted / elapsed
        note = (
            "" if rate >= SLOW * self.cps else f"{rate:.1f} a second: {self._reason(elapsed, carrier_pace)}"
        )
        self._begin()
        if not note and not self._noted_slow:
            return None
        self._noted_slow = bool(note)
        return note

    def _reason(self, elapsed: float, carrier_pace: float | None) -> str:
        if carrier_pace is not None and self.cps is not None and carrier_pace < self.cps:
            return f"the carrier accepts {carrier_pace:.1f} a second at present"
        database = self._seconds[Activity.CLAIM] + self._seconds[Activity.STORE]
        carrier = self._seconds[Activity.SUBMIT]
        longest = max(database, carrier, self._overslept)
        if longest < 0.1 * elapsed:
            return "too few deliveries were due, or no channel was free"
        if longest == database:
            return (
                f"the database is slow, a claim takes {self._average(Activity.CLAIM):.3f} s"
                f" and storing results {self._average(Activity.STORE):.3f} s"
            )
        if longest == carrier:
            return f"the carrier is slow, a submission takes {self._average(Activity.SUBMIT):.3f} s"
        late = self._overslept / max(1, self._woke)
        return f"the machine is busy, the dispatcher wakes up {late:.3f} s late"

    def _average(self, activity: Activity) -> float:
        return self._seconds[activity] / max(1, self._times[activity])


_meters: dict[str, PaceMeter] = {}


def meter_of(alias: str, cps: float | None) -> PaceMeter:
    """Return this process's meter of a trunk; create a new one if the CPS setting has changed."""
    meter = _meters.get(alias)
    if meter is None or meter.cps != cps:
        meter = _meters[alias] = PaceMeter(cps)
    return meter
