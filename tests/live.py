"""Run a whole iris for a test: web, worker and beat as processes, reached over HTTP."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg

from iris.devserver.embedded import keeper, server
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
# The database that the databases of tests are copies of: migrated, but without accounts.
TEMPLATE = "iris_migrated"
MIGRATE_AND_SEED = f"""
from django.core.management import call_command
from django.db import connection
from iris.devserver import seed
call_command("migrate", verbosity=0)
connection.close()
with connection._nodb_cursor() as cursor:
    cursor.execute("CREATE DATABASE {TEMPLATE} TEMPLATE iris")
    cursor.execute("ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false")  # an open session would prevent copies
seed.seed()
"""


class LiveIris:
    """Run `manage.py sandbox` with its own IRIS_HOME and port. `demo` is an HTTP client with the demo account's token.

    The database is a copy of one that was migrated and seeded once for all tests. A test of the first start sets
    `copies_database = False`.
    """

    copies_database = True

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("IRIS_")},
            "DJANGO_SETTINGS_MODULE": "iris.settings",
            "IRIS_HOME": str(home),
            "IRIS_PORT": str(self.port),
            "IRIS_API_THROTTLE": "1000000/minute",
            **environment,
        }
        self.log = home / "sandbox.log"
        self._trunk_workers: list[subprocess.Popen[bytes]] = []

    def start(self, *, seconds: float = 90) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        self.copy_database()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "sandbox"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        wait_for(
            lambda: self.process.poll() is not None or b"iris is ready" in self.log.read_bytes(),
            seconds=seconds,
        )
        assert self.process.poll() is None, self.log.read_text()
        self.demo = httpx.Client(base_url=self.url, timeout=60)
        answer = self.demo.post(
            "/api/accounts/login/", json={"email": "demo@example.com", "password": "demo-password"}
        )
        token = answer.json()["data"]["token"]["access"]
        self.demo.headers["Authorization"] = f"Bearer {token}"

    def copy_database(self) -> None:
        """Create the database, unless this home has one. `start` does it, so only commands without `start` need it."""
        if self.copies_database:
            copy_migrated_database(self.home)

    def is_running(self) -> bool:
        return hasattr(self, "process") and self.process.poll() is None

    def stop(self) -> None:
        if hasattr(self, "demo"):
            self.demo.close()
        self.stop_trunk_workers()
        if self.is_running():
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def start_trunk_worker(self, alias: str) -> subprocess.Popen[bytes]:
        """Start the worker of a trunk with the documented command.

        `stop` and `stop_trunk_workers` also stop this worker.
        """
        with open(self.log_of_trunk(alias), "ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", "--app", "iris", "worker", "--queues", f"trunk.{alias}"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self._trunk_workers.append(worker)
        return worker

    def stop_trunk_workers(self) -> None:
        """Stop all workers of trunks. Kill a worker whose calls take longer than a minute to end."""
        while self._trunk_workers:
            worker = self._trunk_workers.pop()
            worker.terminate()
            try:
                worker.wait(60)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def log_of_trunk(self, alias: str) -> Path:
        return self.home / f"trunk.{alias}.log"

    def manage(self, *arguments: str) -> str:
        """Run a `manage.py` command with the same environment. Return its output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,  # long enough for a very busy machine
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def check_ledger(self) -> None:
        """Check all balances with the documented command. A wrong credit stays wrong, so one check at the end is enough."""
        assert "difference 0" in self.manage("check_ledger")

    def details(self, campaign: int) -> dict[str, Any]:
        answer = self.demo.get(f"/api/system/campaigns/{campaign}/details/")
        assert answer.status_code == 200, answer.text
        details: dict[str, Any] = answer.json()["data"]["details"][0]
        return details

    def wait_until(self, campaign: int, status: str, *, seconds: float = 60) -> None:
        wait_for(lambda: self.details(campaign)["status"] == status, seconds=seconds, max_pause=0.5)

    def numbers(self, campaign: int) -> list[dict[str, Any]]:
        answer = self.demo.get(f"/api/system/campaigns/number/{campaign}")
        numbers: list[dict[str, Any]] = answer.json()["data"]["number-lists"]
        return numbers

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on its database."""
        sockets = keeper.socket_folder(server.folder_of(self.home))
        with psycopg.connect(f"postgresql://postgres@/iris?host={sockets}") as connection:
            return connection.execute(sql.encode()).fetchall()

    def session_status(self, trunk: str) -> str:
        """Return the status of the connection that the trunk's worker reported last, or "" before its first report."""
        rows = self.rows(f"SELECT session FROM telephony_trunk WHERE alias = '{trunk}'")
        return str(rows[0][0]) if rows else ""

    def balance(self) -> Decimal:
        """Return the balance of the demo account."""
        return Decimal(
            self.rows("SELECT balance FROM accounts_account WHERE name = 'demo@example.com'")[0][0]
        )

    def inbox(self, **query: Any) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.demo.get("/sandbox/messages", params=query).json()
        return messages


def copy_migrated_database(home: Path) -> None:
    """Copy the migrated database cluster that all tests share, unless this home has one. The first caller creates it.

    Outside of pytest, do nothing.
    """
    if "IRIS_TESTS_RUNNING" not in os.environ:
        return
    shared = Path(os.environ["IRIS_HOME"]) / "migrated"
    shared.mkdir(parents=True, exist_ok=True)
    folder = server.folder_of(shared)
    with open(shared / "migrated.lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.fstat(lock.fileno()).st_size:
            LiveIris(shared).manage("shell", "--no-imports", "--command", MIGRATE_AND_SEED)
            wait_for(lambda: not (folder / "data" / "postmaster.pid").exists(), seconds=30)
            switch_off_fsync(folder / "data")
            lock.write("migrated")
            lock.flush()
        copy = server.folder_of(home)
        if (copy / "data").exists():
            return
        copy.mkdir(parents=True, exist_ok=True)
        # `-a` keeps the owner: when root runs the tests, PostgreSQL runs as another user.
        subprocess.run(["cp", "-a", str(folder / "data"), str(copy / "data")], check=True)


def switch_off_fsync(data: Path) -> None:
    """Let the server of this data folder not wait for the disk. Tests kill processes, but no operating system."""
    with open(data / "postgresql.conf", "a") as configuration:
        configuration.write("fsync = off\n")


@contextmanager
def live_iris(home: Path, **environment: str) -> Iterator[LiveIris]:
    iris = LiveIris(home, **environment)
    try:
        iris.start()
        yield iris
        iris.check_ledger()
    finally:
        iris.stop()


# Timeouts are written for an idle machine. A busy or slow machine gets six times as long; a test that succeeds never
# waits for it.
TIMEOUT_FACTOR = 6


def wait_for(condition: Callable[[], object], *, seconds: float, max_pause: float = 0.1) -> None:
    """Wait until the condition holds. `seconds` is enough on an idle machine. Raise AssertionError after the timeout.

    Checks often at first, and later every `max_pause` seconds, because each check costs the system that it observes.
    """
    end = time.monotonic() + seconds * TIMEOUT_FACTOR
    pause = 0.01
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"The condition did not hold within {seconds * TIMEOUT_FACTOR} s.")
        time.sleep(pause)
        pause = min(1.5 * pause, max_pause)
