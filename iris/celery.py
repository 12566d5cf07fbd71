"""The Celery application. Celery only nudges: the database is the queue (docs/architecture.md)."""

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from celery import Celery
from celery.contrib.django.task import DjangoTask
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]
from celery.result import AsyncResult
from celery.signals import setup_logging, task_prerun, worker_init, worker_ready
from django.core.exceptions import ImproperlyConfigured
from django.db import close_old_connections
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
def _check_worker(**kwargs: Any) -> None:
    """Connected, this ends a worker that could do nothing, with a sentence."""
    from iris import startup_errors

    try:
        startup_errors.refuse_shared_sessions()
    except ImproperlyConfigured as error:
        raise SystemExit(startup_errors.in_a_sentence(error)) from error


@task_prerun.connect
def _drop_broken_connection(sender: Any = None, **kwargs: Any) -> None:
    """Connections are kept from one task to the next (CELERY_DB_REUSE_MAX), as a web process keeps them between requests."""
    if not sender.request.is_eager:
        close_old_connections()


def _show_without_traceback(*args: Any) -> None:
    from iris.startup_errors import show_without_traceback

    show_without_traceback(*args)


if Path(sys.argv[0]).name == "celery" or "celery" in Path(sys.argv[0]).parts:
    sys.excepthook = _show_without_traceback


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
