"""The Celery application. Celery only nudges: the database is the queue (docs/architecture.md)."""

import logging
import os
import warnings
from typing import Any

from celery import Celery
from celery.contrib.django.task import DjangoTask
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]
from celery.result import AsyncResult
from celery.signals import setup_logging, worker_init, worker_ready
from kombu.exceptions import OperationalError

import iris.devserver.filebroker  # noqa: F401  (registers iris-files://)
from iris.broker_backoff import broker_rest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iris.settings")

# Celery warns of workers that run as root because of pickled messages. Ours are JSON, and it takes no others.
warnings.filterwarnings("ignore", category=SecurityWarning)

logger = logging.getLogger(__name__)


class Nudge(DjangoTask[..., Any]):
    """A task whose loss costs nothing but a second, until the next tick. So a broker that is down fails no request, and
    one that hangs delays one of them: the next ones do without (iris.broker_backoff).
    """

    def apply_async(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> AsyncResult[Any] | None:
        if broker_rest.is_on():
            return None
        try:
            return super().apply_async(*args, **kwargs)
        except (OperationalError, OSError) as error:
            broker_rest.begin()
            logger.warning(
                "The broker did not take %s, which the next tick makes up for: %s", self.name, error
            )
            return None


app = Celery("iris", task_cls=Nudge)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_django_logging(**kwargs: Any) -> None:
    """Connected, this stops Celery from replacing the logging that settings.LOGGING has set up."""


@worker_init.connect
def _refuse_shared_sessions(**kwargs: Any) -> None:
    """A worker behind a pooler that shares sessions would stop after some seconds, without a word."""
    from django.db import DatabaseError, InterfaceError

    from iris.postgresql import sessions

    try:
        ours = sessions.are_ours()
    except (DatabaseError, InterfaceError) as error:  # it comes later, perhaps
        logger.warning("The database cannot be looked at: %s", error)
        return
    if not ours:
        raise SystemExit(sessions.SENTENCE)


@worker_ready.connect
def _show_life(**kwargs: Any) -> None:
    """A worker is seen (iris.health) as soon as it is there; from then on its tick tasks show that it is
    alive.
    """
    from django.db import connections

    from iris.health import beat

    try:
        beat()
    except Exception:  # a database that is not there yet must not end the worker
        logger.exception("The worker could not report that it is ready.")
    finally:
        connections.close_all()
