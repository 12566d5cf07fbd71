"""Test for failures that are common in other dialers and task queues, where no other test of ours would notice them.

Each docstring says how the failure happens elsewhere.
"""

from __future__ import annotations

import ast
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from accounts.ledger import check_ledger
from campaigns import runs
from campaigns import tasks as run_tasks
from campaigns.models import Campaign, Run, RunStatus, Service
from campaigns.runs import hopper, lifecycle
from telephony import tasks as trunk_tasks
from telephony.engine import dispatch, pacing, routing
from telephony.engine import lifecycle as deliveries
from telephony.engine.nudge import nudge
from telephony.models import FINAL, Channel, Delivery, DeliveryStatus, SandboxMessage, Trunk
from tests import v0
from tests.engine import run_all_loops_once, run_to_the_end
from tests.factories import (
    make_account,
    make_campaign,
    make_delivery,
    make_delivery_of,
    make_phone_number,
    make_run,
)

SOURCES = ("accounts", "campaigns", "iris", "otp", "telephony")


@pytest.fixture(autouse=True)
def _fast(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 10_000
    settings.IRIS_TASK_SECONDS = 1


def sent() -> Counter[str]:
    return Counter(SandboxMessage.objects.values_list("to", flat=True))


def make_big_campaign(count: int = 30, **fields: Any) -> Campaign:
    return make_campaign(numbers=range(9841000001, 9841000001 + count), **fields)


def everybody_once(campaign: Campaign) -> dict[str, int]:
    return dict.fromkeys(campaign.recipients.values_list("to", flat=True), 1)


# Runs that finish too early -------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("status", [status for status in DeliveryStatus if status < FINAL])
def test_run_does_not_finish_while_a_call_is_open_even_if_its_cursor_is_at_the_end(
    status: DeliveryStatus,
) -> None:
    """A cursor that moves when numbers are fetched does not say whether they were called."""
    campaign = make_campaign(service=Service.CALL)
    run = make_run(campaign=campaign, filled_at=timezone.now(), cursor=campaign.recipients.latest("pk").pk)
    first, second, third = campaign.recipients.order_by("pk")
    for recipient, delivery_status in [
        (first, DeliveryStatus.COMPLETED),
        (second, status),
        (third, DeliveryStatus.FAILED),
    ]:
        make_delivery_of(run=run, recipient=recipient, status=delivery_status)
    assert lifecycle.finish_all() == 0
    Delivery.objects.update(status=DeliveryStatus.COMPLETED)
    assert lifecycle.finish_all() == 1


# Duplicates on resume and restart -------------------------------------------------------------------------


@pytest.mark.django_db
def test_repeated_pause_and_resume_reaches_each_recipient_once(settings: Any) -> None:
    """A resume that fetches its numbers again repeats those that were in progress."""
    settings.IRIS_HOPPER_SIZE = 7
    settings.CARRIERS = {"sandbox": {**settings.CARRIERS["sandbox"], "CPS": 20}}
    campaign = make_big_campaign(60)
    runs.begin(campaign=campaign, message="Namaste")
    for _ in range(4):
        hopper.fill_all(budget=0)
        dispatch.run("sandbox", budget=0.2)
        runs.pause(campaign=campaign)
        before = sent()
        run_all_loops_once()
        assert sent() == before
        runs.resume(campaign=campaign)
    settings.CARRIERS = {"sandbox": {**settings.CARRIERS["sandbox"], "CPS": None}}
    run_to_the_end()
    assert sent() == everybody_once(campaign)


# Runs that never end ------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_run_ends_after_its_worker_died_with_all_deliveries_claimed(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without leases, deliveries of a dead worker stay in progress and their run never ends."""
    from telephony.carriers.sandbox.carrier import SandboxCarrier

    monkeypatch.setattr(SandboxCarrier, "looks_up", False)  # so the outcome stays unknown
    campaign = make_campaign()
    run = runs.begin(campaign=campaign, message="Namaste")
    hopper.fill_all(budget=0)
    assert len(pacing.claim("sandbox").deliveries) == 3
    for _ in range(2):  # first the lease expires, then the report timeout
        Delivery.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        run_all_loops_once()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert set(Delivery.objects.values_list("status", "cause")) == {(DeliveryStatus.FAILED, "lost")}
    assert not SandboxMessage.objects.exists()
    run.hold.refresh_from_db()
    assert run.hold.remaining == 0


# Sending after a stop -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_nudge_that_arrives_after_a_stop_sends_nothing() -> None:
    """A queued job that does not check the run again still sends after the stop."""
    campaign = make_big_campaign()
    runs.begin(campaign=campaign, message="Namaste")
    hopper.fill_all(budget=0)
    runs.stop(campaign=campaign)
    run_tasks.fill()
    run_tasks.tick()
    trunk_tasks.tick()
    trunk_tasks.dispatch("sandbox")
    run_to_the_end()
    assert not sent()
    assert Run.objects.get().status == RunStatus.TERMINATED


# Wrong charges --------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_campaign_without_a_carrier_costs_nothing(settings: Any) -> None:
    """Charging before submission also charges for what a missing carrier never accepted."""
    owner = make_account(credits=100)
    campaign = make_big_campaign(owner=owner)
    runs.begin(campaign=campaign, message="Namaste")
    hopper.fill_all(budget=0)
    Trunk.objects.update(alias="gone")
    settings.ROUTES = {"call": [], "sms": []}
    trunk_tasks.tick()
    runs.stop(campaign=campaign)
    run_to_the_end()
    owner.refresh_from_db()
    assert (owner.balance, check_ledger().differences) == (100, ())


@pytest.mark.django_db
def test_delivery_that_is_requeued_repeatedly_is_charged_once(settings: Any) -> None:
    """If each retry is charged, one message costs ten."""
    owner = make_account(credits=100)
    campaign = make_campaign(owner=owner, numbers=[9841009907])  # the sandbox throttles its first attempts
    runs.begin(campaign=campaign, message="Namaste")
    hopper.fill_all(budget=0)
    for _ in range(10):
        claimed = [delivery.id for delivery in pacing.claim("sandbox").deliveries]
        deliveries.requeue(ids=claimed, seconds=[0], texts=["too fast"])
    Delivery.objects.update(not_before=timezone.now())
    run_to_the_end()
    owner.refresh_from_db()
    assert owner.balance == 100 - sum(Delivery.objects.values_list("credits", flat=True), Decimal(0)) == 99


# Lost nudges ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_run_begun_while_the_broker_is_down_starts_with_the_next_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The request succeeds, but its message to the broker is lost."""

    def refuse(*args: Any, **options: Any) -> None:
        raise BrokerError("no broker")

    monkeypatch.setattr(current_app, "send_task", refuse)
    monkeypatch.setattr("celery.app.task.Task.apply_async", refuse)
    campaign = make_campaign()
    answer = v0.Caller(campaign.owner).post(
        f"/api/system/campaigns/{campaign.pk}/begin/", {"message": "Namaste"}
    )
    assert answer["success"]
    run_tasks.tick()
    run_to_the_end()
    assert sent() == everybody_once(campaign)


@pytest.mark.django_db(transaction=True)
def test_nudge_is_sent_on_commit_and_never_after_a_rollback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that gets the nudge before the commit finds no work. After a rollback there is none."""
    nudges: list[Any] = []
    monkeypatch.setattr(trunk_tasks.poll, "apply_async", lambda args, **options: nudges.append(args))
    with transaction.atomic():
        nudge("telephony.tasks.poll", "sandbox")
        assert not nudges
    assert nudges == [("sandbox",)]
    with transaction.atomic():
        nudge("telephony.tasks.poll", "sandbox")
        transaction.set_rollback(True)
    assert nudges == [("sandbox",)]


# Time zones -----------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(("month", "hour"), [(1, 9), (7, 8)])
def test_schedule_uses_the_utc_offset_of_its_own_day(settings: Any, month: int, hour: int) -> None:
    """If the zone is stored as today's offset, half of the year is off by one hour."""
    settings.TIME_ZONE = "Europe/Berlin"
    year = timezone.now().year + 1
    campaign = make_campaign()
    v0.Caller(campaign.owner).post(
        f"/api/system/campaigns/{campaign.pk}/begin/",
        {"message": "Namaste", "schedule_date": f"{year}-{month:02}-15T10:00"},
    )
    assert Run.objects.get().starts_at == datetime(year, month, 15, hour, tzinfo=UTC)


# Retries --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_requeued_delivery_keeps_its_text_and_caller_id_after_the_campaign_changes() -> None:
    """A retry that is rendered again loses its caller ID, or uses a newer message."""
    owner = make_account(credits=100)
    make_phone_number(number="9800000101", owner=owner)
    campaign = make_campaign(owner=owner)
    runs.begin(campaign=campaign, message="Old words")
    hopper.fill_all(budget=0)

    def contents() -> set[tuple[str, ...]]:
        return set(Delivery.objects.values_list("to", "caller", "text", "audio__name"))

    before = contents()
    claimed = [delivery.id for delivery in pacing.claim("sandbox").deliveries]
    owner.phone_numbers.update(owner=None)
    Campaign.objects.update(message="New words")
    deliveries.requeue(ids=claimed, seconds=[0] * 3, texts=[""] * 3)
    routing.move_from_closed_trunks()
    assert contents() == before
    run_to_the_end()
    assert set(SandboxMessage.objects.values_list("text", "caller")) == {("Old words", "9800000101")}


# Task queues ----------------------------------------------------------------------------------------------


def calls_in_our_code() -> list[tuple[Path, ast.Call]]:
    root = Path(django_settings.BASE_DIR)
    return [
        (path, node)
        for folder in SOURCES
        for path in (root / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]


def test_no_task_uses_eta_or_celery_retries_or_revocation() -> None:
    """Such tasks wait in a worker's memory, and brokers deliver them again after the visibility timeout."""
    for path, call in calls_in_our_code():
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        arguments = {keyword.arg for keyword in call.keywords}
        if name in {"apply_async", "delay", "shared_task", "send_task", "nudge", "signature", "si"}:
            assert not arguments & {"eta", "countdown", "autoretry_for", "max_retries", "acks_late"}, (
                path,
                name,
            )
        assert name not in {"revoke", "apply_later", "delay_on_commit"}, (path, name)
        assert not (name == "retry" and isinstance(call.func, ast.Attribute)), (path, name)


def test_tasks_are_acknowledged_before_they_run() -> None:
    from iris.celery import app

    assert not app.conf.task_acks_late
    assert not app.conf.task_reject_on_worker_lost
    assert not any(task.acks_late for task in app.tasks.values() if task.name.startswith(SOURCES))


def run_concurrently(count: int, work: Callable[[], object]) -> None:
    """Run `work` in `count` threads, each with its own database connection. Fail if any of them raises."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as e:
            failed.append(e)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.django_db(transaction=True)
def test_duplicated_and_reordered_tasks_in_parallel_reach_each_recipient_once() -> None:
    """With two beats, redelivered or late tasks, each task does only the work that is left."""
    owner = make_account(credits=100)
    campaign = make_big_campaign(owner=owner)
    runs.begin(campaign=campaign, message="Namaste", starts_at=timezone.now() + timedelta(hours=1))
    Run.objects.update(starts_at=timezone.now())

    def forwards() -> None:
        run_tasks.tick()
        run_tasks.fill()
        trunk_tasks.tick()
        trunk_tasks.dispatch("sandbox")
        trunk_tasks.poll("sandbox")

    def backwards() -> None:
        trunk_tasks.poll("sandbox")
        trunk_tasks.dispatch("sandbox")
        trunk_tasks.tick()
        run_tasks.fill()
        run_tasks.tick()

    run_concurrently(4, forwards)
    run_concurrently(4, backwards)
    run_to_the_end()
    assert sent() == everybody_once(campaign)
    owner.refresh_from_db()
    assert (owner.balance, check_ledger().differences) == (70, ())


@pytest.mark.django_db
def test_task_that_arrives_after_the_work_is_done_changes_nothing() -> None:
    delivery = make_delivery(channel=Channel.SMS)
    dispatch.run("sandbox", budget=1)
    run_to_the_end()
    trunk_tasks.dispatch("sandbox")
    trunk_tasks.poll("sandbox")
    run_tasks.fill()
    assert sent() == {delivery.to: 1}
