"""Celery's beat, which says in a sentence why it cannot run."""

from celery.beat import PersistentScheduler
from django.core.exceptions import ImproperlyConfigured

from iris import startup_errors


class Scheduler(PersistentScheduler):
    def setup_schedule(self) -> None:
        """Open the file in which beat keeps when it sent what; called first, before any signal of Celery."""
        try:
            startup_errors.refuse_unwritable_home()
            startup_errors.refuse_shared_sessions()
        except ImproperlyConfigured as error:
            raise SystemExit(startup_errors.in_a_sentence(error)) from error
        super().setup_schedule()
