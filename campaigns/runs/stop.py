"""Stop, withdraw, pause and resume a campaign's live run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Sum
from django.db.models.functions import Now

from accounts import credits
from campaigns.models import LIVE, PENDING, Campaign, NotStarted, Run, RunStatus
from campaigns.runs import recipient_statuses, run_statuses
from iris.errors import Conflict
from telephony.engine.nudge import nudge
from telephony.models import FINAL, Delivery, DeliveryStatus, Purpose

# How many seconds `stop` waits for submissions in progress before it counts them as in flight.
STOP_WAIT = 5.0
# `stop` itself marks the recipients that were not reached if they are at most this many, so that a small run has ended when
# the response comes. Otherwise the task that fills runs marks all of them, and the response does not wait for its chunks.
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
    run = run_statuses.live_run(campaign.pk)
    if run is None:
        raise Conflict("This campaign is not running, so there is nothing to stop.", code="not_running")
    with _flushed_later():
        first = request_stop(run)
    return finish_stop(run, first=first)


def request_stop(run: Run) -> bool:
    """Mark a live run as stopping.

    After the commit, no process queues further deliveries for it. Return whether this call marked it.

    Call `finish_stop` next, in other transactions. If the process dies before that, the next ticks finish the stop.
    """
    return run_statuses.move(run.pk, to=RunStatus.STOPPING, allowed_from=_NOT_STOPPED)


def finish_stop(run: Run, *, first: bool) -> Stopped:
    """Terminate the deliveries of a stopping run that were not submitted, and return the result of the stop.

    `first` is the result of `request_stop`: only the caller that marked the run releases its unused credits.
    """
    nudge("campaigns.tasks.fill")
    # Each step is a transaction of its own: deliveries that end meanwhile lock the hold and recipients before the run, and
    # submissions can only end after the deliveries were committed as stopped.
    with _flushed_later():
        run_statuses.reconcile(run.pk)
    _wait_for_submissions(run.pk)
    unfinished = Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch=run.pk, status__lt=FINAL)
    run.refresh_from_db()
    may_have_ended = run.untouched()[: MARKED_AT_ONCE + 1].count() <= MARKED_AT_ONCE
    with transaction.atomic():
        # Locks in the order of all other transactions: the run, its hold, the account, recipients. At least the hold is
        # locked, also by a call that changes nothing. So this commit is flushed to disk, and with it all earlier ones.
        if may_have_ended:
            Run.objects.select_for_update(of=("self",)).get(pk=run.pk)
        credits.lock_holds([run.hold_id])
        if first:
            keep = unfinished.aggregate(sum=Sum("credit_limit"))["sum"] or Decimal(0)
            credits.release(hold_id=run.hold_id, keep=keep, cause=f"run:{run.pk}:stopped")
        if may_have_ended:
            recipient_statuses.terminate_untouched(run.pk, limit=MARKED_AT_ONCE)
            run_statuses.finish(run.pk)
    run.refresh_from_db()
    return Stopped(run, sorted(set(unfinished.values_list("item", flat=True))))


@contextmanager
def _flushed_later() -> Iterator[None]:
    """Commit a step of a stop without waiting until it is on disk. The last step of the stop waits for all of them.

    Other processes see the step at once. If the database server dies before the last step, it loses the latest steps or
    none, as if the process had died. By then, no response to the stop has been sent.
    """
    if connection.in_atomic_block:  # the setting would also apply to the rest of the caller's transaction
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit TO off")
        yield


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
            run_statuses.withdraw(run, because=NotStarted.REPLACED)
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
    run = run_statuses.live_run(campaign.pk)
    if (
        run is None
        or run.trial
        or not run_statuses.move(run.pk, to=RunStatus.PAUSED, allowed_from=[RunStatus.RUNNING])
    ):
        raise Conflict("This campaign is not running, so it cannot be paused.", code="not_in_that_state")
    run_statuses.reconcile(run.pk)
    _wait_for_submissions(run.pk)
    run.refresh_from_db()
    return run


def resume(*, campaign: Campaign) -> Run:
    """Resume a paused run, or let it wait for its approval or start time again. Raises Conflict if it is not paused."""
    run = run_statuses.live_run(campaign.pk)
    if run is None or not run_statuses.resume(run.pk):
        raise Conflict("This campaign is not paused, so it cannot be resumed.", code="not_in_that_state")
    run_statuses.reconcile(run.pk)
    nudge("campaigns.tasks.fill")
    run.refresh_from_db()
    return run
