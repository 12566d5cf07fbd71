"""Measure a campaign, the pages, and pruning with 10,000,000 older deliveries in the tables, against empty tables.

Two servers run at the same time, one of which is empty, and take turns: machines become slower and faster. `--scale 5`
measures with 50,000,000 deliveries. They need about 65 GB of disk.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping

import httpx
import psycopg

from benchmarks import older_deliveries
from benchmarks.console import sign_in
from benchmarks.runs import campaign_rate
from benchmarks.table import Row
from benchmarks.worlds import begin, database, make_campaign, running_iris
from tests.live import LiveIris, wait_for

OLDER, SMS = 10_000_000, 100_000
TURNS, TIMES = 3, 20
TABLES = ("telephony_delivery", "accounts_creditentry", "campaigns_recipient")
PRUNE_OLDER_THAN_DAYS = 180  # a tenth of the older deliveries
PAGES = {
    "campaign list": "/api/system/campaigns",
    "campaign details": "/api/system/campaigns/{campaign}/details",
    "first 100 numbers": "/api/system/campaigns/number/{campaign}?page_size=100",
    "console: home": "/console/{account}/",
    "console: campaigns": "/console/{account}/campaigns/",
    "console: campaign": "/console/{account}/campaigns/{campaign}/",
    "console: recipients": "/console/{account}/campaigns/{campaign}/recipients/",
}
CLAIM = """
import statistics, time
from django.db import connection, transaction
from telephony.engine import pacing
samples = []
with transaction.atomic():
    with connection.cursor() as cursor:
        cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'telephony_delivery'")
        columns = ['"' + name + '"' for (name,) in cursor.fetchall() if name not in ("id", "item", "status", "not_before")]
        names = ", ".join(columns)
        cursor.execute(
            f"INSERT INTO telephony_delivery (item, status, not_before, {names})"
            f" SELECT -i, 0, now() - interval '1 minute', {names} FROM generate_series(1, 2000) AS i,"
            " (SELECT * FROM telephony_delivery ORDER BY id DESC LIMIT 1) AS pattern"
        )
    for _ in range(20):
        point = transaction.savepoint()
        begun = time.perf_counter()
        claim = pacing.claim("sandbox")
        samples.append(time.perf_counter() - begun)
        transaction.savepoint_rollback(point)
        assert claim.deliveries, "nothing was claimed"
    transaction.set_rollback(True)
