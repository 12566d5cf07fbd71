"""A stop commits rarely and waits for the disk once, whatever it has to do, and a crash at any point is repaired.

A commit can take as long as a slow disk or a remote database takes, and `stop` must answer within a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts import credits
from accounts.ledger import check_ledger
from campaigns import runs, services
from campaigns.models import Campaign, Run, RunStatus
from campaigns.runs import hopper, run_statuses
from telephony.models import Delivery, DeliveryStatus, SandboxMessage
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign
from tests.live import LiveIris

STOP = import_module("campaigns.runs.stop")  # the package exports a function with this name
DO_NOT_WAIT, WAIT = "off", "on"  # values of synchronous_commit


class Died(Exception):
    """Stands for the death of the process."""


@pytest.fixture(autouse=True)
def fast_sandbox(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 10_000


@contextmanager
def writing_transactions() -> Iterator[dict[str, str]]:
    """Note each transaction of this thread that writes or locks rows, and how it waits for the disk when it commits."""
    noted: dict[str, str] = {}
    connection.ensure_connection()
    session = connection.connection

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        is_alone = not connection.in_atomic_block  # then the statement is a transaction
        if is_alone:
            session.execute("BEGIN")
        result = execute(sql, params, many, context)
        row = session.execute(
            "SELECT pg_current_xact_id_if_assigned()::text, current_setting('synchronous_commit')"
        ).fetchone()
        if row[0] is not None:
            noted[row[0]] = row[1]
        if is_alone:
            session.execute("COMMIT")
        return result

    session.execute("SET synchronous_commit = on")  # the test database does not wait otherwise
    try:
        with connection.execute_wrapper(note):
            yield noted
    finally:
        session.execute("RESET synchronous_commit")


def begun(*, queued: bool = True, submitted: int = 0) -> tuple[Campaign, Run]:
    """Begin a run of three SMS that holds three of its owner's ten credits. Queue its deliveries, and submit some."""
    campaign = make_campaign(owner=make_account(credits=10))
    run = runs.begin(campaign=campaign, message="Hello")
    if queued:
        hopper.fill_all(budget=0)
    ids = Delivery.objects.order_by("pk").values_list("pk", flat=True)[:submitted]
    Delivery.objects.filter(pk__in=list(ids)).update(status=DeliveryStatus.SUBMITTED)
    return campaign, run


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("queued", "submitted", "marked_at_once", "ends"),
    [
        pytest.param(False, 0, 1000, True, id="nothing queued"),
        pytest.param(True, 0, 1000, True, id="all queued"),
        pytest.param(True, 2, 1000, False, id="some submitted"),
        pytest.param(False, 0, 2, False, id="too many recipients to mark at once"),
    ],
)
def test_stop_waits_for_the_disk_once_and_last(
    monkeypatch: pytest.MonkeyPatch, queued: bool, submitted: int, marked_at_once: int, ends: bool
) -> None:
    monkeypatch.setattr(STOP, "MARKED_AT_ONCE", marked_at_once)
    campaign, run = begun(queued=queued, submitted=submitted)
    with writing_transactions() as noted:
        stopped = runs.stop(campaign=campaign)
    assert len(stopped.in_flight) == submitted
    assert stopped.run.status == (RunStatus.TERMINATED if ends else RunStatus.STOPPING)
    *earlier, last = noted.values()
    assert (last, set(earlier), len(earlier) <= 2) == (WAIT, {DO_NOT_WAIT}, True)
    run.hold.refresh_from_db()
    assert run.hold.remaining == submitted


@pytest.mark.django_db(transaction=True)
def test_a_repeated_stop_waits_until_the_first_is_on_disk() -> None:
    campaign, _ = begun(submitted=2)
    runs.stop(campaign=campaign)
    with writing_transactions() as noted:
        runs.stop(campaign=campaign)
    assert list(noted.values()) == [WAIT]


@pytest.mark.django_db(transaction=True)
def test_deleting_a_live_campaign_waits_for_the_disk_twice() -> None:
    """The deletion is not undone if the stop fails, so it waits for itself."""
    campaign, _ = begun()
    with writing_transactions() as noted:
        services.delete_campaign(campaign=campaign)
    assert list(noted.values()) == [WAIT, DO_NOT_WAIT, WAIT]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("marked_at_once", [1000, 0], ids=["few recipients", "many recipients"])
@pytest.mark.parametrize(
    ("module", "step"),
    [
        pytest.param(run_statuses, "reconcile", id="after the run was marked"),
        pytest.param(STOP, "_wait_for_submissions", id="after its deliveries were terminated"),
        pytest.param(credits, "release", id="before the release"),
        pytest.param(run_statuses, "finish", id="in the last transaction"),
    ],
)
def test_the_next_ticks_finish_a_stop_whose_process_died(
    monkeypatch: pytest.MonkeyPatch, settings: Any, module: Any, step: str, marked_at_once: int
) -> None:
    def die(*arguments: Any, **options: Any) -> None:
        raise Died

    monkeypatch.setattr(STOP, "MARKED_AT_ONCE", marked_at_once)
    settings.IRIS_HOPPER_SIZE = 2  # so two of the three SMS are queued
    campaign, run = begun()
    with monkeypatch.context() as patched:
        patched.setattr(module, step, die)
        try:
            runs.stop(campaign=campaign)
        except Died:
            pass
        else:
            assert (step, marked_at_once) == ("finish", 0)  # the task that fills runs ends such a run
    run_statuses.reconcile_all()
    run_to_the_end()
    run.refresh_from_db()
    campaign.owner.refresh_from_db()
    assert (run.status, campaign.owner.balance) == (RunStatus.TERMINATED, Decimal(10))
    assert set(campaign.recipients.values_list("status", flat=True)) == {DeliveryStatus.TERMINATED}
    assert not SandboxMessage.objects.exists()
    assert check_ledger().differences == ()


STOP_AND_CRASH = """
import os, signal
from pathlib import Path
from campaigns import runs
from campaigns.runs import hopper
from iris.devserver.embedded import server
from tests.factories import make_campaign

campaign = make_campaign(name="Stopped")
runs.begin(campaign=campaign, message="Hello")
hopper.fill_all(budget=0)
runs.stop(campaign=campaign)
postmaster = server.folder_of(Path(os.environ["IRIS_HOME"])) / "data" / "postmaster.pid"
os.kill(int(postmaster.read_text().split()[0]), signal.SIGQUIT)  # it writes nothing more
"""
READ_STATUS = """
from campaigns.models import Run
print(Run.objects.get(campaign__name="Stopped").status)
"""


def test_an_answered_stop_survives_a_crash_of_the_database(tmp_path: Path) -> None:
    iris = LiveIris(tmp_path / "iris")
    iris.copy_database()
    iris.manage("shell", "--no-imports", "--command", STOP_AND_CRASH)
    assert iris.manage("shell", "--no-imports", "--command", READ_STATUS).strip() == RunStatus.TERMINATED
