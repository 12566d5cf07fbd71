"""Stopping a live run, taking back one that waits for its time, and letting one rest and go on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now

from accounts import credits
from campaigns.models import LIVE, Campaign, Run, RunStatus
from campaigns.runs import lifecycle
from iris.errors import Conflict
from telephony.engine.nudge import nudge
from telephony.models import FINAL, Delivery, DeliveryStatus, Purpose

# How long `stop` waits for submissions that are under way, in seconds, before it counts them as in flight.
STOP_WAIT = 5.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """A stopped run, and the ids of the recipients whose call or SMS could not be held back any more."""

    run: Run
    in_flight: list[int]


def stop(*, campaign: Campaign) -> Stopped:
    """Stop the live run: nothing is submitted after this returns, and the credits it will not need are back.

    What the carrier has already goes on and is still accounted for. Raises Conflict when no run is live.
    """
    run = lifecycle.live_run(campaign.pk)
    if run is None:
        raise Conflict("This campaign is not running, so there is nothing to stop.", code="not_running")
    return finish_stop(run, first=request_stop(run))


def request_stop(run: Run) -> bool:
    """Once this is committed, nothing new is queued for a live run. Whether it was not so before.

    `finish_stop` follows, in other transactions; if whoever does this dies before, the next ticks do the same.
    """
    return lifecycle.move(run.pk, to=RunStatus.STOPPING, allowed_from=_NOT_STOPPED)


def finish_stop(run: Run, *, first: bool) -> Stopped:
    """End what of a halted run has not been submitted; the `first` one who does gives back the credits that it frees."""
    nudge("campaigns.tasks.fill")
    # Each a transaction of its own: what ends meanwhile locks recipients and the hold in another order.
    lifecycle.reconcile(run.pk)
    unfinished = Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch=run.pk, status__lt=FINAL)
    if first:
        keep = unfinished.aggregate(sum=Sum("credit_limit"))["sum"] or Decimal(0)
        credits.release(hold_id=run.hold_id, keep=keep, cause=f"run:{run.pk}:stopped")
    _wait_for_submissions(run.pk)
    lifecycle.terminate_untouched(run.pk)
    lifecycle.finish(run.pk)
    run.refresh_from_db()
    return Stopped(run, sorted(set(unfinished.values_list("item", flat=True))))


_NOT_STOPPED = [status for status in LIVE if status != RunStatus.STOPPING]


def withdraw(*, campaign: Campaign) -> Run | None:
    """Take back a run that waits for its time, as if it had not been begun; None when none does.

    Its recipients stay as they were, and all of its credits are back.
    """
    with transaction.atomic():
        # First the campaign, as whoever begins or changes one does, so that no two wait for each other.
        Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        run = (
            Run.objects.select_for_update(of=("self",))
            .filter(campaign=campaign, status=RunStatus.SCHEDULED)
            .first()
        )
        if run is not None:
            lifecycle.withdraw(run)
    return run


def _wait_for_submissions(run_id: int) -> None:
    """Let the submissions that were under way end: they are short, and afterwards there are none."""
    submitting = Delivery.objects.filter(
        purpose=Purpose.CAMPAIGN,
        batch=run_id,
        status=DeliveryStatus.SUBMITTING,
        expires_at__gt=Now(),
    )
    end = time.monotonic() + STOP_WAIT
    while submitting.exists() and time.monotonic() < end:
        time.sleep(0.02)


def pause(*, campaign: Campaign) -> Run:
    """Nothing more of the running run is submitted until `resume`. Raises Conflict when it is not running."""
    run = lifecycle.live_run(campaign.pk)
    if (
        run is None
        or run.trial
        or not lifecycle.move(run.pk, to=RunStatus.PAUSED, allowed_from=[RunStatus.RUNNING])
    ):
        raise Conflict("This campaign is not running, so it cannot be paused.", code="not_in_that_state")
    lifecycle.reconcile(run.pk)
    _wait_for_submissions(run.pk)
    run.refresh_from_db()
    return run


def resume(*, campaign: Campaign) -> Run:
    """Go on with a paused run. Raises Conflict when it is not paused."""
    run = lifecycle.live_run(campaign.pk)
    if run is None or not lifecycle.resume(run.pk):
        raise Conflict("This campaign is not paused, so it cannot be resumed.", code="not_in_that_state")
    lifecycle.reconcile(run.pk)
    nudge("campaigns.tasks.fill")
    run.refresh_from_db()
    return run
