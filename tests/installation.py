"""An installation like one in production, on this machine: PostgreSQL, Redis, and the commands of the systemd units.

Each process can run the code of another folder, such as that of the previous release.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import psycopg

from iris.devserver.embedded import server
from tests.live import ROOT, wait_for
from tests.ports import free_port

STOP_SECONDS = 60  # the TimeoutStopSec of the units
EMAIL, PASSWORD = "operator@example.com", "installation-password"


def unit_command(name: str) -> list[str]:
    """Return the command of a systemd unit of this release, without its folder. `%i` stands for the instance."""
    unit = (ROOT / "deploy" / "systemd" / name).read_text()
    (line,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    program, *arguments = shlex.split(line.replace("%%", "%"))
    return [Path(program).name, *arguments]


class Installation:
    """PostgreSQL and Redis in this folder, and the processes of iris that a test or a benchmark starts."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.folder = server.folder_of(home)
        self.redis_port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("IRIS_")},
            "DJANGO_SETTINGS_MODULE": "iris.settings",
            "IRIS_HOME": str(home),
            "IRIS_BROKER_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "IRIS_SECRET_KEY": "only-for-an-installation-" + 40 * "x",
            "IRIS_API_THROTTLE": "1000000/minute",
            "IRIS_OTP_THROTTLE": "1000000/minute",
            "IRIS_SANDBOX_SPEED": "100",
            **environment,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports: dict[str, int] = {}

    def start(self) -> None:
        """Start PostgreSQL and Redis. The caller migrates, and starts the processes of iris."""
        sockets = server.join(self.folder, "iris")
        self.database = f"postgresql://postgres@/iris?host={sockets}"
        self.environment["IRIS_DATABASE_URL"] = self.database
        quiet = ["--bind", "127.0.0.1", "--save", "", "--dir", str(self.home)]
        self._spawn("redis", ["redis-server", "--port", str(self.redis_port), *quiet])

    def start_web(self, name: str = "web", *, code: Path = ROOT) -> None:
        """Start a web server on a port of its own. Wait until it answers."""
        self.ports[name] = port = self.ports.get(name) or free_port()
        command = [
            argument if not argument.startswith("--bind=") else f"--bind=127.0.0.1:{port}"
            for argument in unit_command("iris-web.service")
        ]
        self._spawn(name, [sys.executable, "-m", *command], code=code)
        wait_for(lambda: self.is_live(name), seconds=60)

    def start_worker(self, name: str, *, code: Path = ROOT) -> None:
        command = [argument.replace("%i", name) for argument in unit_command("iris-worker@.service")]
        self._spawn(name, [sys.executable, "-m", *command], code=code)

    def start_beat(self, *, code: Path = ROOT) -> None:
        self._spawn("beat", [sys.executable, "-m", *unit_command("iris-beat.service")], code=code)

    def stop_process(self, name: str) -> None:
        """Stop a process as systemd does: SIGTERM to it alone, and SIGKILL to all of its children after a minute."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        for process in self.processes.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()
        server.leave(self.folder, wait=True)

    def is_live(self, name: str) -> bool:
        assert self.processes[name].poll() is None, self.log_of(name).read_text()
        try:
            return httpx.get(f"{self.url_of(name)}/health/live", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def url_of(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def log_of(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def manage(self, *arguments: str, code: Path = ROOT) -> str:
        """Run a `manage.py` command of a release. Return its output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=code,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def log_in(self, url: str) -> httpx.Client:
        """Return a client of this address with a token of the account, which `createaccount` has created."""
        client = httpx.Client(base_url=url, timeout=60)
        answer = client.post("/api/accounts/login/", json={"email": EMAIL, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['data']['token']['access']}"
        return client

    def number(self, sql: str) -> int:
        """Return the number that a query yields."""
        with psycopg.connect(self.database) as connection:
            row = connection.execute(sql.encode()).fetchone()
            assert row is not None
            return int(row[0])

    def cpu_seconds(self, *names: str) -> float:
        """Return the processor time that these processes and their living children have used. "postgres" is PostgreSQL."""
        total = 0.0
        for name in names:
            if name == "postgres":
                pid = int((self.folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
            else:
                pid = self.processes[name].pid
            process = psutil.Process(pid)
            for each in [process, *process.children(recursive=True)]:
                try:
                    times = each.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                total += times.user + times.system
        return total

    def _spawn(self, name: str, command: list[str], *, code: Path | None = None) -> None:
        with self.log_of(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=code or self.home,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


@contextmanager
def installation(home: Path, **environment: str) -> Iterator[Installation]:
    """Yield an installation whose PostgreSQL and Redis run. All of its processes end with the context."""
    made = Installation(home, **environment)
    try:
        made.start()
        yield made
    finally:
        made.stop()
