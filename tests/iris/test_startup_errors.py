"""All processes report an error at startup in one error message, without a traceback."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base import base as backend
from django.db.backends.postgresql.features import DatabaseFeatures
from pytest_django import Settings

from iris import startup_errors
from tests.iris.processes import run, run_python

MS_REMOUNT_RDONLY, MNT_DETACH = 32 | 1, 2
BEAT = ["-m", "celery", "--quiet", "--app", "iris", "beat", "--pidfile="]
PROCESSES = {
    "beat": BEAT,
    "worker": ["-m", "celery", "--quiet", "--app", "iris", "worker"],
    "inspect": ["-m", "celery", "--app", "iris", "inspect", "ping"],
    "web": ["-m", "gunicorn", "--config=python:iris.webserver.config", "iris.wsgi", "--bind=127.0.0.1:0"],
    "command": ["manage.py", "migrate"],
}
_libc = ctypes.CDLL(None, use_errno=True)


@pytest.mark.parametrize("process", PROCESSES)
def test_every_process_reports_an_invalid_setting_in_one_sentence(process: str, tmp_path: Path) -> None:
    done = run(PROCESSES[process], tmp_path, IRIS_PORT="ninety")

    assert done.returncode != 0
    assert "iris cannot start: IRIS_PORT must be a whole number; it is 'ninety'." in done.stderr
    assert "Traceback" not in done.stderr


def test_an_iris_home_that_cannot_be_created_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(BEAT, tmp_path / "file" / "home")

    assert done.returncode != 0
    assert "iris cannot start: IRIS_HOME must be a folder that iris may write to" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[Path]:
    """A folder that exists and is not writable."""
    folder = tmp_path / "home"
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)
        return
    path = os.fsencode(folder)
    if _libc.mount(b"tmpfs", path, b"tmpfs", 0, b"") or _libc.mount(b"", path, b"", MS_REMOUNT_RDONLY, b""):
        pytest.skip(f"Nothing can be mounted here: {os.strerror(ctypes.get_errno())}.")
    yield folder
    _libc.umount2(path, MNT_DETACH)


def test_beat_reports_an_unwritable_iris_home_in_one_sentence(unwritable: Path) -> None:
    done = run(BEAT, unwritable, IRIS_DATABASE_URL="postgresql://127.0.0.1:1/none", IRIS_SECRET_KEY=60 * "k")

    assert done.returncode != 0
    assert "iris cannot start: IRIS_HOME must be a folder that iris may write to" in done.stderr
    assert "Traceback" not in done.stderr


SESSIONS = """
import os, django
django.setup()
from celery.contrib.testing.worker import start_worker
from celery.fixups.django import DjangoFixup
from django.conf import settings
from django.db import connection
from iris.celery import app
from tests.live import wait_for
seen = []

@app.task(name="iris.tasks.session")
def session(kill=False):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        seen.append(cursor.fetchone()[0])
        if kill:
            connection.copy().cursor().execute("SELECT pg_terminate_backend(%s)", [seen[-1]])

DjangoFixup(app).worker_fixup.install()
with start_worker(app, perform_ping_check=False):
    for number in range(20):
        session.delay(kill=number == 9)
        wait_for(lambda: len(seen) == number + 1, seconds=30)
print(len(seen), len(set(seen)), len(set(seen[:10])), len(set(seen[10:])))
"""


def test_tasks_share_a_database_session_and_replace_a_terminated_one(tmp_path: Path) -> None:
    variables = {"IRIS_BROKER_URL": ""} | {"DJANGO_SETTINGS_MODULE": "iris.settings"}
    done = run_python(SESSIONS, Path(settings.IRIS_HOME), **variables)

    assert done.stdout.split() == ["20", "2", "1", "1"], done.stderr


@pytest.mark.django_db
def test_no_process_starts_with_a_postgresql_that_is_too_old(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All processes and commands call this function first (tests/iris/test_poolers.py)."""
    assert DatabaseFeatures.minimum_database_version == (14,)
    settings.IRIS_DATABASE_URL = "postgresql://another"
    monkeypatch.setattr(DatabaseFeatures, "minimum_database_version", (99,))
    monkeypatch.setattr(backend, "RAN_DB_VERSION_CHECK", set())

    with pytest.raises(
        ImproperlyConfigured, match=r"^PostgreSQL 99 or later is required \(found 1\d\.\d+\)\.$"
    ):
        startup_errors.refuse_shared_sessions()
