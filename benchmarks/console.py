"""Measure the pages of the console for an account with 10,000 campaigns, one of which has a million recipients.

Each page is fetched from the running server, as a browser does. Its queries are counted in a process of their own.
"""

from __future__ import annotations

import json
import statistics
import time

import httpx
import psycopg

from benchmarks.table import Row
from benchmarks.worlds import begin, copy_rows, database, make_campaign, running_iris, value
from tests.live import LiveIris

CAMPAIGNS, RECIPIENTS = 10_000, 1_000_000
DEMO_EMAIL, DEMO_PASSWORD = "demo@example.com", "demo-password"
TIMES = 30
MAX_MILLISECONDS, MAX_KILOBYTES = 300, 200


def measure(scale: float) -> list[Row]:
    with running_iris() as iris:
        campaign = _fill(iris, campaigns=int(CAMPAIGNS * scale), recipients=int(RECIPIENTS * scale))
        with database(iris) as connection:
            account = value(connection, "SELECT owner_id FROM campaigns_campaign WHERE id = %s", campaign)
        home = f"/console/{account}/"
        page = f"{home}campaigns/{campaign}/"
        behind = f"{int(CAMPAIGNS * scale):,} campaigns and {int(RECIPIENTS * scale):,} recipients behind it"
        pages = {
            f"home, {behind}": home,
            "home, outcomes of a year": f"{home}?first=2026-01-01&last=2026-12-31",
            "home, chart of a year by day": f"{home}outcomes/by-day.svg?first=2026-01-01&last=2026-12-31",
            "home, chart of a year by hour": f"{home}outcomes/by-hour.svg?first=2026-01-01&last=2026-12-31",
            "list of campaigns": f"{home}campaigns/",
            "campaign": page,
            "campaign, its live part": f"{page}live/",
            "recipients": f"{page}recipients/",
            "recipients who were not reached": f"{page}recipients/?outcome=not_reached",
            "recipients, search for a number": f"{page}recipients/?q=9841000000",
        }
        queries = _queries(iris, list(pages.values()))
        with httpx.Client(base_url=iris.url, timeout=60, follow_redirects=True) as browser:
            sign_in(browser)
            return [_row(browser, name, path, queries[path]) for name, path in pages.items()]


def _row(browser: httpx.Client, name: str, path: str, queries: int) -> Row:
    samples, size = [], 0
    for _ in range(TIMES):
        begun = time.perf_counter()
        answer = browser.get(path)
        samples.append(1000 * (time.perf_counter() - begun))
        assert answer.status_code == 200, (path, answer.status_code)
        size = len(answer.content)
    median = statistics.median(samples)
    return Row(
        what=f"console: {name}, median",
        measured=f"{median:.0f} ms (at most {max(samples):.0f}), {size / 1000:.0f} kB, {queries} queries",
        goal=f"< {MAX_MILLISECONDS} ms, < {MAX_KILOBYTES} kB",
        reached=median < MAX_MILLISECONDS and size < 1000 * MAX_KILOBYTES,
    )


def sign_in(browser: httpx.Client) -> None:
    """Sign in to the console as the demo account."""
    browser.get("/accounts/login/")
    answer = browser.post(
        "/accounts/login/",
        data={
            "login": DEMO_EMAIL,
            "password": DEMO_PASSWORD,
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        },
    )
    assert "/console/" in str(answer.url), answer.url


def _queries(iris: LiveIris, paths: list[str]) -> dict[str, int]:
    """Return how many queries each page takes, once the process has read what it caches."""
    code = f"""
import json
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from accounts.models import User
settings.ALLOWED_HOSTS = ["testserver"]
client = Client()
client.force_login(User.objects.get(email={DEMO_EMAIL!r}))
counts = {{}}
for path in {paths!r}:
    for _ in range(2):
        with CaptureQueriesContext(connection) as context:
            assert client.get(path).status_code == 200, path
    counts[path] = len(context)
print(json.dumps(counts))
"""
    output = iris.manage("shell", "--no-imports", "--command", code)
    counts: dict[str, int] = json.loads(output.strip().splitlines()[-1])
    return counts