print(len(claim.deliveries), statistics.median(samples))
"""


def measure(scale: float) -> list[Row]:
    older, count = int(OLDER * scale), max(2_000, int(SMS * scale))
    if scale > 1:
        count = SMS
    with running_iris() as empty, running_iris() as full:
        _say(f"adding {older:,} older deliveries")
        older_deliveries.add(full, older)
        with database(full) as connection:
            sizes = _sizes(connection, older)
        rates = {"empty": list[float](), "full": list[float]()}
        for turn in range(TURNS):
            _say(f"campaigns, turn {turn + 1}")
            rates["empty"].append(campaign_rate(empty, count, shuffled=True))
            rates["full"].append(campaign_rate(full, count, shuffled=True))
        rows = [_rate_row(rates, count, older)]
        rows += [_claim_row(empty, full), _begin_row(empty, full, count)]
        _say("pages")
        rows += _page_rows(empty, full)
        rows.append(
            Row(
                what=f"size for a million of these SMS, with {older:,} in the tables",
                measured=" · ".join(f"{table} {size:.2f} GB" for table, size in sizes.items())
                + f" · together {sum(sizes.values()):.2f} GB",
            )
        )
        _say("pruning")
        rows += _prune_rows(full, count)
    return rows


def _say(what: str) -> None:
    print(f"  {time.strftime('%H:%M:%S')} {what} …", file=sys.stderr, flush=True)


def _rate_row(rates: Mapping[str, list[float]], count: int, older: int) -> Row:
    full, empty = statistics.median(rates["full"]), statistics.median(rates["empty"])
    return Row(
        what=f"campaign of {count:,} SMS with {older:,} older deliveries in the tables",
        measured=f"{full:,.0f}/s ({', '.join(f'{rate:,.0f}' for rate in rates['full'])})",
        against=f"empty tables: {empty:,.0f}/s ({', '.join(f'{rate:,.0f}' for rate in rates['empty'])})",
        ratio=full / empty,
        goal="≥ 0.8",
        reached=full / empty >= 0.8,
    )


def _claim_row(empty: LiveIris, full: LiveIris) -> Row:
    (size, of_full), (_, of_empty) = (_claim(iris) for iris in (full, empty))
    return Row(
        what=f"claim of {size} deliveries, median",
        measured=f"{1000 * of_full:.1f} ms",
        against=f"empty tables: {1000 * of_empty:.1f} ms",
        ratio=of_full / of_empty,
    )


def _claim(iris: LiveIris) -> tuple[int, float]:
    """Return how many deliveries a claim takes and how long it takes, in seconds. Everything is rolled back."""
    output = iris.manage("shell", "--no-imports", "--command", CLAIM)
    size, seconds = output.strip().splitlines()[-1].split()
    return int(size), float(seconds)


def _begin_row(empty: LiveIris, full: LiveIris, count: int) -> Row:
    of_full, of_empty = (_begin_seconds(iris, count) for iris in (full, empty))
    return Row(
        what=f"begin on {count:,} recipients",
        measured=f"{of_full:.3f} s",
        against=f"empty tables: {of_empty:.3f} s",
        goal="< 1 s",
        reached=of_full < 1,
    )


def _begin_seconds(iris: LiveIris, count: int) -> float:
    campaign = make_campaign(iris, count, shuffled=True)
    begun = time.perf_counter()
    begin(iris, campaign)
    seconds = time.perf_counter() - begun
    iris.wait_until(campaign, "Completed", seconds=count / 50)
    return seconds


def _page_rows(empty: LiveIris, full: LiveIris) -> list[Row]:
    measured = [_latencies(iris) for iris in (full, empty)]
    return [
        Row(
            what=f"{name}, median",
            measured=f"{1000 * measured[0][name]:.0f} ms",
            against=f"empty tables: {1000 * measured[1][name]:.0f} ms",
            ratio=measured[0][name] / measured[1][name],
            goal="< 300 ms" if "console" in name else "–",
            reached=measured[0][name] < 0.3 if "console" in name else None,
        )
        for name in PAGES
    ]


def _latencies(iris: LiveIris) -> dict[str, float]:
    """Return the median seconds of each page, of the campaign that ended last."""
    with database(iris) as connection:
        row = connection.execute(
            "SELECT max(c.id), c.owner_id FROM campaigns_campaign c WHERE c.name = 'Bench' GROUP BY c.owner_id"
        ).fetchone()
    assert row is not None
    campaign, account = row
    with httpx.Client(base_url=iris.url, timeout=120, follow_redirects=True) as browser:
        sign_in(browser)
        return {
            name: _latency(
                (browser if "console" in name else iris.demo).get,
                path.format(campaign=campaign, account=account),
            )
            for name, path in PAGES.items()
        }


def _latency(get: Callable[[str], httpx.Response], path: str) -> float:
    samples = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        answer = get(path)
        samples.append(time.perf_counter() - begun)
        assert answer.status_code == 200, (path, answer.status_code)
    return statistics.median(samples)


def _sizes(connection: psycopg.Connection, older: int) -> dict[str, float]:
    """Return how many gigabytes a million of the older deliveries take in each table, with its indexes."""
    return {table: _size(connection, table) / older * 1e6 / 1e9 for table in TABLES}


def _size(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute("SELECT pg_total_relation_size(%s::regclass)", [table]).fetchone()
    assert row is not None
    return int(row[0])


def _prune_rows(iris: LiveIris, count: int) -> list[Row]:
    """Prune a tenth of the older deliveries, vacuum, and let a campaign use the freed space."""
    with database(iris) as connection:
        before = _count(connection)
        begun = time.perf_counter()
        iris.manage("prune_deliveries", "--days", str(PRUNE_OLDER_THAN_DAYS))
        pruning = time.perf_counter() - begun
        pruned = before - _count(connection)
        begun = time.perf_counter()
        connection.execute("VACUUM telephony_delivery")
        vacuuming = time.perf_counter() - begun
        size = _size(connection, "telephony_delivery")
        campaign = make_campaign(iris, min(count, pruned), shuffled=True)
        begin(iris, campaign)
        wait_for(lambda: iris.details(campaign)["status"] == "Completed", seconds=count / 50)
        growth = _size(connection, "telephony_delivery") - size
    return [
        Row(
            what=f"prune_deliveries of {pruned:,} SMS",
            measured=f"{pruned / pruning:,.0f}/s; then VACUUM takes {vacuuming:.1f} s",
        ),
        Row(
            what=f"growth of telephony_delivery by a campaign of {min(count, pruned):,} after that",
            measured=f"{growth / 1e6:.0f} MB",
            against=f"its SMS: {_bytes_each(size, before - pruned) * min(count, pruned) / 1e6:.0f} MB",
            goal="the freed space is used again",
        ),
    ]


def _bytes_each(size: int, rows: int) -> float:
    return size / max(1, rows)


def _count(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM telephony_delivery").fetchone()
    assert row is not None
    return int(row[0])
