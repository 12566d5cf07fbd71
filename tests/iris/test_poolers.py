"""iris refuses a real pgbouncer that shares sessions, and accepts a pgbouncer that does not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.conf import settings
from django.db import connection

from iris.postgresql.sessions import SENTENCE
from tests.iris.processes import run, run_python
from tests.poolers import Bridge, pooler

ASK = "import django; django.setup(); from iris.postgresql import sessions; print(sessions.are_dedicated())"


# All processes that use session locks, or run together with such processes.
REFUSING: list[list[str]] = [
    ["-m", "celery", "--quiet", "--app", "iris", "worker", "--pool=solo"],
    ["-m", "celery", "--quiet", "--app", "iris", "beat", "--pidfile="],
    ["-m", "gunicorn", "--config=python:iris.webserver.config", "iris.wsgi", "--bind=127.0.0.1:0"],
    ["manage.py", "trunk_status"],
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("mode", "ours"), [("session", True), ("transaction", False), ("statement", False)])
def test_a_pooler_that_shares_sessions_is_refused_at_startup(
    mode: str, ours: bool, require_program: Callable[[str], str]
) -> None:
    connection.ensure_connection()
    # Not pytest's tmp_path, which pgbouncer's user cannot enter.
    program = require_program("pgbouncer")
    server, name = str(connection.settings_dict["HOST"]), str(connection.settings_dict["NAME"])
    with (
        TemporaryDirectory() as folder,
        closing(Bridge(server)) as bridge,
        pooler(program, Path(folder), mode, port=bridge.port, database=name) as url,
    ):
        variables = {
            "IRIS_DATABASE_URL": url,
            "IRIS_SECRET_KEY": 60 * "k",
            "DJANGO_SETTINGS_MODULE": "iris.settings",
        }
        done = run_python(ASK, Path(settings.IRIS_HOME), **variables)

        assert done.stdout.strip() == str(ours), done.stderr
        if mode == "transaction":
            for command in REFUSING:
                refused = run(command, Path(settings.IRIS_HOME), **variables)
                assert refused.returncode != 0, command
                assert f"iris cannot start: {SENTENCE}" in refused.stderr, refused.stderr
                assert "Traceback" not in refused.stderr
