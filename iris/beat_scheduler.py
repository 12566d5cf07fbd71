"""Celery's beat scheduler without a file, which prints one error message if it cannot run."""

import time
from datetime import timedelta
from typing import Any

from celery.beat import Scheduler
from django.core.exceptions import ImproperlyConfigured

from iris import nudge_backlog, startup_errors, watchdog

TRIM_SECONDS = 60.0
LONG_AGO = timedelta(days=1)  # longer than all intervals of `iris.beat_schedule`
SET_BACK_SECONDS = 1.0  # smaller corrections of the clock delay a task by less than this


class BeatScheduler(Scheduler):
    """Send each periodic task at once after the start, and then in its interval.

    Celery's default scheduler stores in a file when it has sent each task, and ends if the disk is full. iris needs no such
    file: its intervals are short, and all its periodic tasks may run more often.
    """

    clock_offset: float | None = None  # at the last tick
    _trimmed_at = float("-inf")

    def setup_schedule(self) -> None:
        """Check the database and IRIS_HOME, then read the schedule. Beat calls this before any Celery signal."""
        try:
            startup_errors.refuse_unwritable_home()
            startup_errors.refuse_shared_sessions()
        except ImproperlyConfigured as error:
            raise SystemExit(startup_errors.startup_sentence(error)) from error
        super().setup_schedule()
        self._make_all_due()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send the next task that is due; return the seconds until the next call.

        Celery computes from the wall clock when a task is due. If that clock is set back by an hour, Celery would send
        nothing for an hour, so all tasks become due at once.
        """
        watchdog.report()
        if time.monotonic() - self._trimmed_at > TRIM_SECONDS:
            self._trimmed_at = time.monotonic()
            nudge_backlog.trim()
        offset = _clock_offset()
        if self.clock_offset is not None and offset < self.clock_offset - SET_BACK_SECONDS:
            self._make_all_due()
            self._heap = None  # Celery builds it again
        self.clock_offset = offset
        seconds: float = super().tick(*args, **kwargs)
        return seconds

    def _make_all_due(self) -> None:
        for entry in self.schedule.values():
            entry.last_run_at = self.app.now() - LONG_AGO


def _clock_offset() -> float:
    """Return the wall clock minus the monotonic clock. It changes only if somebody sets the wall clock."""
    return time.time() - time.monotonic()
