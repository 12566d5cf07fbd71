"""After a backup is restored, iris sends nothing until an operator allows it."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from campaigns import runs
from campaigns import tasks as campaign_tasks
from campaigns.models import RunStatus
from campaigns.runs import restore, run_statuses
from iris.errors import Unavailable
from otp.services import send_otp
from telephony import tasks as telephony_tasks
from telephony.engine import dispatch, pacing, restore_hold
from telephony.engine import lifecycle as deliveries
from telephony.models import (
    FINAL,
    Cause,
    Channel,
    Delivery,
    DeliveryStatus,
    RestoreGuard,
    SandboxMessage,
)
from tests import engine
from tests.factories import make_account, make_campaign, make_delivery, make_delivery_of, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def _restored(db: None) -> None:
    """Make the data look as if they had been written in a database with another oid."""
    RestoreGuard.objects.update(database_oid=1)


def after_restore(*arguments: str) -> str:
    out = StringIO()
    call_command("after_restore", *arguments, stdout=out)
    return out.getvalue()


def tick() -> None:
    telephony_tasks._tick()
    campaign_tasks._tick()


def sent() -> int:
    return SandboxMessage.objects.count()


@pytest.mark.usefixtures("_restored")
def test_after_a_restore_nothing_is_claimed_even_before_the_first_tick() -> None:
    make_delivery()
    make_delivery(priority=0)

    claim = pacing.claim("sandbox")

    assert claim.deliveries == []
    assert claim.wait is None
    assert not dispatch.run("sandbox", budget=0.5)
    assert sent() == 0


@pytest.mark.usefixtures("_restored")
def test_the_first_tick_after_a_restore_pauses_all_runs_with_a_reason() -> None:
    running = make_run(campaign=make_campaign())
    due = make_run(
        campaign=make_campaign(), status=RunStatus.SCHEDULED, starts_at=timezone.now() - timedelta(hours=1)
    )
    stopping = make_run(campaign=make_campaign(), status=RunStatus.STOPPING)

    tick()

    for run in (running, due):
        run.refresh_from_db()
        assert (run.status, run.pause_reason) == (RunStatus.PAUSED, restore.HELD)
    stopping.refresh_from_db()
    assert stopping.status != RunStatus.PAUSED
    guard = RestoreGuard.objects.get()
    assert guard.held_since is not None
    assert guard.set_aside_at is not None
    assert guard.reason == restore_hold.ALWAYS_KNOWN["database_oid"]


def test_ticks_hold_nothing_without_a_restore() -> None:
    run = make_run(campaign=make_campaign(), held=3)
    before = RestoreGuard.objects.get().beats

    tick()
    tick()

    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING
    guard = RestoreGuard.objects.get()
    assert (guard.held_since, guard.beats) == (None, before + 2)


@pytest.mark.usefixtures("_restored")
def test_deliveries_of_held_runs_stay_paused_after_after_restore_open() -> None:
    campaign = make_campaign()
    run = make_run(campaign=campaign, held=3)
    for recipient in campaign.recipients.all():
        make_delivery_of(run=run, recipient=recipient, status=DeliveryStatus.QUEUED)
    tick()

    assert "are sent again" in after_restore("--open")
    make_delivery(to="+9779841999999")
    engine.run_all_loops_once()

    assert list(SandboxMessage.objects.values_list("to", flat=True)) == ["+9779841999999"]
    run.refresh_from_db()
    assert run.status == RunStatus.PAUSED


@pytest.mark.usefixtures("_restored")
def test_runs_complete_after_everything_was_resumed() -> None:
    campaign = make_campaign()
    run = runs.begin(campaign=campaign, message="Namaste")
    tick()
    engine.run_all_loops_once()
    assert sent() == 0

    assert f"Run {run.pk} continues." in after_restore("--resume")

    engine.run_to_the_end()
    run.refresh_from_db()
    assert (run.status, run.pause_reason) == (RunStatus.COMPLETED, "")
    assert sent() == 3
    assert restore_hold.hold() is None


@pytest.mark.usefixtures("_restored")
def test_resuming_one_held_run_leaves_the_others_held() -> None:
    first, second = make_run(campaign=make_campaign()), make_run(campaign=make_campaign())

    after_restore("--resume", str(first.pk))  # no tick has paused them yet

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == (RunStatus.RUNNING, RunStatus.PAUSED)
    tick()
    second.refresh_from_db()
    assert second.status == RunStatus.PAUSED
    after_restore("--resume")
    second.refresh_from_db()
    assert second.status == RunStatus.RUNNING


@pytest.mark.usefixtures("_restored")
def test_a_run_that_its_owner_had_paused_is_not_resumed_by_the_operator() -> None:
    run = make_run(campaign=make_campaign(), status=RunStatus.PAUSED)
    tick()

    after_restore("--resume")

    run.refresh_from_db()
    assert run.status == RunStatus.PAUSED


@pytest.mark.usefixtures("_restored")
def test_a_run_begun_during_a_restore_hold_waits_without_being_paused() -> None:
    tick()
    run = runs.begin(campaign=make_campaign(), message="Namaste")
    tick()
    engine.run_all_loops_once()
    run.refresh_from_db()
    assert (run.status, sent()) == (RunStatus.RUNNING, 0)

    after_restore("--open")

    engine.run_to_the_end()
    assert sent() == 3


@pytest.mark.usefixtures("_restored")
def test_a_held_run_resumed_by_its_owner_still_waits_for_the_operator() -> None:
    run = runs.begin(campaign=make_campaign(), message="Namaste")
    tick()

    runs.resume(campaign=run.campaign)
    tick()
    engine.run_all_loops_once()

    run.refresh_from_db()
    assert (run.status, sent()) == (RunStatus.RUNNING, 0)


@pytest.mark.usefixtures("_restored")
def test_an_otp_during_a_restore_hold_is_refused_and_costs_nothing() -> None:
    owner = make_account(credits=10)

    with pytest.raises(Unavailable, match="restored from a backup"):
        send_otp(account=owner, number=9841000001, message="{otp}", channel=Channel.SMS)

    owner.refresh_from_db()
    assert owner.balance == 10


@pytest.mark.usefixtures("_restored")
def test_deliveries_in_progress_are_not_lost_during_a_hold_and_get_time_for_their_reports() -> None:
    long_ago = timezone.now() - timedelta(hours=5)
    one = make_delivery(status=DeliveryStatus.SUBMITTED, claimed_at=long_ago, expires_at=long_ago)

    tick()

    one.refresh_from_db()
    assert one.status == DeliveryStatus.SUBMITTED
    after_restore("--resume")
    tick()
    one.refresh_from_db()
    assert one.status == DeliveryStatus.SUBMITTED
    assert one.expires_at is not None
    assert one.expires_at > timezone.now()


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("status", [DeliveryStatus.SUBMITTING, DeliveryStatus.UNKNOWN])
def test_deliveries_that_were_being_submitted_are_never_queued_again_after_a_restore(
    status: DeliveryStatus,
) -> None:
    long_ago = timezone.now() - timedelta(hours=5)
    one = make_delivery(status=status, attempts=1, claimed_at=long_ago, expires_at=long_ago)

    tick()
    after_restore("--resume")
    for _ in range(3):
        tick()  # the sandbox answers that it does not know the delivery, because its table was restored, too
        engine.run_all_loops_once()

    one.refresh_from_db()
    assert (one.status, sent()) == (DeliveryStatus.UNKNOWN, 0)
    Delivery.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    deliveries.lose_unreported()
    one.refresh_from_db()
    assert (one.status, one.cause) == (DeliveryStatus.FAILED, Cause.LOST)


def test_deliveries_claimed_after_the_restore_are_looked_up_as_usual() -> None:
    restore_hold.hold_everything()
    restore_hold.release()
    RestoreGuard.objects.update(restored_at=timezone.now() - timedelta(hours=1))
    claimed_at = timezone.now() - timedelta(minutes=10)
    one = make_delivery(
        status=DeliveryStatus.UNKNOWN,
        attempts=1,
        claimed_at=claimed_at,
        expires_at=timezone.now() + timedelta(hours=1),
    )

    tick()

    one.refresh_from_db()
    assert one.status == DeliveryStatus.QUEUED


def test_emptied_tables_hold_everything_until_an_operator_allows_it() -> None:
    run = make_run(campaign=make_campaign())
    RestoreGuard.objects.all().delete()
    make_delivery()

    assert pacing.claim("sandbox").deliveries == []
    tick()

    run.refresh_from_db()
    assert run.status == RunStatus.PAUSED
    assert RestoreGuard.objects.get().reason == restore_hold.NO_GUARD
    after_restore("--resume")
    assert pacing.claim("sandbox").deliveries != []


@pytest.mark.usefixtures("_restored")
def test_migrating_does_not_end_a_restore_hold() -> None:
    restore_hold.adopt_new("default")

    assert restore_hold.is_held()


def test_after_restore_does_not_resume_a_run_set_aside_for_another_reason() -> None:
    run = make_run(campaign=make_campaign())
    run_statuses.set_aside(run.pk, reason="Its speech took too long.")
    after_restore()

    after_restore("--resume")

    run.refresh_from_db()
    assert (run.status, run.pause_reason) == (RunStatus.PAUSED, "Its speech took too long.")


@pytest.mark.usefixtures("_restored")
def test_a_failover_sms_of_a_call_that_ends_during_a_hold_waits_with_its_run(settings: Any) -> None:
    campaign = make_campaign()
    run = make_run(
        campaign=campaign, held=6, failover_statuses=[int(DeliveryStatus.UNANSWERED)], sms_message="Hi"
    )
    run.call_limit = run.sms_limit
    run.save()
    call = make_delivery_of(
        run=run, recipient=campaign.recipients.order_by("pk")[0], status=DeliveryStatus.SUBMITTED
    )
    Delivery.objects.filter(pk=call.pk).update(channel=Channel.CALL)
    tick()

    deliveries.apply_reports([deliveries.Report(id=call.pk, status=DeliveryStatus.UNANSWERED, at=None)])
    engine.run_all_loops_once()
    after_restore("--open")
    engine.run_all_loops_once()

    assert sent() == 0
    assert Delivery.objects.filter(status__lt=FINAL, channel=Channel.SMS).count() == 1
