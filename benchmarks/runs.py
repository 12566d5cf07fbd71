"""Measure runs through the sandbox carrier from begin to their last report, against bare SQL of the same row changes."""

from __future__ import annotations

import time
from datetime import datetime

import psycopg

from benchmarks.table import Row
from benchmarks.worlds import MESSAGE, begin, database, make_campaign, running_iris
from tests.live import LiveIris, wait_for

BATCH = 1000


def measure(scale: float) -> list[Row]:
    small, large = int(100_000 * scale), int(1_000_000 * scale)
    with running_iris() as iris:
        rate = _rate(iris, small)
        floor = _bare_sql_rate(iris, small)
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


def _rate(iris: LiveIris, count: int) -> float:
    campaign = make_campaign(iris, count)
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


def _bare_sql_rate(iris: LiveIris, count: int) -> float:
    """Insert and update the same rows in the same batches by one psycopg connection. Return the rate, an upper bound."""
    campaign = make_campaign(iris, count, name="Floor")
    with database(iris) as connection:
        owner, trunk, hold = (
            connection.execute(query).fetchone()[0]  # type: ignore[index]
            for query in (
                "SELECT id FROM accounts_account WHERE name = 'demo@example.com'",
                "SELECT id FROM telephony_trunk WHERE alias = 'sandbox'",
                """INSERT INTO accounts_credithold (user_id, cause, amount, captured, released, created_at)
                   SELECT id, 'bench', 10000000, 0, 0, now() FROM accounts_account WHERE name = 'demo@example.com'
                   RETURNING id""",
            )
        )
        recipients = [
            row[0]
            for row in connection.execute(
                "SELECT id FROM campaigns_recipient WHERE campaign_id = %s ORDER BY id", [campaign]
            )
        ]
        begun = time.perf_counter()
        for start in range(0, count, BATCH):
            _bare_batch(connection, recipients[start : start + BATCH], owner=owner, trunk=trunk, hold=hold)
        return count / (time.perf_counter() - begun)


def _bare_batch(
    connection: psycopg.Connection, recipients: list[int], *, owner: int, trunk: int, hold: int
) -> None:
    texts = [MESSAGE] * len(recipients)
    ids = [
        row[0]
        for row in connection.execute(
            """INSERT INTO telephony_delivery
                   (owner_id, trunk_id, purpose, batch, item, priority, channel, "to", caller, text, hold_id, credit_limit,
                    status, cause, carrier_text, ref, attempts, stopped, credits)
               SELECT %s, %s, 'campaign', 0, r.id, 10, 'sms', r."to", '', t.text, %s, 1, 0, '', '', '', 0, false, 0
                 FROM unnest(%s::bigint[], %s::text[]) AS t(id, text) JOIN campaigns_recipient r USING (id)
               RETURNING id""",
            [owner, trunk, hold, recipients, texts],
        )
    ]
    for statement in (
        "UPDATE telephony_delivery SET status = 10, attempts = 1, claimed_at = now(), expires_at = now() WHERE id = ANY(%s)",
        """INSERT INTO telephony_sandboxmessage
               (delivery_key, channel, "to", caller, text, audio_name, fate, owner_id, end_at, report_at, hidden)
           SELECT id, channel, "to", '', text, '', 'completes', owner_id, now(), now(), false
             FROM telephony_delivery WHERE id = ANY(%s)""",
        "UPDATE telephony_delivery SET status = 30, ref = id, submitted_at = now() WHERE id = ANY(%s)",
        """UPDATE telephony_sandboxmessage SET report_at = NULL
            WHERE delivery_key IN (SELECT id::text FROM unnest(%s::bigint[]) AS id)""",
        """UPDATE telephony_delivery SET status = 100, credits = 1, ended_at = now(), delivered_at = now(), expires_at = NULL
            WHERE id = ANY(%s)""",
        """INSERT INTO accounts_creditentry
               (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
           SELECT owner_id, hold_id, 'capture', 1, 0, -1, 'bench:' || id, '', now()
             FROM telephony_delivery WHERE id = ANY(%s)""",
        "UPDATE campaigns_recipient r SET status = 100, credits = 1 FROM telephony_delivery d"
        " WHERE d.item = r.id AND d.id = ANY(%s)",
    ):
        connection.execute(statement, [ids])
    connection.execute(
        "UPDATE accounts_credithold SET captured = captured + %s WHERE id = %s", [len(ids), hold]
    )
