"""Test for failures that are common in other dialers and task queues, where no other test of ours would notice them.

Each docstring says how the failure happens elsewhere.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.ledger import check_ledger
from campaigns import runs
from campaigns.models import Campaign, Run, RunStatus, Service
from campaigns.runs import hopper, run_statuses
from telephony import tasks as trunk_tasks
from telephony.engine import dispatch, pacing, routing
from telephony.engine import lifecycle as deliveries
from telephony.models import FINAL, Delivery, DeliveryStatus, SandboxMessage, Trunk
from tests import v0
from tests.big_campaign import everybody_once, make_big_campaign, sent
from tests.engine import run_all_loops_once, run_to_the_end
from tests.factories import make_account, make_campaign, make_delivery_of, make_phone_number, make_run


@pytest.fixture(autouse=True)
def _fast(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 10_000
    settings.IRIS_TASK_SECONDS = 1


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
    assert run_statuses.finish_all() == 0
    Delivery.objects.update(status=DeliveryStatus.COMPLETED)
    assert run_statuses.finish_all() == 1


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
