"""Celery's beat scheduler, which prints one error message if it cannot run."""

from celery.beat import PersistentScheduler
from django.core.exceptions import ImproperlyConfigured

from iris import startup_errors


class BeatScheduler(PersistentScheduler):
    def setup_schedule(self) -> None:
        """Check the database and IRIS_HOME, then open beat's schedule file. Beat calls this before any Celery signal."""
        try:
            startup_errors.refuse_unwritable_home()
            startup_errors.refuse_shared_sessions()
        except ImproperlyConfigured as error:
            raise SystemExit(startup_errors.startup_sentence(error)) from error
        super().setup_schedule()
