"""Calls with retries while workers are killed, and while Redis and PostgreSQL are restarted; then the drills.

The table of the sandbox carrier shows what was sent.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx

from tests.chaos import drills
from tests.chaos.figures import Figures, count
from tests.chaos.system import EMAIL, PASSWORD, SANDBOX, WORKERS, System
from tests.live import wait_for

# Each of these numbers is called three times, whoever dies meanwhile.
RETRY = {"tries": 3, "on": ["busy", "unanswered", "hungup"], "delay_seconds": 3}


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
    recipients: int,
    *,
    seed: int,
    home: Path,
    pace: int | None = None,
    max_kills: int | None = None,
    note: Callable[[int], object] = lambda ended: None,
) -> Figures:
    """Run a campaign at `pace` calls per second while processes are killed. Return the figures of the tables afterwards.

    `note` is told now and then how many deliveries have ended. With `max_kills`, no worker is killed after that many
    kills: each restart costs seconds of processor time.
    """
    rng = random.Random(seed)
    figures = Figures(recipients, pace=pace or max(100, recipients // 40))
    system = System(home, carriers=SANDBOX.format(pace=figures.pace))
    try:
        system.start()
        system.manage("createaccount", EMAIL, "--password", PASSWORD, "--credits", str(recipients * 10))
        begun = time.monotonic()
        seconds = max(900.0, recipients / 20)
        _begin(system, numbers(recipients, rng)).close()
        storm(system, figures, rng, seconds=seconds, max_kills=max_kills, note=note)
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
    client = system.caller()
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


def storm(
    system: System,
    figures: Figures,
    rng: random.Random,
    *,
    seconds: float,
    max_kills: int | None,
    note: Callable[[int], object],
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
        note(system.query(drills.ENDED))
        happened, before = (
            system.query("SELECT coalesce(sum(status), 0) + count(*) FROM telephony_delivery"),
            happened,
        )
        if happened == before and time.monotonic() < end:
            continue
        if max_kills is None or figures.kills < max_kills:
            figures.kills += kill_worker(system, rng)
        if time.monotonic() > next_redis:
            system.kill("redis")
            system.start_redis()
            figures.redis_restarts += 1
            next_redis = time.monotonic() + 15
        if not figures.postgres_restarts and time.monotonic() > crash_at:
            system.crash_postgres()
            figures.postgres_restarts += 1
    figures.faults.append(f"The run had not ended after {seconds:.0f} s.")


def kill_worker(system: System, rng: random.Random) -> int:
    """Kill and restart a random worker, and half the time kill a pool process of another worker. Return how many died."""
    number = rng.randrange(WORKERS)
    system.kill(f"worker{number}")
    kills = 1
    if rng.random() < 0.5:
        system.kill_pool_process(f"worker{(number + 1) % WORKERS}", rng)
        kills += 1
    system.start_worker(number)
    return kills
