"""Let the parts of a system fail one after the other, in other ways than by dying.

`make chaos` uses this during a campaign.
"""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING

import httpx

from tests.live import wait_for

if TYPE_CHECKING:
    from tests.chaos.system import System

ENDED = "SELECT count(*) FROM telephony_delivery WHERE status >= 100"
LIVE_RUNS = "SELECT count(*) FROM campaigns_run WHERE finished_at IS NULL"
END_SESSIONS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND application_name <> 'observer'"""
ROUNDS = 3  # rounds of requests within each drill


@contextmanager
def read_only(system: System) -> Iterator[None]:
    """Make PostgreSQL read-only, as after a failover to a standby, for existing and new sessions."""
    system.command("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        system.command(
            "SET default_transaction_read_only = off",
            "ALTER SYSTEM RESET default_transaction_read_only",
            "SELECT pg_reload_conf()",
        )


@contextmanager
def full_disk(system: System) -> Iterator[None]:
    """Prevent all processes of iris from writing to files: the kernel raises EFBIG, which iris handles like a full disk."""
    _limit_files(system, 0)
    try:
        yield
    finally:
        _limit_files(system, resource.RLIM_INFINITY)


def _limit_files(system: System, size: int) -> None:
    """Limit the size of files of all processes, including those started since, which have the limit of their parent."""
    for name in system.processes:
        for process in system.family(name) if name != "redis" else ():
            with suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def hung_redis(system: System) -> Iterator[None]:
    """Let Redis accept connections but answer no request."""
    process = system.processes["redis"]
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@contextmanager
def ended_sessions(system: System) -> Iterator[None]:
    """End all database sessions twice, as a fast restart of the server does."""
    system.command(END_SESSIONS)
    yield
    system.command(END_SESSIONS)


Drill = Callable[["System"], AbstractContextManager[None]]
# The drills, and the name of the part that /health reports in the meantime; None if the failure does not last.
DRILLS: dict[str, tuple[Drill, str | None]] = {
    "read-only": (read_only, "database"),
    "full disk": (full_disk, "media"),
    "hung Redis": (hung_redis, "broker"),
    "sessions ended": (ended_sessions, None),
}


def all_of_them(system: System, caller: httpx.Client, *, faults: list[str]) -> dict[str, int]:
    """Return how many requests got a 503 in each drill. Other unexpected responses are appended to `faults`."""
    return {name: _drill(system, caller, name, faults) for name in DRILLS}


def _drill(system: System, caller: httpx.Client, name: str, faults: list[str]) -> int:
    """Let one part fail during a run.

    Every request is answered: as usual, or with a 503 and `Retry-After`. Afterwards the run continues.

    """
    cause, part = DRILLS[name]
    told = 0
    with cause(system):
        if part is not None:
            wait_for(lambda: _part(system, part) != "ok", seconds=20)
        for answer in (answer for _ in range(ROUNDS) for answer in _requests(caller)):
            comes_again = answer.status_code == 503 and "Retry-After" in answer.headers
            told += comes_again
            if answer.status_code >= 500 and not comes_again:
                faults.append(f"{name}: {answer.request.url.path} answered {answer.status_code}.")
    if part is not None:
        wait_for(lambda: _part(system, part) == "ok", seconds=30)
    ended = system.query(ENDED)
    wait_for(lambda: system.query(ENDED) > ended or system.query(LIVE_RUNS) == 0, seconds=90)
    return told


def _requests(caller: httpx.Client) -> Iterator[httpx.Response]:
    """Send three requests: one that reads, one that changes the database, and one that stores a file."""
    yield caller.get("/api/system/campaigns/")
    yield caller.post("/api/v1/campaign/create/", json={"name": "x", "services": "PHONE"})
    yield caller.post(
        "/api/system/test/voice/", json={"message": f"नमस्कार {time.time_ns()}", "voice_input": "np_rija"}
    )


def _part(system: System, part: str) -> str:
    try:
        return str(httpx.get(f"{system.url}/health", timeout=20).json()[part])
    except httpx.TransportError:
        return "the web server does not answer"
