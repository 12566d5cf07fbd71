"""Celery's beat scheduler without a file, which prints one error message if it cannot run."""

import time
from datetime import timedelta
from typing import Any

from celery.beat import Scheduler
from django.core.exceptions import ImproperlyConfigured

from iris import nudge_backlog, startup_errors, watchdog

TRIM_SECONDS = 60.0
LONG_AGO = timedelta(days=1)  # longer than all intervals of `iris.beat_schedule`


class BeatScheduler(Scheduler):
    """Send each periodic task at once after the start, and then in its interval.

    Celery's default scheduler stores in a file when it has sent each task, and ends if the disk is full. iris needs no such
    file: its intervals are short, and all its periodic tasks may run more often.
    """

    _trimmed_at = float("-inf")

    def setup_schedule(self) -> None:
        """Check the database and IRIS_HOME, then read the schedule. Beat calls this before any Celery signal."""
        try:
            startup_errors.refuse_unwritable_home()
            startup_errors.refuse_shared_sessions()
        except ImproperlyConfigured as error:
            raise SystemExit(startup_errors.startup_sentence(error)) from error
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at = self.app.now() - LONG_AGO

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, and return the seconds until the next task. Beat's main loop calls this."""
        watchdog.report()
        if time.monotonic() - self._trimmed_at > TRIM_SECONDS:
            self._trimmed_at = time.monotonic()
            nudge_backlog.trim()
        return super().tick(*args, **kwargs)
