"""Measure what a frequency cap costs over millions of past deliveries, and what duplicates add to begin."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import psycopg

from benchmarks.table import Row
from benchmarks.worlds import begin, database, make_campaign, running_iris
from tests.live import LiveIris, wait_for

PAIRS = 3  # fillings with and without the cap take turns, because machines become slower and faster
DAYS = 100  # over which the past deliveries are spread
CONTACTS_PER_NUMBER = 10  # on these days; three of them within the days of the cap
CAP = {"contacts": 5, "days": 30}


def measure(scale: float) -> list[Row]:
    past, count = int(10_000_000 * scale), max(5_000, int(100_000 * scale))
    # A hopper that holds the whole campaign, so that nothing but filling is measured: no trunk takes anything from it.
    with running_iris(IRIS_HOPPER_SIZE=str(4 * count)) as iris, paused_trunks(iris):
        # Each filling takes other numbers. If they were the same, they would have the deliveries of earlier fillings, and
        # the first filling would have read the index from the disk for the others.
        campaigns = [
            make_campaign(iris, count, name=f"Filled {place}", after=place * count)
            for place in range(2 * PAIRS)
        ]
        _add_past(iris, campaigns[0], past)
        with_cap, without = [], []
        for one, other in zip(campaigns[::2], campaigns[1::2], strict=True):
            with_cap.append(_fill(iris, one, count, cap=CAP))
            without.append(_fill(iris, other, count, cap=None))
        marking, plain = _marking(iris, int(1_000_000 * scale))
    return [
        Row(
            what=f"filling {count:,} SMS under a frequency cap, over {past:,} past deliveries",
            measured=f"{median(with_cap):,.0f}/s",
            against=f"without a cap: {median(without):,.0f}/s",
            ratio=median(with_cap) / median(without),
            goal="≥ 0.9",
            reached=median(with_cap) / median(without) >= 0.9,
        ),
        Row(
            what=f"begin on {int(1_000_000 * scale):,} recipients, each number once, a tenth of them duplicates",
            measured=f"{marking:.3f} s until it answers",
            against=f"without the rule: {plain:.3f} s",
            goal="< 1 s",
            reached=marking < 1,
        ),
    ]


@contextmanager
def paused_trunks(iris: LiveIris) -> Iterator[None]:
    iris.manage("trunk", "pause", "sandbox", "--reason", "measuring")
    yield


def _add_past(iris: LiveIris, campaign: int, count: int) -> None:
    """Insert ended SMS of the account by SQL: one run on each of the last DAYS, CONTACTS_PER_NUMBER SMS to each number.

    The numbers of the campaign are among them.
    """
    of_run = count // DAYS
    with database(iris) as connection:
        connection.execute(
            """WITH hold AS (
                   INSERT INTO accounts_credithold (user_id, cause, amount, captured, released, created_at)
                   SELECT owner_id, 'past', 0, 0, 0, now() FROM campaigns_campaign WHERE id = %(campaign)s RETURNING id
               )
               INSERT INTO campaigns_run (campaign_id, status, source, message, sms_message, voice, speed,
                       failover_statuses, trial, cursor, last_recipient, prepared_to, recipient_count, hold_id, call_limit,
                       sms_limit, caller, starts_at, filled_at, finished_at, after_delivery)
               SELECT %(campaign)s, 'completed', 'message', '', '', '', 1, '{}', false, 0, 0, 0, 0, hold.id, 0, 1, '',
                      at - interval '1 day', at, at, last.id + (day - 1) * %(of_run)s
                 FROM hold, (SELECT coalesce(max(id), 0) AS id FROM telephony_delivery) last,
                      generate_series(1, %(days)s) AS day,
                      LATERAL (SELECT now() - (%(days)s - day) * interval '1 day' AS at) ends
                ORDER BY day""",
            {"campaign": campaign, "of_run": of_run, "days": DAYS},
        )
        connection.execute(
            """WITH runs AS (
                   SELECT id, starts_at, row_number() OVER (ORDER BY id) - 1 AS day FROM campaigns_run
                    WHERE campaign_id = %(campaign)s
               )
               INSERT INTO telephony_delivery (owner_id, trunk_id, purpose, batch, item, priority, channel, "to", caller,
                      text, status, cause, carrier_text, ref, attempts, stopped, credit_limit, credits, not_before,
                      created_at, claimed_at, submitted_at, ended_at, delivered_at)
               SELECT c.owner_id, t.id, 'campaign', runs.id, -n, 10, 'sms', '+977' || ({number}), '', '', 100, '', '',
                      n::text, 1, false, 1, 1, at, at, at, at, at, at
                 FROM generate_series(0, %(count)s - 1) AS n JOIN runs ON runs.day = n / %(of_run)s,
                      LATERAL (SELECT 1 + n %% %(numbers)s AS i, runs.starts_at + interval '1 hour' AS at) AS past,
                      campaigns_campaign c, telephony_trunk t
                WHERE c.id = %(campaign)s AND t.alias = 'sandbox' ORDER BY n""".replace(
                "{number}", "9800000000 + (i / 9000) * 10000 + i %% 9000"
            ),
            {
                "campaign": campaign,
                "count": of_run * DAYS,
                "of_run": of_run,
                "numbers": max(1, count // CONTACTS_PER_NUMBER),
            },
        )
        connection.execute("VACUUM ANALYZE telephony_delivery")


def _fill(iris: LiveIris, campaign: int, count: int, *, cap: dict[str, int] | None) -> float:
    """Let a run queue all of its deliveries, then stop it. Return the rate of queueing."""
    begun = time.perf_counter()
    begin(iris, campaign, frequency_cap=cap or "off")
    with database(iris) as connection:
        wait_for(lambda: _scalar(connection, _FILLED, campaign), seconds=600)
        seconds = time.perf_counter() - begun
        queued = _scalar(connection, _QUEUED, campaign)
        assert queued == count, queued
    _stop(iris, campaign)
    return count / seconds


def _stop(iris: LiveIris, campaign: int) -> None:
    """Stop a campaign, and wait until all of its deliveries have ended."""
    iris.demo.post(f"/api/system/campaigns/{campaign}/stop/")
    with database(iris) as connection:
        wait_for(lambda: _scalar(connection, _ENDED, campaign), seconds=600)


_LATEST = "(SELECT max(id) FROM campaigns_run WHERE campaign_id = %s)"
_FILLED = f"SELECT filled_at IS NOT NULL FROM campaigns_run WHERE id = {_LATEST}"
_ENDED = f"SELECT finished_at IS NOT NULL FROM campaigns_run WHERE id = {_LATEST}"
_QUEUED = f"SELECT count(*) FROM telephony_delivery WHERE status = 0 AND batch = {_LATEST}"


def _scalar(connection: psycopg.Connection, query: str, *parameters: int) -> int:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return int(row[0])


def _marking(iris: LiveIris, count: int) -> tuple[float, float]:
    """Return how long begin takes with and without `duplicates`, on a campaign whose duplicates nobody has marked."""
    seconds = []
    for rule in ("once", "keep"):
        campaign = make_campaign(iris, count, name=rule)
        with database(iris) as connection:
            connection.execute(
                """UPDATE campaigns_recipient r SET "to" = first."to" FROM campaigns_recipient first
                    WHERE r.campaign_id = %s AND first.campaign_id = r.campaign_id AND first.id = r.id - 5
                      AND r.id %% 10 = 0""",
                [campaign],
            )
        begun = time.perf_counter()
        begin(iris, campaign, duplicates=rule)
        seconds.append(time.perf_counter() - begun)
        _stop(iris, campaign)
    return seconds[0], seconds[1]
