"""`manage.py after_restore`, and other commands that show an operator that everything is held."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from campaigns.models import Run, RunStatus
from telephony.engine import restore_hold
from telephony.models import DeliveryStatus
from tests.campaigns.runs.test_restore import _restored, after_restore, tick
from tests.factories import make_campaign, make_delivery_of, make_run

__all__ = ["_restored"]

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("_restored")
def test_resuming_a_run_that_is_not_held_changes_nothing() -> None:
    run = make_run(campaign=make_campaign())
    by_its_owner = make_run(campaign=make_campaign(), status=RunStatus.PAUSED)
    tick()

    with pytest.raises(CommandError, match=f"not held after a restore: {by_its_owner.pk}"):
        after_restore("--resume", str(run.pk), str(by_its_owner.pk))

    assert restore_hold.is_held()
    run.refresh_from_db()
    assert run.status == RunStatus.PAUSED


@pytest.mark.usefixtures("_restored")
def test_a_held_run_resumed_before_its_start_is_scheduled_again() -> None:
    run = make_run(
        campaign=make_campaign(), status=RunStatus.SCHEDULED, starts_at=timezone.now() + timedelta(days=1)
    )
    tick()

    assert "scheduled for" in after_restore("--show")
    after_restore("--resume")

    run.refresh_from_db()
    assert run.status == RunStatus.SCHEDULED


def test_the_command_holds_everything_and_shows_the_progress_of_each_run() -> None:
    campaign = make_campaign(name="Water supply")
    run = make_run(campaign=campaign, held=3)
    first, second, _ = campaign.recipients.order_by("pk")
    make_delivery_of(run=run, recipient=first, status=DeliveryStatus.COMPLETED, claimed_at=timezone.now())
    make_delivery_of(run=run, recipient=second, status=DeliveryStatus.QUEUED)
    Run.objects.update(cursor=second.pk)

    shown = after_restore()

    assert f"All calls and SMS are held since {timezone.localtime():%Y-%m-%d}" in shown
    assert restore_hold.BY_HAND in shown
    assert "The data end about" in shown
    assert (
        f"run {run.pk} of campaign {campaign.pk} (Water supply): held; 1 ended, 0 under way, 1 queued, 1 not begun"
        in shown
    )
    assert after_restore() == shown  # a repetition changes nothing


def test_after_restore_show_does_not_begin_a_hold() -> None:
    assert "Nothing is held" in after_restore("--show")
    assert "No run is live." in after_restore("--show")
    assert not restore_hold.is_held()


def test_resuming_without_a_hold_says_that_nothing_was_held() -> None:
    assert after_restore("--resume") == "Nothing was held.\n"


@pytest.mark.usefixtures("_restored")
def test_trunk_status_says_that_a_restore_holds_everything() -> None:
    out = StringIO()

    call_command("trunk_status", stdout=out)

    assert (
        "WARNING: nothing is sent: held after a restore: The data are in a different database"
        in out.getvalue()
    )
    assert restore_hold.describe_hold().endswith("manage.py after_restore shows what waits.")
