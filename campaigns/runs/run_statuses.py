"""The only writer of the status of runs.

A run's status changes by compare-and-set (`Run` draws the transitions). If two processes attempt the same transition, the
row count tells which one made it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from accounts import credits
from campaigns import webhook_events
from campaigns.models import LIVE, PENDING, NotStarted, Run, RunStatus
from campaigns.runs.rules import PRIORITIES
from telephony.engine import lifecycle as deliveries
from telephony.engine.failpoints import failpoint
from telephony.models import Purpose
from telephony.models.statuses import END

log = logging.getLogger(__name__)

PAUSE_REASON_LENGTH = 300
MAX_REJECTION_CHARACTERS = 300
FINAL_STATUSES = {RunStatus.RUNNING: RunStatus.COMPLETED, RunStatus.STOPPING: RunStatus.TERMINATED}


def move(run_id: int, *, to: RunStatus, allowed_from: Sequence[RunStatus]) -> bool:
    """Change the status of a run if it is one of `allowed_from`. Return whether this call changed it.

    The change also resets `failing_since`, so the time of earlier failures is forgotten.
    """
    return bool(Run.objects.filter(pk=run_id, status__in=allowed_from).update(status=to, failing_since=None))


def set_aside(run_id: int, *, reason: str) -> bool:
    """Pause a run that cannot or must not continue. Return whether this call paused it.

    `reason` explains this to the owner, who resumes or stops the run. A scheduled run that was set aside starts when it is
    resumed, or at its start time if that is later. If it needs an approval that it does not have, it then waits for approval
    again. Call `reconcile` afterwards, as after every change of status.
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
    """Approve a waiting run, so that it starts now or at its start time. Return whether this call approved it.

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


def start_due() -> int:
    """Start the scheduled runs that are due. Return how many."""
    return Run.objects.filter(status=RunStatus.SCHEDULED, starts_at__lte=Now()).update(
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
        status = Run.objects.values_list("status", flat=True).get(pk=run_id)
        for purpose in (Purpose.CAMPAIGN, Purpose.SEED):
            match status:
                case RunStatus.RUNNING:
                    deliveries.resume(purpose=purpose, batch=run_id)
                case RunStatus.PAUSED:
                    deliveries.pause(purpose=purpose, batch=run_id)
                case RunStatus.STOPPING:
                    deliveries.terminate(purpose=purpose, batch=run_id)


def reconcile_all() -> None:
    """Reconcile all live runs, because a process that changed a run's status may have died before it called `reconcile`."""
    held_back = Run.objects.filter(status__in=[RunStatus.STOPPING, RunStatus.PAUSED])
    for pk in held_back.values_list("pk", flat=True):
        reconcile(pk)
    running = Run.objects.filter(status=RunStatus.RUNNING).values_list("pk", "campaign__owner_id")
    for pk in deliveries.paused_batches(dict(running), purpose=Purpose.CAMPAIGN, priorities=PRIORITIES):
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
        webhook_events.tell_finished(run.pk)
        failpoint("finishing")
    return True


def withdraw(run: Run, *, because: NotStarted, by: int | None = None, words: str = "") -> None:
    """Give a run that has not started the status `withdrawn`, and release its hold. The caller must have locked its row.

    `by` is the person who rejected the run. `words` are the reason that this person gave.
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


def live_run(campaign_id: int) -> Run | None:
    return Run.objects.filter(campaign_id=campaign_id, status__in=LIVE).first()
