"""The deliveries of a run do what its status says, whoever dies between the two, and whoever comes at the same time."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from campaigns import runs
from campaigns.models import Campaign, Run, RunStatus, Service
from campaigns.runs import hopper, lifecycle
from telephony.engine import lifecycle as deliveries
from telephony.engine.lifecycle import Report
from telephony.models import Channel, Delivery, DeliveryStatus, Purpose, SandboxMessage
from tests.engine import run_to_the_end
from tests.factories import make_campaign
from tests.live import wait_for


@pytest.fixture(autouse=True)
def fast_sandbox(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 10_000


def begun() -> Campaign:
    """A campaign with all its deliveries queued."""
    campaign = make_campaign()
    runs.begin(campaign=campaign, message="Hello")
    hopper.fill_all(budget=0)
    return campaign


def claimable() -> int:
    (trunk_id,) = Delivery.objects.values_list("trunk_id", flat=True).distinct()
    return len(deliveries.claim(trunk_id=trunk_id, limit=10, call_limit=None, last_owner=0))


def first() -> int:
    return Delivery.objects.order_by("pk").values_list("pk", flat=True)[0]


@pytest.mark.django_db
def test_a_run_whose_resumer_died_goes_on_with_the_next_tick() -> None:
    campaign = begun()
    run = runs.pause(campaign=campaign)
    lifecycle.move(run.pk, to=RunStatus.RUNNING, come_from=[RunStatus.PAUSED])  # and here it dies
    lifecycle.carry_on()
    run_to_the_end()
    run.refresh_from_db()
    assert (run.status, SandboxMessage.objects.count()) == (RunStatus.COMPLETED, 3)


@pytest.mark.django_db
def test_what_came_back_to_a_resumed_run_while_it_was_paused_goes_on_with_the_next_tick() -> None:
    campaign = begun()
    run = runs.pause(campaign=campaign)
    Delivery.objects.update(status=DeliveryStatus.UNKNOWN)
    lifecycle.move(run.pk, to=RunStatus.RUNNING, come_from=[RunStatus.PAUSED])
    lifecycle.carry_on()
    ids = list(Delivery.objects.values_list("pk", flat=True))
    deliveries.requeue(ids=ids, seconds=[0.0] * len(ids), texts=[""] * len(ids))
    assert claimable() == 0
    lifecycle.carry_on()
    assert claimable() == 3


@pytest.mark.django_db
def test_the_next_tick_leaves_paused_what_is_paused_beside_a_run_of_the_same_owner() -> None:
    paused = begun()
    running = make_campaign(owner=paused.owner)
    runs.begin(campaign=running, message="Hello")
    hopper.fill_all(budget=0)
    runs.pause(campaign=paused)
    lifecycle.carry_on()
    claimed = claimable()
    assert claimed == 3
    assert set(Delivery.objects.filter(status=DeliveryStatus.SUBMITTING).values_list("batch", flat=True)) == {
        Run.objects.get(campaign=running).pk
    }


@pytest.mark.django_db(transaction=True)
def test_who_resumes_while_a_tick_is_pausing_comes_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick has read that the run is paused, and does so when the run has been resumed."""
    campaign = begun()
    run = runs.pause(campaign=campaign)
    Delivery.objects.update(not_before="2020-01-01T00:00:00Z")  # so that there is something to pause
    really = deliveries.pause

    def resume() -> None:
        runs.resume(campaign=campaign)
        connection.close()

    resuming = threading.Thread(target=resume)

    def pause(**options: Any) -> None:
        resuming.start()
        wait_for(lambda: Run.objects.get(pk=run.pk).status == RunStatus.RUNNING, seconds=10)
        really(**options)

    monkeypatch.setattr(deliveries, "pause", pause)
    try:
        lifecycle.carry_on()
    finally:
        resuming.join(60)
    assert not resuming.is_alive()
    assert claimable() == 3


@pytest.mark.django_db(transaction=True)
def test_who_stops_while_a_tick_is_pausing_comes_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = begun()
    run = runs.pause(campaign=campaign)
    Delivery.objects.update(not_before="2020-01-01T00:00:00Z")
    really = deliveries.pause

    def stop() -> None:
        runs.stop(campaign=campaign)
        connection.close()

    stopping = threading.Thread(target=stop)

    def pause(**options: Any) -> None:
        stopping.start()
        wait_for(lambda: Run.objects.get(pk=run.pk).status == RunStatus.STOPPING, seconds=10)
        really(**options)

    monkeypatch.setattr(deliveries, "pause", pause)
    try:
        lifecycle.carry_on()
    finally:
        stopping.join(60)
    assert not stopping.is_alive()
    run.refresh_from_db()
    run.hold.refresh_from_db()
    assert (run.status, run.hold.remaining, claimable()) == (RunStatus.TERMINATED, 0, 0)


def versions() -> list[tuple[Any, ...]]:
    """Where each row of a delivery is, and who has locked it last: another one with every change and every lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, ctid::text, xmax::text FROM telephony_delivery ORDER BY id")
        return cursor.fetchall()


@pytest.mark.django_db
@pytest.mark.parametrize("submitting", [False, True], ids=["queued", "some being submitted"])
def test_a_run_that_stays_paused_costs_no_writes(submitting: bool) -> None:
    campaign = begun()
    if submitting:
        Delivery.objects.filter(pk=first()).update(status=DeliveryStatus.SUBMITTING)
    lifecycle.move(Run.objects.get(campaign=campaign).pk, to=RunStatus.PAUSED, come_from=[RunStatus.RUNNING])
    lifecycle.carry_on()
    assert claimable() == 0
    before = versions()
    lifecycle.carry_on()
    assert versions() == before


@pytest.mark.django_db
def test_a_run_that_is_being_stopped_costs_no_writes_while_it_waits_for_reports() -> None:
    campaign = begun()
    Delivery.objects.filter(pk=first()).update(status=DeliveryStatus.UNKNOWN)
    runs.stop(campaign=campaign)
    before = versions()
    lifecycle.carry_on()
    assert versions() == before


@pytest.mark.django_db
def test_a_running_run_costs_no_writes() -> None:
    begun()
    before = versions()
    lifecycle.carry_on()
    assert versions() == before


@pytest.mark.django_db(transaction=True)
def test_a_missed_call_is_recorded_while_somebody_is_pausing_its_run() -> None:
    """Whoever pauses locks one delivery after the other; who has locked one must not wait for others."""
    campaign = make_campaign(service=Service.CALL, failover_statuses=[DeliveryStatus.UNANSWERED])
    run = runs.begin(campaign=campaign, message="Hello")
    hopper.fill_all(budget=0)
    missed = first()
    Delivery.objects.filter(pk=missed).update(status=DeliveryStatus.SUBMITTED)
    lifecycle.move(run.pk, to=RunStatus.PAUSED, come_from=[RunStatus.RUNNING])
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
    assert claimable() == 0
