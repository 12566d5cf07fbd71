"""`make chaos`: run a campaign while workers are killed and Redis and PostgreSQL are restarted.

The system runs as in production: web, three workers and beat are separate processes, Redis and PostgreSQL are servers.
The recipients have all sandbox outcomes. The sandbox carrier's table shows what was sent.
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
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import psycopg

from iris.devserver.embedded import server
from tests.live import ROOT, free_port, wait_for

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
EMAIL, PASSWORD = "chaos@example.com", "chaos-password"
# The final status of a recipient by the last four digits of its number, as the sandbox defines them.
EXPECTED = {
    "9901": "unanswered",
    "9902": "unanswered",
    "9903": "hungup",
    "9904": "failed",
    "9905": "failed",
}


@dataclass
class Figures:
    recipients: int
    pace: int  # CPS of the trunk: low enough that the kills hit the run before it ends
    seconds: float = 0.0
    kills: int = 0
    redis_restarts: int = 0
    postgres_restarts: int = 0
    deliveries: int = 0
    fullest_second: int = 0
    unfinished: int = 0
    duplicates: int = 0
    lost: int = 0
    wrong: int = 0
    ledger: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        return not (self.unfinished or self.duplicates or self.lost or self.wrong or self.faults) and (
            "difference 0" in self.ledger
        )

    def __str__(self) -> str:
        return (
            f"{self.recipients} recipients in {self.seconds:.0f} s at {self.pace}/s, {self.fullest_second} in the fullest"
            f" second · {self.kills} processes killed, Redis restarted {self.redis_restarts} times,"
            f" PostgreSQL {self.postgres_restarts}\n"
            f"deliveries {self.deliveries} · unfinished {self.unfinished} · duplicates {self.duplicates}"
            f" · lost {self.lost} · wrong status {self.wrong}\n{self.ledger}"
            + "".join(f"\n{f}" for f in self.faults)
        )


class System:
    """Start, kill and stop all processes of a production system, with their files in `home`."""

    def __init__(self, home: Path, *, pace: int) -> None:
        self.home = home
        carriers = home / "carriers.toml"
        carriers.write_text(CARRIERS.format(pace=pace))
        self.redis_port, self.web_port = free_port(), free_port()
        self.folder = server.folder_of(home)
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
            # A worker may be dead when a report is due. With a short timeout, deliveries would wrongly count as lost.
            "IRIS_REPORT_TIMEOUT_SECONDS": str(90 * SPEED),
            "IRIS_API_THROTTLE": "1000000/minute",
        }
        self.log = (home / "chaos.log").open("ab")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
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
        """Send SIGKILL to one pool process of a worker, as the kernel does when memory runs out."""
        children = psutil.Process(self.processes[name].pid).children()
        if children:
            rng.choice(children).kill()

    def kill(self, name: str) -> None:
        """Send SIGKILL to a process and all its children, as if the machine lost power."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def crash_postgres(self) -> None:
        """Stop PostgreSQL immediately, without a checkpoint, and start it again."""
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


def phone_numbers(count: int, rng: random.Random) -> list[int]:
    """Return mobile numbers. One in ten has a special outcome in the sandbox."""
    outcomes = [*range(9901, 9909)]
    numbers = []
    for index in range(count):
        last = rng.choice(outcomes) if rng.random() < 0.1 else rng.randrange(9900)
        numbers.append(
            int(f"98{index % 10_000:04d}{last:04d}")
            if index < 10_000
            else int(f"97{index % 10_000:04d}{last:04d}")
        )
    return numbers


