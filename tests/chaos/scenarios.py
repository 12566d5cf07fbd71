"""All scenarios by name, with what each of them needs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chaos import clocks, failover, load, pauses, sessions
from tests.chaos.kills import kill_worker
from tests.chaos.system import System
from tests.chaos.trial import Trial, Verdict
from tests.poolers import Bridge, pooler

SECONDS = 900.0  # at least, for a campaign
# How long a claim may last. Longer than the pauses of 20 s: a real carrier does not know how old a submission is.
LEASE_SECONDS = "30"
SHORT_LEASE = {"IRIS_LEASE_SECONDS": "5"}
POOL_SIZE = 40


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What fails during a campaign of `recipients` SMS at `pace` a second (None: as fast as possible).

    `around` is entered before iris starts. `begins_itself`: the cause begins the campaigns, within `minutes`.
    """

    cause: Callable[[Trial], None]
    recipients: int = 5000
    pace: int | None = 50
    minutes: float = 0.0
    begins_itself: bool = False
    variables: Mapping[str, str] = field(default_factory=lambda: {"IRIS_LEASE_SECONDS": LEASE_SECONDS})
    configuration: Mapping[str, str] = field(default_factory=dict)
    small_disk: bool = False
    around: Callable[[System], object] | None = None
    missing: Callable[[], str] = lambda: ""


def killed_workers(trial: Trial) -> None:
    """Kill workers and their processes one after the other, restart Redis, and crash PostgreSQL every minute."""
    next_redis, next_crash = time.monotonic() + 5, time.monotonic() + 10
    while not trial.is_over():
        trial.pause(1, 3)
        trial.wait_for_progress()
        trial.verdict.happened["processes killed"] += kill_worker(trial.system, trial.rng)
        if time.monotonic() > next_redis:
            trial.system.kill("redis")
            trial.system.start_redis()
            trial.happens("Redis restarted")
            next_redis = time.monotonic() + 15
        if time.monotonic() > next_crash:
            trial.system.crash_postgres()
            trial.happens("PostgreSQL crashed")
            next_crash = time.monotonic() + 60


def _program(name: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(name) else f"It needs the program {name}."


@contextmanager
def _behind_a_pooler(system: System) -> Iterator[None]:
    program = shutil.which("pgbouncer")
    assert program is not None
    limits = f"default_pool_size = {POOL_SIZE}\nquery_wait_timeout = 5\nserver_login_retry = 1"
    with TemporaryDirectory() as folder, ExitStack() as stack:
        bridge = Bridge(system.sockets)
        stack.callback(bridge.close)
        url = stack.enter_context(
            pooler(program, Path(folder), "session", port=bridge.port, database="iris", more=limits)
        )
        system.environment["IRIS_DATABASE_URL"] = url
        yield


SCENARIOS: dict[str, Scenario] = {
    "killed-workers": Scenario(cause=killed_workers, pace=None, recipients=50_000, variables=SHORT_LEASE),
    "terminated-backends": Scenario(cause=sessions.terminated_backends),
    "exhausted-connections": Scenario(
        cause=sessions.exhausted_connections, configuration={"max_connections": str(POOL_SIZE)}
    ),
    "full-pooler": Scenario(
        cause=sessions.exhausted_connections, around=_behind_a_pooler, missing=_program("pgbouncer")
    ),
    "idle-in-transaction": Scenario(cause=sessions.idle_in_transaction),
    "long-readers": Scenario(cause=sessions.long_readers, pace=None, recipients=50_000),
    "pauses": Scenario(cause=pauses.pauses, recipients=15_000),
    "clock-jumps": Scenario(
        cause=clocks.clock_jumps,
        around=clocks.settable_clocks,
        missing=_program(clocks.COMPILER),
    ),
    "read-only": Scenario(cause=failover.read_only),
    "promoted-standby": Scenario(
        cause=failover.promoted_standby, around=failover.behind_a_bridge, begins_itself=True
    ),
    "full-disk": Scenario(cause=failover.full_disk),
    "full-database-disk": Scenario(
        cause=failover.full_database_disk,
        configuration=failover.SMALL_LOG,
        small_disk=True,
        missing=lambda: "" if os.geteuid() == 0 else "It mounts a small disk, so it needs root.",
    ),
    "overload": Scenario(cause=load.overload, recipients=45_000, pace=50, minutes=10, begins_itself=True),
    "soak": Scenario(cause=load.soak, recipients=90_000, pace=60, minutes=30, begins_itself=True),
}


def run(
    name: str,
    *,
    seed: int,
    home: Path,
    recipients: int | None = None,
    pace: int | None = None,
    minutes: float | None = None,
    note: Callable[[int], object] = lambda ended: None,
) -> Verdict:
    """Run one scenario in a new system in `home`, and judge it. `note` is told how many deliveries have ended."""
    scenario = SCENARIOS[name]
    recipients = recipients or scenario.recipients
    minutes = scenario.minutes if minutes is None else minutes
    with ExitStack() as stack:
        if scenario.small_disk:
            stack.enter_context(failover.small_disk(home))
        trial = Trial(
            name,
            recipients=recipients,
            seed=seed,
            home=home,
            pace=pace or scenario.pace,
            seconds=max(SECONDS, recipients / 20) + 120 * minutes,
            variables=scenario.variables,
            configuration=scenario.configuration,
            note=note,
        )
        trial.minutes = minutes
        stack.callback(trial.close)
        if scenario.around is not None:
            around = scenario.around(trial.system)
            stack.enter_context(around)  # type: ignore[arg-type]
        trial.start()
        begun = time.monotonic()
        trial.visit()
        if not scenario.begins_itself:
            trial.begin()
        scenario.cause(trial)
        return trial.judge(begun)