def _fill(iris: LiveIris, *, campaigns: int, recipients: int) -> int:
    """Create the campaigns by SQL, as copies of one that has run. Return the large one: it is paused, and half done."""
    pattern = make_campaign(iris, 3, name="Pattern")
    begin(iris, pattern)
    iris.wait_until(pattern, "Completed")
    large = make_campaign(iris, recipients)
    with database(iris) as connection:
        run = value(connection, "SELECT id FROM campaigns_run WHERE campaign_id = %s", pattern)
        hold = value(connection, "SELECT hold_id FROM campaigns_run WHERE id = %s", run)
        delivery = value(connection, "SELECT min(id) FROM telephony_delivery WHERE batch = %s", run)
        count = "generate_series(1, %(count)s) AS i"
        given = {"count": campaigns}
        copy_rows(connection, "campaigns_campaign", pattern, count, {"name": "'Bench ' || i"}, given)
        # Empty, so that they need no entries in the ledger, which is checked at the end.
        empty = {"cause": "'bench:' || i", "amount": "0", "captured": "0", "released": "0"}
        copy_rows(connection, "accounts_credithold", hold, count, empty, given)
        others = "(SELECT id FROM campaigns_campaign WHERE name LIKE 'Bench %%') AS other"
        copy_rows(connection, "campaigns_run", run, others, {"campaign_id": "other.id"}, {})
        connection.execute(
            """INSERT INTO campaigns_recipient (campaign_id, number, "to", status)
               SELECT c.id, '98410000' || i, '+97798410000' || i, 90 + i
                 FROM campaigns_campaign c, generate_series(10, 13) AS i WHERE c.name LIKE 'Bench %'"""
        )
        _half_done(connection, large, run=run, delivery=delivery)
        _outcome_counts(connection, large)
        connection.execute("VACUUM ANALYZE")
    return large


def _half_done(connection: psycopg.Connection, campaign: int, *, run: int, delivery: int) -> None:
    """Pause a run of the campaign after half of its recipients, of whom every fourth was not reached."""
    middle, last = connection.execute(
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY id), max(id) FROM campaigns_recipient WHERE campaign_id = %s",
        [campaign],
    ).fetchone() or (0, 0)
    changes = {
        "campaign_id": "%(campaign)s",
        "status": "'paused'",
        "cursor": "%(middle)s",
        "last_recipient": "%(last)s",
        "recipient_count": "(SELECT number_count FROM campaigns_campaign WHERE id = %(campaign)s)",
        "finished_at": "NULL",
        "filled_at": "NULL",
    }
    given = {"campaign": campaign, "middle": middle, "last": last}
    copy_rows(connection, "campaigns_run", run, "generate_series(1, 1) AS i", changes, given)
    connection.execute(
        "UPDATE campaigns_recipient SET status = CASE WHEN id %% 4 = 0 THEN 103 ELSE 100 END"
        " WHERE campaign_id = %s AND id <= %s",
        [campaign, middle],
    )
    own = value(connection, "SELECT id FROM campaigns_run WHERE campaign_id = %s", campaign)
    reached = (
        "(SELECT * FROM campaigns_recipient WHERE campaign_id = %(campaign)s AND id <= %(middle)s) AS other"
    )
    changes = {
        "batch": "%(run)s",
        "item": "other.id",
        '"to"': 'other."to"',
        "status": "other.status",
        "ref": "''",
    }
    copy_rows(connection, "telephony_delivery", delivery, reached, changes, {**given, "run": own})


def _outcome_counts(connection: psycopg.Connection, campaign: int) -> None:
    """Store the outcomes of a year, as many rows as for 100,000 calls and SMS a day."""
    connection.execute(
        "INSERT INTO telephony_outcomechunk (number, is_complete) SELECT -i, true FROM generate_series(1, 10) i"
    )
    connection.execute(
        """INSERT INTO telephony_accountoutcomecount
                  (chunk_id, owner_id, channel, quarter, completed, hungup, unanswered, failed, terminated)
           SELECT -chunk, c.owner_id, channel, day + quarter * interval '15 minutes', 700, 100, 150, 50, 0
             FROM campaigns_campaign c, generate_series(1, 5) AS chunk, unnest(ARRAY['call', 'sms']) AS channel,
                  generate_series('2026-01-01'::timestamptz, '2026-12-31', '1 day') AS day,
                  generate_series(36, 71) AS quarter
            WHERE c.id = %s""",
        [campaign],
    )
