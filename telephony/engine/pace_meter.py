"""Why a trunk is slower than its setting: where the time of its dispatcher goes.

Kept in the memory of the process, since it is only of the last seconds; the verdict is in the trunk's row (`pace_note`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

INTERVAL = 5.0  # seconds of work for one verdict
SLOW = 0.95  # of the setting: below it, the trunk is slow
DECAY = 0.9  # of the longest pause, with each shorter one


class Activity(StrEnum):
    CLAIM = "claim"
    SUBMIT = "submit"
    RECORD = "record"


class PaceMeter:
    """What a dispatcher of one trunk has done since the last verdict. Times are monotonic, durations in seconds."""

    def __init__(self, cps: float | None) -> None:
        self.cps = cps
        self._longest = dict.fromkeys(Activity, 0.0)
        self._late = 0.0
        self._begin()
        self._silent = True

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
        """The trunk waits for work, or rests: its pace says nothing for the present."""
        self._begin()

    def longest_pause(self) -> float:
        """How long the dispatcher may be away from submitting, as seen lately: a claim, a record, and waking up late."""
        return sum(self._longest.values()) + self._late

    def note(self, *, carrier_pace: float | None) -> str | None:
        """A new verdict: why the trunk is slow, "" if it is not; None while the last one stands."""
        if self.cps is None or self._since is None:
            return None
        elapsed = time.monotonic() - self._since
        if elapsed < INTERVAL:
            return None
        rate = self._submitted / elapsed
        verdict = (
            "" if rate >= SLOW * self.cps else f"{rate:.1f} a second: {self._reason(elapsed, carrier_pace)}"
        )
        self._begin()
        if not verdict and self._silent:
            return None
        self._silent = not verdict
        return verdict

    def _reason(self, elapsed: float, carrier_pace: float | None) -> str:
        if carrier_pace is not None and self.cps is not None and carrier_pace < self.cps:
            return f"the carrier takes {carrier_pace:.1f} a second at present"
        database = self._seconds[Activity.CLAIM] + self._seconds[Activity.RECORD]
        carrier = self._seconds[Activity.SUBMIT]
        longest = max(database, carrier, self._overslept)
        if longest < 0.1 * elapsed:
            return "too few were due, or no channel was free"
        if longest == database:
            return (
                f"the database is slow, a claim takes {self._average(Activity.CLAIM):.3f} s"
                f" and a record {self._average(Activity.RECORD):.3f} s"
            )
        if longest == carrier:
            return f"the carrier is slow, a submission takes {self._average(Activity.SUBMIT):.3f} s"
        late = self._overslept / max(1, self._woke)
        return f"the machine is busy, the dispatcher wakes up {late:.3f} s late"

    def _average(self, activity: Activity) -> float:
        return self._seconds[activity] / max(1, self._times[activity])


_meters: dict[str, PaceMeter] = {}


def meter_of(alias: str, cps: float | None) -> PaceMeter:
    """The meter of a trunk in this process; a new one when its pace was changed."""
    meter = _meters.get(alias)
    if meter is None or meter.cps != cps:
        meter = _meters[alias] = PaceMeter(cps)
    return meter
