"""Measure until when a claimed delivery may be submitted, by the clocks of the process that claimed it.

The lease of a claim ends by the database's clock. The clock of another machine may differ, or may be set while a delivery
waits. If its clock were ahead, a worker would refuse every submission; if it were behind, a worker that was stopped could
still submit after another process has queued the delivery again. So only the time that has passed counts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Validity:
    """`seconds` of validity that began when the monotonic clock and the wall clock showed these times."""

    seconds: float
    monotonic: float
    wall: float

    @classmethod
    def begin(cls, seconds: float) -> Self:
        return cls(seconds, time.monotonic(), time.time())

    def seconds_left(self) -> float:
        """Return for how many seconds a submission is still valid; 0 or less if it must not leave any more.

        The longer of both measurements counts: the monotonic clock may stand still while a virtual machine is paused, and
        the wall clock may be set back.
        """
        elapsed = max(time.monotonic() - self.monotonic, time.time() - self.wall)
        return self.seconds - elapsed
