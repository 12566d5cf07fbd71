"""Two addresses that say how iris is, without a token, and never fail themselves.

`/health` is for operators and `manage.py sandbox`: is every part of iris there? `/health/live` is for load balancers and
container healthchecks: does this process answer? The first is 503 as soon as any part is missing, which is no reason to
take a web process out: the API works without a worker, and every web process would go at once.
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
from iris.api.exceptions import TAKES_NO_CHANGES
from iris.models import Heartbeat
from iris.postgresql import sessions
from iris.postgresql.base import sqlstate

LIMIT_SECONDS = 2  # for all parts; a part that takes longer does not answer
PROBE = 64 * 1024 * b"\0"  # a full disk may still have room for a byte
WORKER_SILENCE = timedelta(seconds=15)
OK = "ok"

logger = logging.getLogger(__name__)


def beat(name: str = "worker") -> None:
    """A worker says that it is alive; its tick tasks call this."""
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=name, seen_at=Now())],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["seen_at"],
    )


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    parts = look()
    well = all(state == OK for state in parts.values())
    response = JsonResponse(
        {"status": OK if well else "unhealthy", **parts, "version": iris.__version__},
        status=200 if well else 503,
        headers={"Cache-Control": "no-store"},
    )
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django logs each 5xx; a 503 here is an answer, not an error
    return response


def look() -> dict[str, str]:
    """The state of each part: "ok", or what is wrong with it."""
    checks = [
        _Check("database", _look_at_database),
        _Check("broker", _look_at_broker),
        _Check("media", _look_at_media),
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
    """Finds what is wrong with one part, in a thread of its own, since no library's time limit covers every
    way to hang (a name server, a half-open connection).

    One that hangs is not looked for again until it ends, so that they never pile up.
    """

    hanging: dict[str, "_Check"] = {}

    def __init__(self, name: str, look: Callable[[], dict[str, str]]) -> None:
        super().__init__(name=f"health-{name}", daemon=True)
        self._part = name
        self._look = look
        self.result: dict[str, str] | None = None
        self._other: _Check | None = None

    def start(self) -> None:
        other = self.hanging.get(self._part)
        if other is None or not other.is_alive():
            self.hanging[self._part] = self
            super().start()
        else:
            self._other = other  # somebody is looking at this very moment: that answer will do

    def join(self, timeout: float | None = None) -> None:
        if self._other is not None:
            self._other.join(timeout)
            self.result = self._other.result
        elif self.ident is not None:
            super().join(timeout)

    def run(self) -> None:
        try:
            self.result = self._look()
        except Exception:  # whatever it is, it is the answer
            logger.exception("The health check of the %s failed.", self._part)
            self.result = {self._part: "fails: see the log"}
        finally:
            connection.close()


def _look_at_database() -> dict[str, str]:
    try:
        seen = Heartbeat.objects.filter(name="worker", seen_at__gt=Now() - WORKER_SILENCE).exists()
        beat("health")  # a standby answers every question, and a full disk most of them
        if not _sessions_are_ours():
            return {"database": "shares its sessions: a pooler must have pool_mode=session"}
    except OperationalError as error:
        logger.warning("The database cannot be used: %s", error)
        if sqlstate(error) in TAKES_NO_CHANGES:
            return {"database": "takes no changes", "worker": "unknown: the database takes no changes"}
        return {"database": "does not answer", "worker": "unknown: the database does not answer"}
    except (DatabaseError, InterfaceError) as error:
        logger.warning("The database does not answer: %s", error)
        return {"database": "does not answer", "worker": "unknown: the database does not answer"}
    if not seen:
        return {"worker": f"not seen for {WORKER_SILENCE.seconds} s"}
    return _look_at_fillers()


def _look_at_fillers() -> dict[str, str]:
    """Workers that are alive may still be stuck with what they do, or may not do anything."""
    from telephony.engine import restore_hold, stalls

    held = restore_hold.describe_hold()
    found = [f"nothing leaves: {held}"] if held else stalls.stalled()
    return {"worker": " ".join(found)} if found else {}


@cache
def _sessions_are_ours() -> bool:
    """Looked at once: a pooler that is set up anew is restarted, and so are we."""
    return sessions.are_ours()


def _look_at_media() -> dict[str, str]:
    """Write a file where recordings are kept; a bucket (IRIS_S3_BUCKET) is not asked, and answers by itself."""
    if not isinstance(default_storage, FileSystemStorage):
        return {}
    try:
        _write_to(Path(default_storage.location))
    except OSError as error:
        logger.warning("No file can be written to the media: %s", error)
        return {"media": f"cannot be written: {os.strerror(error.errno or errno.EIO)}"}
    return {}


def _write_to(folder: Path) -> None:
    """Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".health-") as probe:
        probe.write(PROBE)
        probe.flush()


def _look_at_broker() -> dict[str, str]:
    try:
        if settings.IRIS_BROKER_URL is None:
            _write_to(Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS["folder"]))
        else:
            url = settings.IRIS_BROKER_URL
            with current_app.connection_for_write(url, connect_timeout=LIMIT_SECONDS) as broker:
                broker.ensure_connection(max_retries=1, timeout=LIMIT_SECONDS)
    except Exception as error:  # each broker library has errors of its own
        logger.warning("The broker does not answer: %s", error)
        return {"broker": "does not answer"}
    return {}
