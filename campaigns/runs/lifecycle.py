"""The only writer of the status of runs and of the outcome of recipients.

A run's status changes by compare-and-set (`Run` draws the transitions). If two processes attempt the same transition, the
row count tells which one made it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from accounts import credits
from campaigns.models import LIVE, PENDING, NotStarted, Run, RunStatus
from campaigns.runs import delivery_requests
from telephony.engine import lifecycle as deliveries
from telephony.engine.failpoints import failpoint
from telephony.engine.lifecycle import Changed
from telephony.models import Channel, DeliveryStatus, Purpose
from telephony.models.statuses import COMPLETED, END, FAILED, HUNGUP
from telephony.unnest import rowset

log = logging.getLogger(__name__)

PAUSE_REASON_LENGTH = 300
MAX_REJECTION_CHARACTERS = 300
FINAL_STATUSES = {RunStatus.RUNNING: RunStatus.COMPLETED, RunStatus.STOPPING: RunStatus.TERMINATED}


def move(run_id: int, *, to: RunStatus, allowed_from: Sequence[RunStatus]) -> bool:
    """Change the status of a run if it is one of `allowed_from`. Return whether this call changed it.

    Failures before the change do not count against the run afterwards.
    """
    return bool(Run.objects.filter(pk=run_id, status__in=allowed_from).update(status=to, failing_since=None))


def set_aside(run_id: int, *, reason: str) -> bool:
    """Pause a run that cannot or must not continue. Return whether this call paused it.

    `reason` explains this to the owner, who resumes or stops the run. A scheduled run that was set aside starts when it is
    resumed, or at its start time if that is later. A run that needs approval and has none then waits for it again. Call
    `reconcile` afterwards, as after every change of status.
    """
    return bool(
        Run.objects.filter(pk=run_id, status__in=[RunStatus.RUNNING, *PENDING]).update(
            status=RunStatus.PAUSED, pause_reason=reason[:PAUSE_REASON_LENGTH], failing_since=None
        )
    )


def resume(run_id: int) -> bool:
    """Make a paused run running, scheduled if its start time is in the future, or awaiting if it must be approved first.

    Return whether this call did.
    """
    unapproved = Q(needs_approval=True, approved_at=None)
    return bool(
        Run.objects.filter(pk=run_id, status=RunStatus.PAUSED).update(
            status=Case(When(unapproved, then=Value(RunStatus.AWAITING)), default=_started()),
            pause_reason="",
            failing_since=None,
        )
    )


def approve(run_id: int, *, by: int) -> bool:
    """Let a run start that waits for approval, now or at its start time. Return whether this call approved it.

    `by` is the id of the person. A run whose time for approval is over is not approved.
    """
    waiting = Run.objects.filter(pk=run_id, status=RunStatus.AWAITING, approve_until__gt=Now())
    return bool(
        waiting.update(
            status=_started(), approved_at=Now(), decided_by=by, starts_at=Greatest("starts_at", Now())
        )
    )


def _started() -> Case:
    """Return the status of a run that may start: scheduled until its start time, then running."""
    return Case(When(starts_at__gt=Now(), then=Value(RunStatus.SCHEDULED)), default=Value(RunStatus.RUNNING))


def begin_due() -> int:
    """Start the scheduled runs that are due. Return how many."""
    return Run.objects.filter(status=RunStatus.SCHEDULED, starts_at__lte=timezone.now()).update(
        status=RunStatus.RUNNING
    )


def reconcile(run_id: int) -> None:
    """Make the deliveries of a run match its status: resume, pause or terminate them. Idempotent.

    Call it after each change of a run's status, in another transaction. A lock makes concurrent calls wait for each other,
    and each reads the status under the lock, so the last call applies the final status.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            # An advisory lock instead of a lock on the run's row: a delivery that ends locks deliveries first and their
            # run afterwards (`failover`). Here the order is reversed, so a row lock could deadlock.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [run_id])
        match Run.objects.values_list("status", flat=True).get(pk=run_id):
            case RunStatus.RUNNING:
                deliveries.resume(purpose=Purpose.CAMPAIGN, batch=run_id)
            case RunStatus.PAUSED:
                deliveries.pause(purpose=Purpose.CAMPAIGN, batch=run_id)
            case RunStatus.STOPPING:
                deliveries.terminate(purpose=Purpose.CAMPAIGN, batch=run_id)


def reconcile_all() -> None:
    """Reconcile all live runs, because a process that changed a run's status may have died before it called `reconcile`."""
    held_back = Run.objects.filter(status__in=[RunStatus.STOPPING, RunStatus.PAUSED])
    for pk in held_back.values_list("pk", flat=True):
        reconcile(pk)
    running = Run.objects.filter(status=RunStatus.RUNNING).values_list("pk", "campaign__owner_id")
    for pk in deliveries.paused_batches(dict(running), purpose=Purpose.CAMPAIGN, priority=delivery_requests.PRIORITY):
        reconcile(pk)


