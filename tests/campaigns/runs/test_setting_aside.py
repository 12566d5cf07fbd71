"""Runs that iris (not their owner) pauses, with a reason for their owner."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns import runs
from campaigns.models import RunStatus
from campaigns.runs import run_statuses
from tests.factories import make_campaign, make_run

pytestmark = pytest.mark.django_db


def test_a_running_run_that_is_set_aside_is_paused_and_says_why() -> None:
    run = make_run(campaign=make_campaign())

    assert run_statuses.set_aside(run.pk, reason="Its speech took too long. Change the message.")

    run.refresh_from_db()
    assert run.status == RunStatus.PAUSED
    assert run.pause_reason == "Its speech took too long. Change the message."


def test_a_run_that_has_ended_is_not_set_aside() -> None:
    run = make_run(campaign=make_campaign(), status=RunStatus.COMPLETED)

    assert not run_statuses.set_aside(run.pk, reason="Too late.")

    run.refresh_from_db()
    assert (run.status, run.pause_reason) == (RunStatus.COMPLETED, "")


def test_resuming_a_run_that_was_set_aside_clears_its_reason() -> None:
    run = make_run(campaign=make_campaign())
    run_statuses.set_aside(run.pk, reason="The database was restored.")

    resumed = runs.resume(campaign=run.campaign)

    assert (resumed.status, resumed.pause_reason) == (RunStatus.RUNNING, "")


def test_a_run_set_aside_and_resumed_before_its_start_is_scheduled_again() -> None:
    run = make_run(
        campaign=make_campaign(),
        status=RunStatus.SCHEDULED,
        starts_at=timezone.now() + timedelta(hours=1),
    )
    run_statuses.set_aside(run.pk, reason="The database was restored.")

    assert runs.resume(campaign=run.campaign).status == RunStatus.SCHEDULED


def test_a_scheduled_run_that_was_set_aside_does_not_start_by_itself() -> None:
    run = make_run(campaign=make_campaign(), status=RunStatus.SCHEDULED)
    run_statuses.set_aside(run.pk, reason="The database was restored.")

    assert run_statuses.start_due() == 0

    run.refresh_from_db()
    assert run.status == RunStatus.PAUSED


def test_a_run_that_was_set_aside_can_be_stopped() -> None:
    run = make_run(campaign=make_campaign(), held=3)
    run_statuses.set_aside(run.pk, reason="Its speech took too long.")

    stopped = runs.stop(campaign=run.campaign)

    assert stopped.run.status == RunStatus.TERMINATED
    stopped.run.hold.refresh_from_db()
    assert stopped.run.hold.remaining == 0
