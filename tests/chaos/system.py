"""A whole installation like one in production: web, three workers, beat, Redis and PostgreSQL as separate processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil
import psycopg

from iris.devserver.embedded import server
from tests.live import ROOT, copy_migrated_database, wait_for
from tests.poolers import Bridge
from tests.ports import free_port

SPEED = 100
WORKERS = 3
SANDBOX = """
[carriers.sandbox]
BACKEND = "telephony.carriers.sandbox.SandboxCarrier"
CPS = {pace}

[routes]
call = ["sandbox"]
sms = ["sandbox"]
"""
EMAIL, PASSWORD = "chaos@example.com", "chaos-password"
OBSERVER = "observer"  # the application name of the session that only looks


class System:
    """All processes of an installation on this machine and in this folder.

    `database` is where iris finds PostgreSQL; None is the server itself. `variables` are added to the environment of iris.
    """

    def __init__(
        self,
        home: Path,
        *,
        carriers: str,
        variables: Mapping[str, str] | None = None,
        configuration: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        file = home / "carriers.toml"
        file.write_text(carriers)
        self.redis_port, self.web_port = free_port(), free_port()
        self.folder = server.folder_of(home)
        self.configuration = configuration or {}
        copy_migrated_database(home)
        self.is_migrated = (self.folder / "data").exists()
        self.sockets = server.join(self.folder, "iris", self.configuration)
        self.address = f"postgresql://postgres@/iris?host={self.sockets}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("IRIS_")},
            "DJANGO_SETTINGS_MODULE": "iris.settings",
            "PYTHONPATH": str(ROOT),
            "IRIS_HOME": str(home),
            "IRIS_DATABASE_URL": self.address,
            "IRIS_BROKER_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "IRIS_CARRIERS_FILE": str(file),
            "IRIS_SECRET_KEY": "only-for-chaos-" + 40 * "x",
            "IRIS_SANDBOX_SPEED": str(SPEED),
            "IRIS_LEASE_SECONDS": "5",
            # A worker may be dead when a report is due. The timeout is so long that only deliveries that are really lost
            # count as lost.
            "IRIS_REPORT_TIMEOUT_SECONDS": str(90 * SPEED),
            "IRIS_API_THROTTLE": "1000000/minute",
            **(variables or {}),
        }
        self.variables_of: dict[str, dict[str, str]] = {}  # more variables of some processes, by name
        self.url = f"http://127.0.0.1:{self.web_port}"
        self.log = (home / "chaos.log").open("ab")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.bridge: Bridge | None = None  # where iris finds PostgreSQL, if that can move
        self._observer: psycopg.Connection | None = None

    def start(self) -> None:
        if not self.is_migrated:
            self.manage("migrate", "--verbosity=0")
        self.start_redis()
        self.start_web()
        for number in range(WORKERS):
            self.start_worker(number)
        self._spawn("beat", "celery", "--quiet", "-A", "iris", "beat", "--pidfile=")

    def start_redis(self) -> None:
        address = ("--port", str(self.redis_port), "--bind", "127.0.0.1")
        self._spawn("redis", "redis-server", *address, "--save", "", module=False)

    def start_web(self) -> None:
        self._spawn(
            "web",
            "gunicorn",
            "--config=python:iris.webserver.config",
            "iris.wsgi",
            f"--bind=127.0.0.1:{self.web_port}",
            "--threads=4",
        )

    def start_worker(self, number: int) -> None:
        self._spawn(
            f"worker{number}",
            *("celery", "--quiet", "-A", "iris", "worker", "--concurrency=2", f"--hostname=w{number}@chaos"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        )

    def kill_pool_process(self, name: str, rng: random.Random) -> None:
        """Kill one of a worker's pool processes (SIGKILL), as the kernel does when it is out of memory."""
        children = psutil.Process(self.processes[name].pid).children()
        if children:
            rng.choice(children).kill()

    def kill(self, name: str) -> None:
        """Kill a process and all its children (SIGKILL), as if the machine had lost power."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def postgres_pid(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])

    def crash_postgres(self) -> None:
        """Kill PostgreSQL, so that it cannot write anything more, and start it again."""
        pid = self.postgres_pid()
        os.kill(pid, signal.SIGQUIT)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), seconds=30)
        self.restart_postgres()

    def restart_postgres(self) -> None:
        server.leave(self.folder)
        server.join(self.folder, "iris", self.configuration)

    def stop(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        self.log.close()
        if self._observer is not None:
            self._observer.close()
        server.leave(self.folder, wait=True)

    def manage(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def query(self, sql: str) -> int:
        """Return the number that a query finds, in the session of the observer."""
        row = self.observer().execute(sql.encode()).fetchone()
        assert row is not None
        return int(row[0])

    def observer(self) -> psycopg.Connection:
        """Return the session of the observer, which no scenario ends. After a crash of PostgreSQL it is a new one."""
        if self._observer is not None:
            try:
                self._observer.execute("SELECT 1")
                return self._observer
            except psycopg.OperationalError:
                self._observer.close()
        self._observer = psycopg.connect(self.address, autocommit=True, application_name=OBSERVER)
        return self._observer

    def command(self, *statements: str) -> None:
        """Execute statements as a superuser, each in a transaction of its own."""
        with psycopg.connect(self.address, autocommit=True, application_name=OBSERVER) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def family(self, name: str) -> list[psutil.Process]:
        """Return a process and its children."""
        process = psutil.Process(self.processes[name].pid)
        return [process, *process.children(recursive=True)]

    def answers(self) -> bool:
        """Return whether the web server works."""
        try:
            return httpx.get(f"{self.url}/health", timeout=20).status_code == 200
        except httpx.TransportError:
            return False

    def caller(self) -> httpx.Client:
        """Return a client that is logged in, as soon as iris answers. The caller closes it."""
        wait_for(self.answers, seconds=60)
        client = httpx.Client(base_url=self.url, timeout=90)
        login = client.post("/api/accounts/login/", json={"email": EMAIL, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {login.json()['data']['token']['access']}"
        return client

    def _spawn(self, name: str, *command: str, module: bool = True) -> None:
        line = [sys.executable, "-m", *command] if module else list(command)
        self.processes[name] = subprocess.Popen(
            line,
            cwd=self.home,
            env={**self.environment, **self.variables_of.get(name, {})},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
