"""Measure runs through the sandbox carrier from begin to their last report, against bare SQL of the same row changes."""

from __future__ import annotations

import time
from datetime import datetime

import psycopg

from benchmarks import row_changes
from benchmarks.table import Row
from benchmarks.worlds import begin, database, idle_database, make_campaign, running_iris
from tests.live import LiveIris, wait_for

BATCH = 1000


def measure(scale: float) -> list[Row]:
    small, large = int(100_000 * scale), int(1_000_000 * scale)
    with running_iris() as iris:
        rate = campaign_rate(iris, small)
        floor = bare_sql_rate(iris, small)
    with running_iris() as iris:
        large_rate, begin_seconds, memory = _large(iris, large)
        stop_seconds, late = _stop(iris, large)
    return [
        Row(
            what=f"campaign of {small:,} SMS, begin to settled",
            measured=f"{rate:,.0f}/s",
            against=f"bare SQL of the same row changes: {floor:,.0f}/s",
            ratio=rate / floor,
            goal="≥ 0.33 and ≥ 3,000/s",
            reached=rate / floor >= 0.33 and rate >= 3000,
        ),
        Row(
            what=f"the same with {large:,} recipients",
            measured=f"{large_rate:,.0f}/s",
            against=f"{rate:,.0f}/s",
            ratio=large_rate / rate,
            goal="≥ 0.9",
            reached=large_rate / rate >= 0.9,
        ),
        Row(
            what="memory of web, worker and beat during that run, first and last tenth",
            measured=memory,
            goal="flat",
        ),
        Row(
            what=f"begin on {large:,} recipients",
            measured=f"{begin_seconds:.3f} s",
            goal="< 1 s",
            reached=begin_seconds < 1,
        ),
        Row(
            what=f"stop of a running campaign of {large:,}",
            measured=f"{stop_seconds:.3f} s; submitted after it answered: {late}",
            goal="< 1 s; 0",
            reached=stop_seconds < 1 and late == 0,
        ),
    ]


def campaign_rate(iris: LiveIris, count: int, *, shuffled: bool = False) -> float:
    """Run a campaign of this many SMS. Return its rate from begin to the last report, in SMS a second."""
    campaign = make_campaign(iris, count, shuffled=shuffled)
    begun = time.perf_counter()
    begin(iris, campaign)
    wait_for(lambda: iris.details(campaign)["status"] == "Completed", seconds=count / 200)
    rate = count / (time.perf_counter() - begun)
    assert "difference 0" in iris.manage("check_ledger")
    return rate


def _large(iris: LiveIris, count: int) -> tuple[float, float, str]:
    campaign = make_campaign(iris, count)
    begun = time.perf_counter()
    begin(iris, campaign)
    begin_seconds = time.perf_counter() - begun
    samples: list[int] = []

    def completed() -> bool:
        samples.append(_memory(iris))
        return bool(iris.details(campaign)["status"] == "Completed")

    while not completed():
        time.sleep(1)
    rate = count / (time.perf_counter() - begun)
    tenth = max(1, len(samples) // 10)
    first, last = (
        sum(part) // len(part) for part in (samples[tenth : 2 * tenth] or samples, samples[-tenth:])
    )
    return rate, begin_seconds, f"{first} MB → {last} MB"


def _memory(iris: LiveIris) -> int:
    """Return the proportional set size of all processes of this iris except the database, in megabytes."""
    import psutil

    parent = psutil.Process(iris.process.pid)
    total = 0
    for process in parent.children(recursive=True):
        try:
            if "postgres" not in process.name():
                total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total // 2**20


def _stop(iris: LiveIris, count: int) -> tuple[float, int]:
    campaign = make_campaign(iris, count)
    begin(iris, campaign)
    with database(iris) as connection:
        wait_for(lambda: _sent(connection, campaign) > 2000, seconds=60)
        begun = time.perf_counter()
        iris.demo.post(f"/api/system/campaigns/{campaign}/stop/")
        seconds = time.perf_counter() - begun
        answered: datetime = connection.execute("SELECT clock_timestamp()").fetchone()[0]  # type: ignore[index]
        time.sleep(3)
        late = connection.execute(
            """SELECT count(*) FROM telephony_sandboxmessage m JOIN telephony_delivery d ON d.id::text = m.delivery_key
                 JOIN campaigns_run r ON r.id = d.batch AND r.campaign_id = %s WHERE m.created_at > %s""",
            [campaign, answered],
        ).fetchone()
    assert late is not None
    return seconds, late[0]


def _sent(connection: psycopg.Connection, campaign: int) -> int:
    row = connection.execute(
        """SELECT count(*) FROM telephony_delivery WHERE status > 10
              AND batch = (SELECT max(id) FROM campaigns_run WHERE campaign_id = %s)""",
        [campaign],
    ).fetchone()
    assert row is not None
    return int(row[0])


def bare_sql_rate(iris: LiveIris, count: int) -> float:
    """Insert and update the same rows in the same batches by one psycopg connection. Return the rate, an upper bound.

    iris is stopped before, because it would submit the queued rows.
    """
    campaign = make_campaign(iris, count, name="Floor")
    with idle_database(iris), database(iris) as connection:
        of = row_changes.parties(connection, cause=f"bench:{campaign}", credits=count)
        recipients = row_changes.recipients_of(connection, campaign)
        begun = time.perf_counter()
        for start in range(0, count, BATCH):
            row_changes.change_batch(connection, recipients[start : start + BATCH], of)
        return count / (time.perf_counter() - begun)
