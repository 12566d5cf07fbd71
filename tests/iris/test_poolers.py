"""iris refuses a real pgbouncer that shares sessions, and accepts a pgbouncer that does not."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from iris.postgresql.sessions import SENTENCE
from tests.iris.processes import run, run_python
from tests.live import wait_for
from tests.ports import free_port

ASK = "import django; django.setup(); from iris.postgresql import sessions; print(sessions.are_dedicated())"


# All processes that use session locks, or run together with such processes.
REFUSING: list[list[str]] = [
    ["-m", "celery", "--quiet", "--app", "iris", "worker", "--pool=solo"],
    ["-m", "celery", "--quiet", "--app", "iris", "beat", "--pidfile="],
    ["-m", "gunicorn", "--config=python:iris.webserver.config", "iris.wsgi", "--bind=127.0.0.1:0"],
    ["manage.py", "trunk_status"],
]


class _Bridge(socketserver.BaseRequestHandler):
    """Forward a port to the socket of the embedded PostgreSQL, whose folder pgbouncer's user cannot enter."""

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as inner:
            inner.connect(f"{connection.settings_dict['HOST']}/.s.PGSQL.5432")
            back = threading.Thread(target=self._copy, args=(inner, self.request), daemon=True)
            back.start()
            self._copy(self.request, inner)
            back.join(60)

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def bridge() -> Iterator[int]:
    """Yield a port that is forwarded to the tests' PostgreSQL."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Bridge) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@contextmanager
def pooler(program: str, folder: Path, mode: str, database_port: int) -> Iterator[str]:
    """Run a pgbouncer in front of the tests' database. Yield its URL."""
    port = free_port()
    folder.chmod(0o777)
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"""[databases]
iris = host=127.0.0.1 port={database_port} dbname={connection.settings_dict["NAME"]} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
ignore_startup_parameters = options,extra_float_digits
"""
    )
    # pgbouncer refuses to run as root.
    as_user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    process = subprocess.Popen(
        [program, str(folder / "pgbouncer.ini")], stderr=subprocess.DEVNULL, user=as_user
    )
    url = f"postgresql://postgres@127.0.0.1:{port}/iris"
    try:
        wait_for(lambda: process.poll() is not None or _answers(url), seconds=30)
        assert process.poll() is None
        yield url
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("mode", "ours"), [("session", True), ("transaction", False), ("statement", False)])
def test_a_pooler_that_shares_sessions_is_refused_at_startup(
    mode: str, ours: bool, require_program: Callable[[str], str]
) -> None:
    connection.ensure_connection()
    # Not pytest's tmp_path, which pgbouncer's user cannot enter.
    program = require_program("pgbouncer")
    with TemporaryDirectory() as folder, bridge() as port, pooler(program, Path(folder), mode, port) as url:
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
