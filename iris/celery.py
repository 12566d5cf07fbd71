"""The Celery application. The database is the queue; Celery only carries nudges (docs/architecture.md)."""

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
from structlog.contextvars import bind_contextvars, clear_contextvars

import iris.devserver.filebroker  # noqa: F401  (registers iris-files://)
from iris.broker_backoff import redis_backoff

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iris.settings")

# Celery warns about workers that run as root, because of pickled messages. Our workers accept only JSON.
warnings.filterwarnings("ignore", category=SecurityWarning)

logger = logging.getLogger(__name__)


class Nudge(DjangoTask[..., Any]):
    """A task that may be lost: the next tick, one second later, does its work.

    So no request fails while the broker is down. If the broker hangs, only one request waits for it: the following requests
    skip it (iris.broker_backoff).
    """

    def apply_async(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> AsyncResult[Any] | None:
        if redis_backoff.is_on():
            return None
        try:
            return super().apply_async(*args, **kwargs)
        except (OperationalError, OSError) as error:
            redis_backoff.begin()
            logger.warning("The broker did not accept %s; the next tick does its work: %s", self.name, error)
            return None


app = Celery("iris", task_cls=Nudge)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("iris.watchdog:WorkerWatchdog")


@setup_logging.connect
def _keep_django_logging(**kwargs: Any) -> None:
    """Keep the logging of settings.LOGGING: Celery does not set up its own if this signal has a receiver."""


@worker_init.connect
def _check_worker(**kwargs: Any) -> None:
    """End the worker with an error message if it is behind a pooler that shares sessions, where it could not work."""
    from iris import startup_errors

    try:
        startup_errors.refuse_shared_sessions()
    except ImproperlyConfigured as error:
        raise SystemExit(startup_errors.startup_sentence(error)) from error


@worker_init.connect
def _trim_nudges(**kwargs: Any) -> None:
    """Remove old nudges: a worker cannot start while they fill the memory of Redis."""
    from iris import nudge_backlog

    nudge_backlog.trim()


@task_prerun.connect
def _name_task_in_logs(sender: Any = None, **kwargs: Any) -> None:
    """Name the task in its log lines."""
    if not sender.request.is_eager:
        clear_contextvars()
        bind_contextvars(task=sender.name)


@task_prerun.connect
def _drop_broken_connection(sender: Any = None, **kwargs: Any) -> None:
    """Close a broken connection between tasks. Working connections stay open (CELERY_DB_REUSE_MAX), as in web processes."""
    if not sender.request.is_eager:
        close_old_connections()


def _show_without_traceback(*args: Any) -> None:
    from iris.startup_errors import show_without_traceback

    show_without_traceback(*args)


if Path(sys.argv[0]).name == "celery" or "celery" in Path(sys.argv[0]).parts:
    sys.excepthook = _show_without_traceback


@worker_ready.connect
def _record_first_heartbeat(**kwargs: Any) -> None:
    """Record the first heartbeat of a worker (iris.health). Its tick tasks record all later heartbeats."""
    from django.db import connections

    from iris.health import record_heartbeat

    try:
        record_heartbeat()
    except Exception:  # the worker must keep running if the database is not ready yet
        logger.exception("The worker could not report that it is ready.")
    finally:
        connections.close_all()