def finish(run_id: int) -> bool:
    """Close a run if all of its deliveries have ended, and release the unused credits of its hold.

    Return whether it was closed.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).filter(pk=run_id, status__in=FINAL_STATUSES).first()
        if run is None or run.filled_at is None or has_unfinished_deliveries(run.pk):
            return False
        run.status = FINAL_STATUSES[RunStatus(run.status)]
        run.finished_at = timezone.now()
        run.save(update_fields=["status", "finished_at"])
        credits.release(hold_id=run.hold_id, cause=f"run:{run.pk}:finished")
        failpoint("finishing")
    return True


def withdraw(run: Run, *, because: NotStarted, by: int | None = None, words: str = "") -> None:
    """Close a run that has not started as withdrawn, and release its hold. The caller must have locked its row.

    `by` is the person who rejected it, and `words` say why.
    """
    run.status, run.not_started, run.decided_by_id, run.rejection = (
        RunStatus.WITHDRAWN, because, by, words[:MAX_REJECTION_CHARACTERS]
    )  # fmt: skip
    run.filled_at = run.finished_at = timezone.now()
    run.save(update_fields=["status", "not_started", "decided_by", "rejection", "filled_at", "finished_at"])
    credits.release(hold_id=run.hold_id, cause=f"run:{run.pk}:finished")


def finish_all() -> int:
    """Close every run that has ended. Return how many."""
    candidates = Run.objects.filter(status__in=FINAL_STATUSES, filled_at__isnull=False).values_list(
        "pk", flat=True
    )
    finished = 0
    for pk in candidates:
        try:
            finished += finish(pk)
        except Exception:  # the other runs must still be closed
            log.exception("Run %d cannot be closed", pk)
    return finished


def has_unfinished_deliveries(run_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            # ORDER BY item makes the planner use the index of unfinished deliveries, so finished ones cost nothing.
            f"""SELECT FROM telephony_delivery WHERE purpose = %s AND batch = %s AND status < {END}
                 ORDER BY item LIMIT 1""",
            [Purpose.CAMPAIGN.value, run_id],
        )
        return cursor.fetchone() is not None


def update_recipients(changed: Sequence[Changed], **kwargs: Any) -> None:
    """Store with each recipient how its latest delivery ended. This is a receiver of `deliveries_changed`."""
    ended = [delivery for delivery in changed if delivery.purpose is Purpose.CAMPAIGN and delivery.is_final]
    if not ended:
        return
    with connection.cursor() as cursor:
        # A call and an SMS of one recipient can end at the same moment. Locking in the order of ids avoids deadlocks.
        cursor.execute(
            "SELECT FROM campaigns_recipient WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [[delivery.item for delivery in ended]],
        )
    for channel in Channel:
        _update_recipients_of(channel, [delivery for delivery in ended if delivery.channel is channel])


def _update_recipients_of(channel: Channel, ended: list[Changed]) -> None:
    if not ended:
        return
    ended.sort(key=lambda delivery: delivery.item)
    # `status`, `seconds` and `playback` are those of the call. An SMS sent with or after a call has fields of its own.
    shown = "NOT run.trial" if channel is Channel.CALL else "NOT run.trial AND c.service = 'sms'"
    is_sms = "true" if channel is Channel.SMS else "false"
    # A late report may be about an earlier run. It replaces the result of a later run only if it says that the
    # recipient was reached, or if that result is a failure.
    tells = f"(NOT e.late OR e.status IN ({COMPLETED}, {HUNGUP}) OR {{shown}} = {FAILED})"
    shown = f"{shown} AND {tells.format(shown='r.status')}"
    texted = f"{is_sms} AND NOT run.trial AND {tells.format(shown='r.sms_status')}"
    rows, parameters = rowset(
        "e",
        {
            "id": ("bigint", [delivery.item for delivery in ended]),
            "batch": ("bigint", [delivery.batch for delivery in ended]),
            "status": ("smallint", [int(delivery.status) for delivery in ended]),
            "seconds": ("float8", [delivery.seconds for delivery in ended]),
            "playback": ("smallint", [delivery.playback for delivery in ended]),
            "credits": ("numeric", [delivery.credits for delivery in ended]),
            "late": ("bool", [delivery.is_late for delivery in ended]),
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE campaigns_recipient r
                   SET status = CASE WHEN {shown} THEN e.status ELSE r.status END,
                       seconds = CASE WHEN {shown} THEN e.seconds ELSE r.seconds END,
                       playback = CASE WHEN {shown} THEN e.playback ELSE r.playback END,
                       sms_status = CASE WHEN {texted} THEN e.status ELSE r.sms_status END,
                       sms_credits = r.sms_credits + CASE WHEN {is_sms} THEN e.credits ELSE 0 END,
                       credits = r.credits + e.credits
                  FROM {rows}, campaigns_campaign c, campaigns_run run
                 WHERE r.id = e.id AND c.id = r.campaign_id AND run.id = e.batch""",
            parameters,
        )


def terminate_untouched(run_id: int, *, limit: int = 5000) -> bool:
    """Mark recipients that a stopping run has not reached as `terminated`, at most `limit`.

    Return whether such recipients remain.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).filter(pk=run_id, status=RunStatus.STOPPING).first()
        if run is None or run.filled_at is not None:
            return False
        rows = list(run.untouched().values_list("pk", flat=True)[:limit])
        if rows and not run.trial:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE campaigns_recipient SET status = %s WHERE id = ANY(%s)",
                    [int(DeliveryStatus.TERMINATED), rows],
                )
        run.cursor = rows[-1] if rows else run.last_recipient
        if len(rows) < limit:
            run.filled_at = timezone.now()
        run.save(update_fields=["cursor", "filled_at"])
    return len(rows) == limit


def live_run(campaign_id: int) -> Run | None:
    return Run.objects.filter(campaign_id=campaign_id, status__in=LIVE).first()
