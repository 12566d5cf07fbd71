"""Health endpoints. They need no token, and respond even if all parts of iris fail.

`/health` is for operators and `manage.py sandbox`: it reports the state of every part of iris, with a 503 if any part
fails. `/health/live` is for load balancers and container health checks: it reports whether this process responds. Load
balancers must not use `/health`: the API works without a worker, and all web processes would be removed at once.
"""

import errno
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path

from celery import current_app
from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.models.functions import Now
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

import iris
from iris.api.exceptions import READ_ONLY_STATES
from iris.models import Heartbeat
from iris.postgresql import sessions
from iris.postgresql.base import sqlstate

LIMIT_SECONDS = 2  # for all parts together; /health reports a slower part as "does not answer"
PROBE = 64 * 1024 * b"\0"  # large enough to fail on a full disk
WORKER_SILENCE = timedelta(seconds=15)
OK = "ok"

logger = logging.getLogger(__name__)


def record_heartbeat(name: str = "worker") -> None:
    """Record that a part of iris is alive. The tick tasks of workers call this."""
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=name, seen_at=Now())],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["seen_at"],
    )


def forget_heartbeats() -> None:
    """Delete all heartbeats, so that `/health` reports a worker only after it has recorded a new one.

    Call it before all processes of an installation start.
    """
    Heartbeat.objects.all().delete()


def worker_is_alive() -> bool:
    """Return whether a worker has recorded a heartbeat within WORKER_SILENCE. Takes one query."""
    return Heartbeat.objects.filter(name="worker", seen_at__gt=Now() - WORKER_SILENCE).exists()


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    parts = check_parts()
    healthy = all(state == OK for state in parts.values())
    response = JsonResponse(
        {"status": OK if healthy else "unhealthy", **parts, "version": iris.__version__},
        status=200 if healthy else 503,
        headers={"Cache-Control": "no-store"},
    )
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django would log each 503, but here it is not an error
    return response


def check_parts() -> dict[str, str]:
    """Return the state of each part: "ok", or a description of the problem."""
    checks = [
        _Check("database", _check_database),
        _Check("broker", _check_broker),
        _Check("media", _check_media),
    ]
    for check in checks:
        check.start()
    until = time.monotonic() + LIMIT_SECONDS
    for check in checks:
        check.join(max(0, until - time.monotonic()))
    database, broker, media = (check.result for check in checks)
    if database is None:
        database = {"database": "does not answer", "worker": "unknown: the database does not answer"}
    if broker is None:
        broker = {"broker": "does not answer"}
    if media is None:
        media = {"media": "does not answer"}
    return {"database": OK, "broker": OK, "worker": OK, "media": OK, **database, **broker, **media}


class _Check(threading.Thread):
    """Check one part in its own thread, because library timeouts do not cover all ways to hang (DNS, dead connections).

    While a check hangs, no second check of the same part starts. So hanging threads do not accumulate.
    """

    hanging: dict[str, "_Check"] = {}

    def __init__(self, name: str, check: Callable[[], dict[str, str]]) -> None:
        super().__init__(name=f"health-{name}", daemon=True)
        self._part = name
        self._check = check
        self.result: dict[str, str] | None = None
        self._other: _Check | None = None

    def start(self) -> None:
        other = self.hanging.get(self._part)
        if other is None or not other.is_alive():
            self.hanging[self._part] = self
            super().start()
        else:
            self._other = other  # another request is running this check: use its result

    def join(self, timeout: float | None = None) -> None:
        if self._other is not None:
            self._other.join(timeout)
            self.result = self._other.result
        elif self.ident is not None:
            super().join(timeout)

    def run(self) -> None:
        try:
            self.result = self._check()
        except Exception:  # any failure is the result of the check
            logger.exception("The health check of the %s failed.", self._part)
            self.result = {self._part: "fails: see the log"}
        finally:
            connection.close()


def _check_database() -> dict[str, str]:
    try:
        seen = worker_is_alive()
        record_heartbeat("health")  # check a write, because reads still work on a standby or a full disk
        if not _sessions_are_dedicated():
            return {"database": "shares its sessions: a pooler must have pool_mode=session"}
    except OperationalError as error:
        logger.warning("The database cannot be used: %s", error)
        if sqlstate(error) in READ_ONLY_STATES:
            return {"database": "accepts no changes", "worker": "unknown: the database accepts no changes"}
        return {"database": "does not answer", "worker": "unknown: the database does not answer"}
    except (DatabaseError, InterfaceError) as error:
        logger.warning("The database does not answer: %s", error)
        return {"database": "does not answer", "worker": "unknown: the database does not answer"}
    if not seen:
        return {"worker": f"not seen for {WORKER_SILENCE.seconds} s"}
    return _check_hoppers()


def _check_hoppers() -> dict[str, str]:
    """Return the state of the hoppers. Even if the workers are alive, hoppers may be stuck, or a restore may hold them."""
    from telephony.engine import restore_hold, stalls

    held = restore_hold.describe_hold()
    problems = [f"nothing is sent: {held}"] if held else stalls.stalled()
    return {"worker": " ".join(problems)} if problems else {}


@cache
def _sessions_are_dedicated() -> bool:
    """Return whether no pooler shares our sessions. Checked once per process, because poolers rarely change."""
    return sessions.are_dedicated()


def _check_media() -> dict[str, str]:
    """Write a test file to the folder of recordings. An S3 bucket (IRIS_S3_BUCKET) is not checked."""
    if not isinstance(default_storage, FileSystemStorage):
        return {}
    try:
        _write_to(Path(default_storage.location))
    except OSError as error:
        logger.warning("No file can be written to the media: %s", error)
        return {"media": f"cannot be written: {os.strerror(error.errno or errno.EIO)}"}
    return {}


def _write_to(folder: Path) -> None:
    """Write a temporary file to the folder. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".health-") as probe:
        probe.write(PROBE)
        probe.flush()


def _check_broker() -> dict[str, str]:
    try:
        if settings.IRIS_BROKER_URL is None:
            _write_to(Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS["folder"]))
        else:
            url = settings.IRIS_BROKER_URL
            with current_app.connection_for_write(url, connect_timeout=LIMIT_SECONDS) as broker:
                broker.ensure_connection(max_retries=1, timeout=LIMIT_SECONDS)
    except Exception as error:  # each broker library has its own exceptions
        logger.warning("The broker does not answer: %s", error)
        return {"broker": "does not answer"}
    return {}