def run(recipients: int, *, seed: int, home: Path, pace: int | None = None) -> Figures:
    """Run one campaign at `pace` calls per second while processes are killed. Return what the tables say afterwards."""
    rng = random.Random(seed)
    figures = Figures(recipients, pace=pace or max(100, recipients // 40))
    system = System(home, pace=figures.pace)
    try:
        system.start()
        system.manage("createaccount", EMAIL, "--password", PASSWORD, "--credits", str(recipients * 10))
        started = time.monotonic()
        _begin(system, phone_numbers(recipients, rng))
        _kill_at_random(system, figures, rng, seconds=max(900.0, recipients / 20))
        figures.seconds = time.monotonic() - started
        _read_results(system, figures)
    finally:
        system.stop()
    return figures


def _begin(system: System, to: list[int]) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{system.web_port}", timeout=60) as client:
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
        begun = client.post(f"/api/system/campaigns/{campaign}/begin/", json={"message": "नमस्कार"})
        assert begun.status_code == 200, begun.text


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def _kill_at_random(system: System, figures: Figures, rng: random.Random, *, seconds: float) -> None:
    """Kill and restart a random worker every one to three seconds, until the run has ended.

    Half of the time, also kill a pool process of another worker. Kill only after some delivery has made progress since the
    last kill: on a slow machine, workers that are killed while they start would never make progress.
    """
    end = time.monotonic() + seconds
    progress = 0
    next_redis = time.monotonic() + 4
    crash_at = time.monotonic() + 8
    while time.monotonic() < end:
        time.sleep(rng.uniform(1, 3))
        if system.query("SELECT count(*) FROM campaigns_run WHERE finished_at IS NULL") == 0:
            return
        ended = system.query("SELECT count(*) FROM telephony_delivery WHERE status >= 100")
        progress, previous = (
            system.query("SELECT coalesce(sum(status), 0) + count(*) FROM telephony_delivery"),
            progress,
        )
        if progress == previous and time.monotonic() < end:
            continue
        print(f"{figures.kills} kills, {ended} deliveries ended", file=sys.stderr, flush=True)
        number = rng.randrange(WORKERS)
        system.kill(f"worker{number}")
        figures.kills += 1
        if rng.random() < 0.5:
            system.kill_pool_process(f"worker{(number + 1) % WORKERS}", rng)
            figures.kills += 1
        system.start_worker(number)
        if time.monotonic() > next_redis:
            system.kill("redis")
            system.start_redis()
            figures.redis_restarts += 1
            next_redis = time.monotonic() + 15
        if not figures.postgres_restarts and time.monotonic() > crash_at:
            system.crash_postgres()
            figures.postgres_restarts += 1
    figures.faults.append(f"The run had not ended after {seconds:.0f} s.")


def _read_results(system: System, figures: Figures) -> None:
    figures.deliveries = system.query("SELECT count(*) FROM telephony_delivery")
    figures.unfinished = system.query("SELECT count(*) FROM telephony_delivery WHERE status < 100")
    figures.duplicates = system.query(
        "SELECT count(*) FROM (SELECT FROM telephony_sandboxmessage GROUP BY delivery_key HAVING count(*) > 1) doubled"
    )
    figures.lost = system.query(
        """SELECT count(*) FROM campaigns_recipient r LEFT JOIN telephony_delivery d ON d.item = r.id
            LEFT JOIN telephony_sandboxmessage m ON m.delivery_key = d.id::text
            WHERE m.id IS NULL AND right(r."to", 4) <> '9904'"""
    )
    expected = " ".join(f"WHEN '{digits}' THEN '{word}'" for digits, word in EXPECTED.items())
    figures.wrong = system.query(
        f"""SELECT count(*) FROM campaigns_recipient
             WHERE CASE right("to", 4) {expected} ELSE 'completed' END IS DISTINCT FROM
                   CASE status WHEN 100 THEN 'completed' WHEN 101 THEN 'hungup' WHEN 102 THEN 'unanswered'
                               WHEN 103 THEN 'failed' END"""
    )
    figures.fullest_second = system.query(
        """SELECT max(count) FROM (
               SELECT count(*) OVER (ORDER BY created_at RANGE BETWEEN CURRENT ROW AND '0.999 s' FOLLOWING)
                 FROM telephony_sandboxmessage) AS seconds"""
    )
    figures.ledger = system.manage("check_ledger", check=False)


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
    for repetition in range(arguments.times):
        seed = arguments.seed + repetition
        with tempfile.TemporaryDirectory(prefix="iris-chaos-") as home:
            figures = run(arguments.recipients, seed=seed, home=Path(home))
        print(f"seed {seed}: {'exact' if figures.exact else 'NOT EXACT'}\n{figures}\n", flush=True)
        exact = exact and figures.exact
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
