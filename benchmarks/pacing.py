"""Measure the pace of a trunk with slow commits and on a busy machine, with 1, 2 and 4 workers.

The reference is the rate of the same machine without a pace. Also measures how long a stop and an OTP take meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import psycopg

from benchmarks.table import Row
from benchmarks.worlds import begin, database, make_campaign, running_iris
from tests.live import ROOT, LiveIris, wait_for

PACES = (5, 50, 200, 400)
WORKERS = (1, 2, 4)
COMMIT_MILLISECONDS = (0, 10, 20, 40)  # duration of each commit
LOAD_PROCESSES = 20  # processes that only use CPU time
QUIET = "quiet"
SLOWEST_COMMITS = f"commits of {COMMIT_MILLISECONDS[-1]} ms"
LOADED = f"beside a load of {LOAD_PROCESSES}"
CONDITIONS = (QUIET, *(f"commits of {delay} ms" for delay in COMMIT_MILLISECONDS if delay), LOADED)
SETTLE_SECONDS = 2.0  # not measured after a change of the conditions
CARRIERS = """
[carriers.sandbox]
BACKEND = "telephony.carriers.sandbox.SandboxCarrier"
{pace}

[routes]
call = ["sandbox"]
sms = ["sandbox"]
"""


@dataclass
class Measured:
    """The mean submissions per second for each number of workers, and the maximum within any second."""

    means: dict[int, float] = field(default_factory=dict)
    fullest: int = 0


def measure(scale: float) -> list[Row]:
    seconds = max(5.0, 15 * scale)
    free = _measure(None, seconds=max(3.0, seconds / 3))[0]
    rows = []
    for pace in PACES:
        paced, reactions = _measure(pace, seconds=seconds)
        rows += [_row(pace, condition, paced[condition], free[condition]) for condition in CONDITIONS]
        rows += reactions
    return rows


def _row(pace: int, condition: str, paced: Measured, free: Measured) -> Row:
    ratios = {workers: mean / min(pace, free.means[workers]) for workers, mean in paced.means.items()}
    worst, allowed = min(ratios.values()), int(pace + max(1, pace * 0.02))
    goal = 0.99 if condition == QUIET else 0.9
    return Row(
        what=f"pacing of {pace}/s, {condition}; {', '.join(map(str, WORKERS))} workers",
        measured=f"{', '.join(f'{mean:.2f}' for mean in paced.means.values())}/s, fullest second {paced.fullest}",
        against=f"the setting, or {', '.join(f'{mean:.0f}' for mean in free.means.values())}/s without a pace",
        ratio=worst,
        goal=f"≥ {goal}, never > {allowed}",
        reached=worst >= goal and paced.fullest <= allowed,
    )


def _measure(pace: int | None, *, seconds: float) -> tuple[dict[str, Measured], list[Row]]:
    found = {condition: Measured() for condition in CONDITIONS}
    reactions = []
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file, ExitStack() as stack:
        file.write(CARRIERS.format(pace=f"CPS = {pace}" if pace else ""))
        file.flush()
        iris = stack.enter_context(running_iris(IRIS_CARRIERS_FILE=file.name))
        connection = stack.enter_context(database(iris))
        rounds = len(CONDITIONS) * len(WORKERS) + 4
        campaign = make_campaign(iris, int((pace or 12_000) * (seconds + SETTLE_SECONDS + 3) * rounds))
        begin(iris, campaign)
        running = 1
        for workers in WORKERS:
            for _ in range(workers - running):
                stack.enter_context(_worker(iris, f"more{running}"))
                running += 1
            for condition in CONDITIONS:
                with _condition(connection, condition):
                    time.sleep(SETTLE_SECONDS)
                    mean, fullest = _watch(connection, seconds=seconds)
                    found[condition].means[workers] = mean
                    found[condition].fullest = max(found[condition].fullest, fullest)
                    if pace and condition == SLOWEST_COMMITS and workers == 1:
                        reactions = _reactions(iris, connection, pace, condition, campaign)
                        campaign = make_campaign(iris, int(pace * (seconds + SETTLE_SECONDS + 3) * rounds))
                        begin(iris, campaign)
                        time.sleep(SETTLE_SECONDS)
    return found, reactions


def _watch(connection: psycopg.Connection, *, seconds: float) -> tuple[float, int]:
    """Return the mean submissions per second from now on, and the maximum within any second."""
    begun = connection.execute("SELECT clock_timestamp()").fetchone()
    assert begun is not None
    time.sleep(seconds + 0.5)
    moments = [
        row[0]
        for row in connection.execute(
            """SELECT extract(epoch FROM created_at - %s)::float8 FROM telephony_sandboxmessage
                WHERE created_at >= %s ORDER BY created_at""",
            [begun[0], begun[0]],
        )
    ]
    return sum(moment < seconds for moment in moments) / seconds, _fullest_second(moments)


def _fullest_second(moments: list[float]) -> int:
    """Return the maximum number of moments within any sliding second."""
    most, second = 0, deque[float]()
    for moment in moments:
        second.append(moment)
        while second[0] <= moment - 1:
            second.popleft()
        most = max(most, len(second))
    return most


def _reactions(
    iris: LiveIris, connection: psycopg.Connection, pace: int, condition: str, campaign: int
) -> list[Row]:
    """Measure how long an OTP waits while the campaign runs, and how long stopping the campaign takes."""
    begun = time.perf_counter()
    iris.demo.post("/api/system/send/otp/", data=_OTP).raise_for_status()
    wait_for(lambda: _is_submitted(connection, _OTP["number"]), seconds=30)
    otp = time.perf_counter() - begun
    begun = time.perf_counter()
    iris.demo.post(f"/api/system/campaigns/{campaign}/stop/").raise_for_status()
    stop = time.perf_counter() - begun
    answered = connection.execute("SELECT clock_timestamp()").fetchone()
    assert answered is not None
    time.sleep(2)
    late = connection.execute(
        "SELECT count(*) FROM telephony_sandboxmessage WHERE created_at > %s", [answered[0]]
    ).fetchone()
    assert late is not None
    return [
        Row(
            what=f"an OTP beside a campaign at {pace}/s, {condition}",
            measured=f"with the carrier after {otp:.2f} s",
            goal="< 2 s",
            reached=otp < 2,
        ),
        Row(
            what=f"stop of a campaign at {pace}/s, {condition}",
            measured=f"{stop:.2f} s, then {late[0]} submitted",
            goal="< 1 s, then 0",
            reached=stop < 1 and not late[0],
        ),
    ]


_OTP = {
    "number": "9841999000",
    "message": "Your code is {otp}",
    "sms_send_options": "text",
    "otp_options": "generated",
    "otp_length": "6",
}


def _is_submitted(connection: psycopg.Connection, number: str) -> bool:
    found = connection.execute(
        "SELECT count(*) FROM telephony_sandboxmessage WHERE \"to\" LIKE '%%' || %s", [number]
    ).fetchone()
    return bool(found and found[0])


@contextmanager
def _condition(connection: psycopg.Connection, condition: str) -> Iterator[None]:
    if condition == LOADED:
        with _load():
            yield
    else:
        _slow_commits(
            connection, next((delay for delay in COMMIT_MILLISECONDS if f" {delay} " in condition), 0)
        )
        try:
            yield
        finally:
            _slow_commits(connection, 0)


def _slow_commits(connection: psycopg.Connection, milliseconds: int) -> None:
    """Delay each commit, as on a slow cloud disk or a remote database."""
    connection.execute("ALTER SYSTEM SET commit_siblings = 0")
    connection.execute(f"ALTER SYSTEM SET commit_delay = {milliseconds * 1000}".encode())
    connection.execute("SELECT pg_reload_conf()")


@contextmanager
def _load() -> Iterator[None]:
    # They also end after a time limit, in case this process does not end them.
    busy = "import time; end = time.monotonic() + 300\nwhile time.monotonic() < end: pass"
    processes = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(LOAD_PROCESSES)]
    try:
        yield
    finally:
        _end(processes)


@contextmanager
def _worker(iris: LiveIris, name: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, *f"-m celery --quiet -A iris worker --concurrency=3 -n {name}".split()],
        cwd=ROOT,
        env=iris.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        _end([process])


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()
