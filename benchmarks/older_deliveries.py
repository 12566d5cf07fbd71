"""Add older deliveries to a database by SQL, as if campaigns had sent them, with recipients and ledger entries."""

from __future__ import annotations

import sys
import time

import psycopg

from benchmarks.worlds import begin, copy_rows, database, idle_database, make_campaign, value
from tests.live import LiveIris

RUNS = 100  # campaigns that have sent them
PEOPLE = 1_000_000  # with phones, whom all of these campaigns reach in an order of their own
OLDEST_DAYS = 200
CHUNK_SIZE = 10_000  # deliveries in a range that is counted by `telephony.engine.outcomes`


def add(iris: LiveIris, count: int) -> None:
    """Add this many deliveries that ended within OLDEST_DAYS. iris is stopped meanwhile, and started again."""
    pattern = make_campaign(iris, 3, name="Pattern")
    begin(iris, pattern)
    iris.wait_until(pattern, "Completed")
    with idle_database(iris), database(iris) as connection:
        connection.execute("SET synchronous_commit = off")
        begun = time.perf_counter()
        for place in range(RUNS):
            _add_run(connection, pattern, place, count // RUNS)
            if (place + 1) % 10 == 0:
                seconds = time.perf_counter() - begun
                print(f"  {place + 1} of {RUNS}, {seconds:.0f} s", file=sys.stderr, flush=True)
        _mark_as_counted(connection)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    iris.start()


def _add_run(connection: psycopg.Connection, pattern: int, place: int, count: int) -> None:
    run, hold = (
        value(connection, f"SELECT {column} FROM campaigns_run WHERE campaign_id = %s", pattern)
        for column in ("id", "hold_id")
    )
    days = 1 + (OLDEST_DAYS - 1) * (RUNS - place) // RUNS
    given = {"count": count, "place": place, "days": days, "people": max(PEOPLE, count)}
    once = "generate_series(1, 1) AS i"
    ended = "now() - %(days)s * interval '1 day'"
    with connection.transaction():
        copy_rows(
            connection,
            "campaigns_campaign",
            pattern,
            once,
            {"name": "'Older ' || %(place)s", "number_count": "%(count)s", "created_at": ended},
            given,
        )
        given["campaign"] = value(connection, "SELECT max(id) FROM campaigns_campaign")
        amounts = {"cause": "'older:' || %(place)s", "amount": "%(count)s", "captured": "%(count)s"}
        copy_rows(connection, "accounts_credithold", hold, once, {**amounts, "released": "0"}, given)
        given["hold"] = value(connection, "SELECT max(id) FROM accounts_credithold")
        connection.execute(
            """INSERT INTO campaigns_recipient (campaign_id, number, "to", status, credits)
               SELECT %(campaign)s, n, '+977' || n, 100, 1
                 FROM generate_series(1, %(count)s) AS i,
                      LATERAL (SELECT 1 + (i * 7919::bigint + %(place)s * 104729) %% %(people)s AS p) AS person,
                      LATERAL (SELECT (9800000000 + (p / 9000) * 10000 + p %% 9000)::text AS n) AS numbers""",
            given,
        )
        given["last"] = value(connection, "SELECT max(id) FROM campaigns_recipient")
        copy_rows(
            connection,
            "campaigns_run",
            run,
            once,
            {
                "campaign_id": "%(campaign)s",
                "hold_id": "%(hold)s",
                "recipient_count": "%(count)s",
                "cursor": "%(last)s",
                "last_recipient": "%(last)s",
                "starts_at": ended,
                "created_at": ended,
                "filled_at": ended,
                "finished_at": ended,
            },
            given,
        )
        given["run"] = value(connection, "SELECT max(id) FROM campaigns_run")
        delivery = value(connection, "SELECT min(id) FROM telephony_delivery WHERE batch = %s", run)
        first = value(connection, "SELECT last_value FROM telephony_delivery_id_seq")
        moments = ("not_before", "created_at", "claimed_at", "submitted_at", "ended_at", "delivered_at")
        copy_rows(
            connection,
            "telephony_delivery",
            delivery,
            "(SELECT * FROM campaigns_recipient WHERE campaign_id = %(campaign)s ORDER BY id) AS other",
            {
                "batch": "%(run)s",
                "item": "other.id",
                '"to"': 'other."to"',
                "ref": "'sandbox-older-' || other.id",
                "hold_id": "%(hold)s",
                **dict.fromkeys(moments, ended),
            },
            given,
        )
        given["first"] = first
        connection.execute(
            """INSERT INTO accounts_creditentry
                      (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
               SELECT user_id, id, 'hold', amount, -amount, amount, cause, '', now()
                 FROM accounts_credithold WHERE id = %(hold)s""",
            given,
        )
        connection.execute(
            """INSERT INTO accounts_creditentry
                      (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
               SELECT owner_id, hold_id, 'capture', 1, 0, -1, 'delivery:' || id, '', now()
                 FROM telephony_delivery WHERE id > %(first)s""",
            given,
        )
        connection.execute(
            """UPDATE accounts_account SET balance = balance - %(count)s
                WHERE id = (SELECT owner_id FROM campaigns_campaign WHERE id = %(campaign)s)""",
            given,
        )


def _mark_as_counted(connection: psycopg.Connection) -> None:
    """Spare iris the counting of the older deliveries, which it did long ago."""
    connection.execute(
        """INSERT INTO telephony_outcomechunk (number, is_complete, counted_at, accounts_counted_at)
           SELECT n, true, moment, moment
             FROM now() AS moment, generate_series(0, (SELECT max(id) / %(size)s - 1 FROM telephony_delivery)) AS n
               ON CONFLICT (number) DO UPDATE SET is_complete = true, counted_at = excluded.counted_at,
                  accounts_counted_at = excluded.accounts_counted_at""",
        {"size": CHUNK_SIZE},
    )
