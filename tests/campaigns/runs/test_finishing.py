"""The deliveries of a run get its status, even if a process dies after it has changed only the run."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from campaigns import runs
from campaigns.models import Campaign, Run, RunStatus, Service
from campaigns.runs import hopper, run_statuses
from telephony.engine import lifecycle as deliveries
from telephony.engine.lifecycle import Report
from telephony.models import Channel, Delivery, DeliveryStatus, Purpose, SandboxMessage
from tests.engine import run_to_the_end
from tests.factories import make_campaign
from tests.live import wait_for


@pytest.fixture(autouse=True)
def fast_sandbox(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 10_000


def campaign_with_queued_deliveries() -> Campaign:
    """Return a running campaign with all of its deliveries queued."""
    campaign = make_campaign()
    runs.begin(campaign=campaign, message="Hello")
    hopper.fill_all(budget=0)
    return campaign


def count_claimable() -> int:
    (trunk_id,) = Delivery.objects.values_list("trunk_id", flat=True).distinct()
    return len(deliveries.claim(trunk_id=trunk_id, limit=10, call_limit=None, last_owner=0))


def first_delivery_id() -> int:
    return Delivery.objects.order_by("pk").values_list("pk", flat=True)[0]


@pytest.mark.django_db
def test_the_next_tick_continues_a_run_whose_resuming_process_died() -> None:
    campaign = campaign_with_queued_deliveries()
    run = runs.pause(campaign=campaign)
    run_statuses.move(
        run.pk, to=RunStatus.RUNNING, allowed_from=[RunStatus.PAUSED]
    )  # the process dies here, before it reconciles
    run_statuses.reconcile_all()
    run_to_the_end()
    run.refresh_from_db()
    assert (run.status, SandboxMessage.objects.count()) == (RunStatus.COMPLETED, 3)


@pytest.mark.django_db
def test_the_next_tick_resumes_deliveries_that_returned_to_the_queue_while_the_run_was_paused() -> None:
    campaign = campaign_with_queued_deliveries()
    run = runs.pause(campaign=campaign)
    Delivery.objects.update(status=DeliveryStatus.UNKNOWN)
    run_statuses.move(run.pk, to=RunStatus.RUNNING, allowed_from=[RunStatus.PAUSED])
    run_statuses.reconcile_all()
    ids = list(Delivery.objects.values_list("pk", flat=True))
    deliveries.requeue(ids=ids, seconds=[0.0] * len(ids), texts=[""] * len(ids))
    assert count_claimable() == 0
    run_statuses.reconcile_all()
    assert count_claimable() == 3


@pytest.mark.django_db
def test_the_next_tick_does_not_resume_deliveries_of_the_owners_paused_run() -> None:
    paused = campaign_with_queued_deliveries()
    running = make_campaign(owner=paused.owner)
    runs.begin(campaign=running, message="Hello")
    hopper.fill_all(budget=0)
    runs.pause(campaign=paused)
    run_statuses.reconcile_all()
    claimed = count_claimable()
    assert claimed == 3
    assert set(Delivery.objects.filter(status=DeliveryStatus.SUBMITTING).values_list("batch", flat=True)) == {
        Run.objects.get(campaign=running).pk
    }


@pytest.mark.django_db(transaction=True)
def test_a_resume_during_a_tick_that_pauses_the_run_takes_effect_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tick reads that the run is paused. Before it pauses the deliveries, the owner resumes the run."""
    campaign = campaign_with_queued_deliveries()
    run = runs.pause(campaign=campaign)
    Delivery.objects.update(not_before="2020-01-01T00:00:00Z")  # so that there is something to pause
    really = deliveries.pause

    def resume() -> None:
        runs.resume(campaign=campaign)
        connection.close()

    resuming = threading.Thread(target=resume)

    def pause(**options: Any) -> None:
        if resuming.ident is None:  # not again for the SMS to seed numbers
            resuming.start()
        wait_for(lambda: Run.objects.get(pk=run.pk).status == RunStatus.RUNNING, seconds=10)
        really(**options)

    monkeypatch.setattr(deliveries, "pause", pause)
    try:
        run_statuses.reconcile_all()
    finally:
        resuming.join(60)
    assert not resuming.is_alive()
    assert count_claimable() == 3


