"""`make chaos`: run campaigns while parts of iris fail.

During the first campaign, workers are killed, and Redis and PostgreSQL are restarted. During the second, one part
after the other fails in another way (tests/drills.py).


The system is like one in production: web, three workers and beat are processes of their own, with a Redis server and a
PostgreSQL server. The table of the sandbox carrier shows what was sent.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import psycopg

from iris.devserver.embedded import server
from tests import drills
from tests.chaos_figures import Figures, count
from tests.live import ROOT, copy_migrated_database, wait_for
from tests.ports import free_port

SPEED = 100
WORKERS = 3
CARRIERS = """
[carriers.sandbox]
BACKEND = "telephony.carriers.sandbox.SandboxCarrier"
CPS = {pace}

[routes]
call = ["sandbox"]
sms = ["sandbox"]
"""
# Each of these numbers is called three times, whoever dies meanwhile.
RETRY = {"tries": 3, "on": ["busy", "unanswered", "hungup"], "delay_seconds": 3}
EMAIL, PASSWORD = "chaos@example.com", "chaos-password"


class System:
    """All processes of an installation like one in production, on this machine and in this folder."""

    def __init__(self, home: Path, *, pace: int) -> None:
        self.home = home
        carriers = home / "carriers.toml"
        carriers.write_text(CARRIERS.format(pace=pace))
        self.redis_port, self.web_port = free_port(), free_port()
        self.folder = server.folder_of(home)
        copy_migrated_database(home)
        self.is_migrated = self.folder.exists()
        sockets = server.join(self.folder, "iris")
        self.database = f"postgresql://postgres@/iris?host={sockets}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("IRIS_")},
            "DJANGO_SETTINGS_MODULE": "iris.settings",
            "PYTHONPATH": str(ROOT),
            "IRIS_HOME": str(home),
            "IRIS_DATABASE_URL": self.database,
            "IRIS_BROKER_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "IRIS_CARRIERS_FILE": str(carriers),
            "IRIS_SECRET_KEY": "only-for-chaos-" + 40 * "x",
            "IRIS_SANDBOX_SPEED": str(SPEED),
            "IRIS_LEASE_SECONDS": "5",
            # A worker may be dead when a report is due. The timeout is so long that only deliveries that are really lost
            # count as lost.
            "IRIS_REPORT_TIMEOUT_SECONDS": str(90 * SPEED),
            "IRIS_API_THROTTLE": "1000000/minute",
        }
        self.url = f"http://127.0.0.1:{self.web_port}"
        self.log = (home / "chaos.log").open("ab")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        if not self.is_migrated:
            self.manage("migrate", "--verbosity=0")
        self.start_redis()
        self.start_web()
        for number in range(WORKERS):
            self.start_worker(number)
        self._spawn("beat", "celery", "--quiet", "-A", "iris", "beat", "--pidfile=")

    def start_redis(self) -> None:
        self._spawn(
            "redis",
            "redis-server",
            "--port",
            str(self.redis_port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            module=False,
        )

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

    def crash_postgres(self) -> None:
        """Kill PostgreSQL, so that it cannot write anything more, and start it again."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, signal.SIGQUIT)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), seconds=30)
        server.leave(self.folder)
        server.join(self.folder, "iris")

    def stop(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        self.log.close()
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
        with psycopg.connect(self.database) as connection:
            row = connection.execute(sql.encode()).fetchone()
            assert row is not None
            return int(row[0])

    def command(self, *statements: str) -> None:
        """Execute statements as a superuser, each in a transaction of its own."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def family(self, name: str) -> list[psutil.Process]:
        """Return a process and its children."""
        process = psutil.Process(self.processes[name].pid)
        return [process, *process.children(recursive=True)]

    def _spawn(self, name: str, *command: str, module: bool = True) -> None:
        line = [sys.executable, "-m", *command] if module else list(command)
        self.processes[name] = subprocess.Popen(
            line,
            cwd=self.home,
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )


def numbers(count: int, rng: random.Random) -> list[int]:
    """Return mobile numbers. For one number in ten, the sandbox simulates a special outcome."""
    fates = [*range(9901, 9909)]
    found = []
    for index in range(count):
        last = rng.choice(fates) if rng.random() < 0.1 else rng.randrange(9900)
        found.append(
            int(f"98{index % 10_000:04d}{last:04d}")
            if index < 10_000
            else int(f"97{index % 10_000:04d}{last:04d}")
        )
    return found


def run(
    recipients: int, *, seed: int, home: Path, pace: int | None = None, max_kills: int | None = None
) -> Figures:
    """Run a campaign at `pace` calls per second while processes are killed. Return the figures of the tables afterwards.

    With `max_kills`, no worker is killed after that many kills: each restart costs seconds of processor time.
    """
    rng = random.Random(seed)
    figures = Figures(recipients, pace=pace or max(100, recipients // 40))
    system = System(home, pace=figures.pace)
    try:
        system.start()
        system.manage("createaccount", EMAIL, "--password", PASSWORD, "--credits", str(recipients * 10))
        begun = time.monotonic()
        seconds = max(900.0, recipients / 20)
        _begin(system, numbers(recipients, rng)).close()
        _storm(system, figures, rng, seconds=seconds, max_kills=max_kills)
        with closing(_begin(system, numbers(recipients, rng))) as caller:
            figures.drills = drills.all_of_them(system, caller, faults=figures.faults)
            wait_for(lambda: system.query(drills.LIVE_RUNS) == 0, seconds=seconds)
        figures.seconds = time.monotonic() - begun
        count(system, figures)
    finally:
        system.stop()
    return figures


def _begin(system: System, to: list[int]) -> httpx.Client:
    """Begin the campaign. Return a client that is logged in."""
    client = httpx.Client(base_url=system.url, timeout=60)
    wait_for(lambda: _answers(client), seconds=60)
    login = client.post("/api/accounts/login/", json={"email": EMAIL, "password": PASSWORD})
    client.headers["Authorization"] = f"Bearer {login.json()['data']['token']['access']}"
    sheet = "numbers\n" + "\n".join(map(str, to))
    created = client.post(
        "/api/system/campaigns/",
        data={"name": "Chaos", "services": "PHONE"},
        files={"send_to_number_file": ("numbers.csv", sheet.encode())},
    )
    assert created.status_code == 201, created.text
    campaign = created.json()["data"]["details"][0]["id"]
    begun = client.post(
        f"/api/system/campaigns/{campaign}/begin/", json={"message": "नमस्कार", "retry": RETRY}
    )
    assert begun.status_code == 200, begun.text
    return client


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def _storm(
    system: System, figures: Figures, rng: random.Random, *, seconds: float, max_kills: int | None
) -> None:
    """Kill and restart a random worker every one to three seconds until the run has ended. Restart Redis and PostgreSQL.

    Each kill waits for progress since the last kill. Otherwise, on a slow machine, workers would be killed while they start,
    and nothing would ever happen.
    """
    end = time.monotonic() + seconds
    happened = 0
    next_redis = time.monotonic() + 4
    crash_at = time.monotonic() + 8
    while time.monotonic() < end:
        time.sleep(rng.uniform(1, 3))
        if system.query(drills.LIVE_RUNS) == 0:
            return
        ended = system.query(drills.ENDED)
        happened, before = (
            system.query("SELECT coalesce(sum(status), 0) + count(*) FROM telephony_delivery"),
            happened,
        )
        if happened == before and time.monotonic() < end:
            continue
        print(f"{figures.kills} kills, {ended} deliveries ended", file=sys.stderr, flush=True)
        if max_kills is None or figures.kills < max_kills:
            _kill_worker(system, figures, rng)
        if time.monotonic() > next_redis:
            system.kill("redis")
            system.start_redis()
            figures.redis_restarts += 1
            next_redis = time.monotonic() + 15
        if not figures.postgres_restarts and time.monotonic() > crash_at:
            system.crash_postgres()
            figures.postgres_restarts += 1
    figures.faults.append(f"The run had not ended after {seconds:.0f} s.")


def _kill_worker(system: System, figures: Figures, rng: random.Random) -> None:
    """Kill and restart a random worker, and half the time kill a pool process of another worker."""
    number = rng.randrange(WORKERS)
    system.kill(f"worker{number}")
    figures.kills += 1
    if rng.random() < 0.5:
        system.kill_pool_process(f"worker{(number + 1) % WORKERS}", rng)
        figures.kills += 1
    system.start_worker(number)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    if shutil.which("redis-server") is None:
        print("make chaos needs the program redis-server.", file=sys.stderr)
        return 2
    exact = True
    for time_number in range(arguments.times):
        seed = arguments.seed + time_number
        with tempfile.TemporaryDirectory(prefix="iris-chaos-") as home:
            figures = run(arguments.recipients, seed=seed, home=Path(home))
        print(f"seed {seed}: {'exact' if figures.exact else 'NOT EXACT'}\n{figures}\n", flush=True)
        exact = exact and figures.exact
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
