"""Measure the same campaign with other queues in the same PostgreSQL: one job for each SMS, with the same row changes.

`make bench` installs the queues (requirements/bench.txt). They run as their documents recommend: jobs are queued in sets,
and asynchronous workers run many at a time. Two things favour them: a job makes all changes of its SMS by one call in one
transaction, and no job updates the hold of the campaign, for which all jobs would wait. iris runs before and after them,
because machines become slower and faster.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import psycopg

from benchmarks import row_changes
from benchmarks.runs import campaign_rate
from benchmarks.table import Row
from benchmarks.worlds import database, idle_database, make_campaign, running_iris
from tests.live import ROOT, wait_for

WORKERS = 2  # processes
# Jobs that a worker runs at the same time, and fetches with one statement if the queue can: the fastest of several settings
# from 3 to 1,000. From 30 to 300 there is no difference.
JOBS = {("pgqueuer", False): 100, ("pgqueuer", True): 1000, ("procrastinate", False): 30}
QUEUED = {"pgqueuer": "pgqueuer", "procrastinate": "procrastinate_jobs"}  # tables that are empty at the end
SHARE_OF_SLOW = 10  # procrastinate runs a tenth of the jobs, because it is slow


def measure(scale: float) -> list[Row]:
    count = max(2_000, int(100_000 * scale))
    with running_iris() as iris:
        before = campaign_rate(iris, count)
        campaigns = {
            "pgqueuer": make_campaign(iris, count, name="pgqueuer"),
            "procrastinate": make_campaign(iris, count // SHARE_OF_SLOW, name="procrastinate"),
        }
        with idle_database(iris) as dsn, database(iris) as connection:
            of = row_changes.parties(connection, cause="bench:peers", credits=2 * count)
            row_changes.create_function(connection, of)
            rates = {
                (queue, empty): _rate(connection, dsn, queue, campaigns[queue], empty=empty)
                for queue, empty in JOBS
            }
            row_changes.take_from_hold(connection, of, count + count // SHARE_OF_SLOW)
        iris.start()
        after = campaign_rate(iris, count)
    rate = (before + after) / 2
    better = max(rates["pgqueuer", False], rates["procrastinate", False])
    empty = rates["pgqueuer", True]
    return [
        Row(
            what=f"campaign of {count:,} SMS, begin to settled, beside other queues with the same row changes",
            measured=f"{rate:,.0f}/s (before the others {before:,.0f}, after them {after:,.0f})",
            against=f"pgqueuer {version('pgqueuer')}: {rates['pgqueuer', False]:,.0f}/s;"
            f" procrastinate {version('procrastinate')}: {rates['procrastinate', False]:,.0f}/s",
            ratio=rate / better,
            goal="≥ 3 × the better one",
            reached=rate / better >= 3,
        ),
        Row(
            what="the same, beside a queue whose jobs do nothing",
            measured=f"{rate:,.0f}/s",
            against=f"pgqueuer {version('pgqueuer')}, empty jobs: {empty:,.0f}/s",
            ratio=rate / empty,
            goal="≥ 0.7",
            reached=rate / empty >= 0.7,
        ),
    ]


def _rate(connection: psycopg.Connection, dsn: str, queue: str, campaign: int, *, empty: bool) -> float:
    """Return how many jobs a second a queue runs, from the first one that is queued to the end of the last one."""
    return rate_with(connection, dsn, queue, campaign, empty=empty, jobs=JOBS[queue, empty])


def rate_with(
    connection: psycopg.Connection, dsn: str, queue: str, campaign: int, *, empty: bool, jobs: int
) -> float:
    """Return the rate with this many jobs at a time in each worker."""
    found = connection.execute("SELECT to_regclass(%s) IS NULL", [QUEUED[queue]]).fetchone()
    if found and found[0]:
        _run(queue, "install", dsn)
    options = ["--jobs", str(jobs), *(["--empty"] if empty else [])]
    left = f"SELECT EXISTS (SELECT FROM {QUEUED[queue]})"
    with _workers(queue, dsn, options):
        begun = time.perf_counter()
        _run(queue, "enqueue", dsn, "--campaign", str(campaign))
        wait_for(lambda: connection.execute(left.encode()).fetchone() == (False,), seconds=3600)
        seconds = time.perf_counter() - begun
    recipients = row_changes.recipients_of(connection, campaign)
    if not empty:
        row = connection.execute(
            "SELECT count(*) FROM campaigns_recipient WHERE campaign_id = %s AND status = 100", [campaign]
        ).fetchone()
        assert row == (len(recipients),), row
    return len(recipients) / seconds


def _run(queue: str, action: str, dsn: str, *options: str) -> None:
    subprocess.run(_command(queue, action, dsn, *options), cwd=ROOT, check=True)


def _command(queue: str, action: str, dsn: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.peer_worker", queue, action, dsn, *options]


@contextmanager
def _workers(queue: str, dsn: str, options: list[str]) -> Iterator[None]:
    """Run the workers of a queue inside the context. They have started when it begins."""
    processes = [
        subprocess.Popen(
            _command(queue, "work", dsn, *options),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(WORKERS)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