@pytest.mark.django_db(transaction=True)
def test_a_stop_during_a_tick_that_pauses_the_run_takes_effect_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    campaign = campaign_with_queued_deliveries()
    run = runs.pause(campaign=campaign)
    Delivery.objects.update(not_before="2020-01-01T00:00:00Z")
    really = deliveries.pause

    def stop() -> None:
        runs.stop(campaign=campaign)
        connection.close()

    stopping = threading.Thread(target=stop)

    def pause(**options: Any) -> None:
        if stopping.ident is None:  # not again for the SMS to seed numbers
            stopping.start()
        wait_for(lambda: Run.objects.get(pk=run.pk).status == RunStatus.STOPPING, seconds=10)
        really(**options)

    monkeypatch.setattr(deliveries, "pause", pause)
    try:
        run_statuses.reconcile_all()
    finally:
        stopping.join(60)
    assert not stopping.is_alive()
    run.refresh_from_db()
    run.hold.refresh_from_db()
    assert (run.status, run.hold.remaining, count_claimable()) == (RunStatus.TERMINATED, 0, 0)


def versions() -> list[tuple[Any, ...]]:
    """Return id, ctid and xmax of each delivery. ctid changes with every update of the row, xmax with every lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, ctid::text, xmax::text FROM telephony_delivery ORDER BY id")
        return cursor.fetchall()


@pytest.mark.django_db
@pytest.mark.parametrize("submitting", [False, True], ids=["queued", "some being submitted"])
def test_ticks_write_nothing_for_a_run_that_stays_paused(submitting: bool) -> None:
    campaign = campaign_with_queued_deliveries()
    if submitting:
        Delivery.objects.filter(pk=first_delivery_id()).update(status=DeliveryStatus.SUBMITTING)
    run_statuses.move(
        Run.objects.get(campaign=campaign).pk, to=RunStatus.PAUSED, allowed_from=[RunStatus.RUNNING]
    )
    run_statuses.reconcile_all()
    assert count_claimable() == 0
    before = versions()
    run_statuses.reconcile_all()
    assert versions() == before


@pytest.mark.django_db
def test_ticks_write_nothing_for_a_stopping_run_that_waits_for_reports() -> None:
    campaign = campaign_with_queued_deliveries()
    Delivery.objects.filter(pk=first_delivery_id()).update(status=DeliveryStatus.UNKNOWN)
    runs.stop(campaign=campaign)
    before = versions()
    run_statuses.reconcile_all()
    assert versions() == before


@pytest.mark.django_db
def test_ticks_write_nothing_for_a_running_run() -> None:
    campaign_with_queued_deliveries()
    before = versions()
    run_statuses.reconcile_all()
    assert versions() == before


@pytest.mark.django_db(transaction=True)
def test_a_missed_call_is_stored_while_its_run_is_being_paused() -> None:
    """Pausing locks one delivery after the other. A process that has locked a delivery must not wait for other locks."""
    campaign = make_campaign(service=Service.CALL, failover_statuses=[DeliveryStatus.UNANSWERED])
    run = runs.begin(campaign=campaign, message="Hello")
    hopper.fill_all(budget=0)
    missed = first_delivery_id()
    Delivery.objects.filter(pk=missed).update(status=DeliveryStatus.SUBMITTED)
    run_statuses.move(run.pk, to=RunStatus.PAUSED, allowed_from=[RunStatus.RUNNING])
    locked, done = threading.Event(), threading.Event()

    def pause() -> None:
        with transaction.atomic():
            deliveries.pause(purpose=Purpose.CAMPAIGN, batch=run.pk)
            locked.set()
            assert done.wait(120)
        connection.close()

    pausing = threading.Thread(target=pause)
    pausing.start()
    try:
        assert locked.wait(60)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '1s'")
            report = Report(id=missed, status=DeliveryStatus.UNANSWERED, at=None)
            assert deliveries.apply_reports([report]) == 1
    finally:
        done.set()
        pausing.join()
    assert Delivery.objects.filter(channel=Channel.SMS, status=DeliveryStatus.QUEUED).count() == 1
    assert count_claimable() == 0
