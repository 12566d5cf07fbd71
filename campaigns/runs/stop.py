"""Stop, withdraw, pause and resume a campaign's live run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now

from accounts import credits
from campaigns.models import LIVE, PENDING, Campaign, NotStarted, Run, RunStatus
from campaigns.runs import lifecycle
from iris.errors import Conflict
from telephony.engine.nudge import nudge
from telephony.models import FINAL, Delivery, DeliveryStatus, Purpose

# How many seconds `stop` waits for submissions in progress before it counts them as in flight.
STOP_WAIT = 5.0
# How many of the recipients that were not reached are marked by `stop` itself. The task that fills runs marks the
# others, because the response must not wait for that.
MARKED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Stopped:
    """A stopped run, and the ids of the recipients whose call or SMS had already been submitted."""

    run: Run
    in_flight: list[int]


def stop(*, campaign: Campaign) -> Stopped:
    """Stop the live run. Nothing is submitted after this returns, and unused credits have been released.

    Deliveries that the carrier already has continue and are still paid. Raises Conflict if no run is live.
    """
    run = lifecycle.live_run(campaign.pk)
    if run is None:
        raise Conflict("This campaign is not running, so there is nothing to stop.", code="not_running")
    return finish_stop(run, first=request_stop(run))


def request_stop(run: Run) -> bool:
    """Mark a live run as stopping.

    After the commit, no process queues further deliveries for it. Return whether this call marked it.

    Call `finish_stop` next, in other transactions. If the process dies before that, the next ticks finish the stop.
    """
    return lifecycle.move(run.pk, to=RunStatus.STOPPING, allowed_from=_NOT_STOPPED)


def finish_stop(run: Run, *, first: bool) -> Stopped:
    """Terminate the deliveries of a stopping run that were not submitted, and return the result of the stop.

    `first` is the result of `request_stop`: only the caller that marked the run releases its unused credits.
    """
    nudge("campaigns.tasks.fill")
    # Each step is a transaction of its own. Deliveries that end meanwhile lock recipients and the hold in another order.
    lifecycle.reconcile(run.pk)
    unfinished = Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch=run.pk, status__lt=FINAL)
    if first:
        keep = unfinished.aggregate(sum=Sum("credit_limit"))["sum"] or Decimal(0)
        credits.release(hold_id=run.hold_id, keep=keep, cause=f"run:{run.pk}:stopped")
    _wait_for_submissions(run.pk)
    lifecycle.terminate_untouched(run.pk, limit=MARKED_AT_ONCE)
    lifecycle.finish(run.pk)
    run.refresh_from_db()
    return Stopped(run, sorted(set(unfinished.values_list("item", flat=True))))


_NOT_STOPPED = [status for status in LIVE if status != RunStatus.STOPPING]


def withdraw(*, campaign: Campaign) -> Run | None:
    """Withdraw the campaign's run that has not started, as if it had not been begun. Return it, or None if there is none.

    Its recipients do not change, and its whole hold is released.
    """
    with transaction.atomic():
        # The campaign is locked first, as in `begin` and in changes of the campaign, so that they cannot deadlock.
        Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        run = (
            Run.objects.select_for_update(of=("self",)).filter(campaign=campaign, status__in=PENDING).first()
        )
        if run is not None:
            lifecycle.withdraw(run, because=NotStarted.REPLACED)
    return run


def _wait_for_submissions(run_id: int) -> None:
    """Wait until the submissions in progress have ended, at most STOP_WAIT seconds."""
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
    """Pause the running run: nothing is submitted until `resume`. Raises Conflict if the run is not running."""
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
    """Resume a paused run, or let it wait for its approval or start time again. Raises Conflict if it is not paused."""
    run = lifecycle.live_run(campaign.pk)
    if run is None or not lifecycle.resume(run.pk):
        raise Conflict("This campaign is not paused, so it cannot be resumed.", code="not_in_that_state")
    lifecycle.reconcile(run.pk)
    nudge("campaigns.tasks.fill")
    run.refresh_from_db()
    return run
