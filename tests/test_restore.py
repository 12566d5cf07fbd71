"""Test the procedure of docs/restore.md: restore a backup under a running iris, and reach nobody a second time."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from iris.devserver.embedded import keeper, server
from telephony.models.statuses import SUBMITTING, UNKNOWN
from tests.live import LiveIris, wait_for

CARRIERS = """
[carriers.sandbox]
BACKEND = "telephony.carriers.sandbox.SandboxCarrier"
CPS = 20

[routes]
call = ["sandbox"]
sms = ["sandbox"]
"""
FIRST, COUNT = 9_841_300_000, 300  # takes 15 s, also on a machine that needs seconds to make the dump


@pytest.fixture
def iris(tmp_path: Path) -> Iterator[LiveIris]:
    carriers = tmp_path / "carriers.toml"
    carriers.write_text(CARRIERS)
    running = LiveIris(
        tmp_path / "home",
        IRIS_SANDBOX_SPEED="100",
        IRIS_CARRIERS_FILE=str(carriers),
        IRIS_REPORT_TIMEOUT_SECONDS="500",
    )
    try:
        running.start(seconds=240)
        yield running
    finally:
        running.stop()


def begin(iris: LiveIris, name: str, *, first: int, count: int, schedule_date: str | None = None) -> int:
    created = iris.demo.post(
        "/api/system/campaigns/",
        json={"name": name, "services": "SMS", "individual_number": list(range(first, first + count))},
    )
    campaign: int = created.json()["data"]["details"][0]["id"]
    body = {"message": f"From {name}"} | ({"schedule_date": schedule_date} if schedule_date else {})
    begun = iris.demo.post(f"/api/system/campaigns/{campaign}/begin/", json=body)
    assert begun.status_code == 200, begun.text
    return campaign


def sent(iris: LiveIris) -> Counter[str]:
    """Return how often each number was reached, according to the sandbox table of the current database."""
    return Counter(row[0] for row in iris.rows('SELECT "to" FROM telephony_sandboxmessage'))


def run_of(iris: LiveIris, campaign: int) -> tuple[int, str]:
    (row,) = iris.rows(f"SELECT id, status FROM campaigns_run WHERE campaign_id = {campaign}")
    return row[0], row[1]


def wait_for_heartbeat(iris: LiveIris) -> None:
    def seen() -> list[tuple[object, ...]]:
        return iris.rows("SELECT max(seen_at) FROM iris_heartbeat")

    before = seen()
    wait_for(lambda: seen() != before, seconds=60)


def restore_beneath(iris: LiveIris, dump: Path) -> set[str]:
    """Restore the dump while iris runs, by renaming databases. Return the numbers whose outcome is uncertain.

    Those are the SMS that were being submitted when the dump was made: the restored data cannot say whether they left.
    """
    host = str(keeper.socket_folder(server.folder_of(iris.home)))
    with psycopg.connect(host=host, user=keeper.SUPERUSER, dbname="postgres", autocommit=True) as session:
        session.execute("CREATE DATABASE restored")
        run_postgres_program(iris, "pg_restore", "--dbname=restored", str(dump))
        # The time of the scheduled run comes after the dump was made.
        with psycopg.connect(host=host, user=keeper.SUPERUSER, dbname="restored") as restored:
            restored.execute(
                "UPDATE campaigns_run SET starts_at = now() - interval '1 hour' WHERE status = 'scheduled'"
            )
            uncertain = restored.execute(
                f"""SELECT "to" FROM telephony_delivery d WHERE status IN ({SUBMITTING}, {UNKNOWN})
                       AND NOT EXISTS (SELECT FROM telephony_sandboxmessage WHERE delivery_key = d.id::text)""".encode()
            ).fetchall()
        session.execute("ALTER DATABASE iris ALLOW_CONNECTIONS false")
        session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'iris'")
        wait_for(lambda: _renamed(session, "iris", "original"), seconds=30)
        session.execute("ALTER DATABASE restored RENAME TO iris")
    return {row[0] for row in uncertain}


def _renamed(session: psycopg.Connection[tuple[object, ...]], name: str, to: str) -> bool:
    try:
        session.execute(f"ALTER DATABASE {name} RENAME TO {to}".encode())
    except psycopg.errors.ObjectInUse:
        return False
    return True


def run_postgres_program(iris: LiveIris, name: str, *arguments: str) -> None:
    host = keeper.socket_folder(server.folder_of(iris.home))
    command = [str(server.programs() / name), f"--host={host}", f"--username={keeper.SUPERUSER}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def test_nothing_is_sent_after_a_restore_until_the_operator_allows_it(iris: LiveIris, tmp_path: Path) -> None:
    tomorrow = f"{datetime.now() + timedelta(days=1):%Y-%m-%dT%H:%M}"
    halfway = begin(iris, "halfway", first=FIRST, count=COUNT)
    scheduled = begin(iris, "scheduled", first=FIRST + 1000, count=3, schedule_date=tomorrow)
    wait_for(lambda: sum(sent(iris).values()) >= 20, seconds=60)
    dump = tmp_path / "dump"
    run_postgres_program(iris, "pg_dump", "--format=custom", f"--file={dump}", "iris")
    sent_before_dump = sum(sent(iris).values())
    wait_for(lambda: sum(sent(iris).values()) >= sent_before_dump + 20, seconds=60)

    uncertain = restore_beneath(iris, dump)
    in_the_backup = sent(iris)
    assert 20 <= sum(in_the_backup.values()) < COUNT, (
        "The campaign ended before the dump was made, so this test shows nothing."
    )

    wait_for(
        lambda: iris.rows("SELECT FROM telephony_restoreguard WHERE set_aside_at IS NOT NULL"), seconds=60
    )
    meanwhile = begin(iris, "meanwhile", first=FIRST + 2000, count=3)
    # Worker and beat continue. Within three heartbeats, each with at least two ticks, everything would have been sent.
    for _ in range(3):
        wait_for_heartbeat(iris)
    assert sent(iris) == in_the_backup
    assert run_of(iris, halfway)[1] == run_of(iris, scheduled)[1] == "paused"
    refused = iris.demo.post(
        "/api/system/send/otp/",
        json={
            "number": str(FIRST),
            "message": "{otp}",
            "sms_send_options": "text",
            "otp_options": "generated",
        },
    )
    assert refused.status_code == 503, refused.text
    shown = iris.manage("after_restore", "--show")
    assert "All calls and SMS are held since" in shown
    assert f"run {run_of(iris, halfway)[0]} of campaign {halfway} (halfway): held" in shown

    iris.manage("after_restore", "--resume", str(run_of(iris, halfway)[0]))
    iris.wait_until(halfway, "Completed")
    iris.wait_until(meanwhile, "Completed")
    assert run_of(iris, scheduled)[1] == "paused"
    iris.manage("after_restore", "--resume")
    iris.wait_until(scheduled, "Completed")

    groups = [(FIRST, COUNT), (FIRST + 1000, 3), (FIRST + 2000, 3)]
    everybody = {f"+977{number}" for first, count in groups for number in range(first, first + count)}
    assert sent(iris) == Counter(everybody - uncertain)
    iris.check_ledger()
