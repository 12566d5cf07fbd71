"""The only writer of a run's status and of what a recipient came to.

A run moves by compare-and-set (`Run` draws its life); of two processes that want the same move, the row count tells
which one made it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from accounts import credits
from campaigns.models import LIVE, Run, RunStatus
from campaigns.runs import rendering
from telephony.engine import lifecycle as deliveries
from telephony.engine.failpoints import failpoint
from telephony.engine.lifecycle import Changed
from telephony.models import Channel, DeliveryStatus, Purpose
from telephony.models.statuses import END
from telephony.unnest import rowset

log = logging.getLogger(__name__)

PAUSE_REASON_LENGTH = 300
FINISHES_AS = {RunStatus.RUNNING: RunStatus.COMPLETED, RunStatus.STOPPING: RunStatus.TERMINATED}


def move(run_id: int, *, to: RunStatus, come_from: Sequence[RunStatus]) -> bool:
    """Whether this call made the move."""
    return bool(Run.objects.filter(pk=run_id, status__in=come_from).update(status=to))


def set_aside(run_id: int, *, reason: str) -> bool:
    """Pause a run that cannot or must not go on by itself, and tell its owner why; whether this call did.

    The owner resumes or stops it. A scheduled run that was set aside begins when it is resumed, or at its time if that is
    later. Call `settle` afterwards, as after each move.
    """
    return bool(
        Run.objects.filter(pk=run_id, status__in=[RunStatus.RUNNING, RunStatus.SCHEDULED]).update(
            status=RunStatus.PAUSED, pause_reason=reason[:PAUSE_REASON_LENGTH]
        )
    )


def resume(run_id: int) -> bool:
    """Whether this call lets a paused run go on: now, or at its time if that has not come."""
    waits = Q(starts_at__gt=Now())
    return bool(
        Run.objects.filter(pk=run_id, status=RunStatus.PAUSED).update(
            status=Case(When(waits, then=Value(RunStatus.SCHEDULED)), default=Value(RunStatus.RUNNING)),
            pause_reason="",
        )
    )


def begin_due() -> int:
    """Scheduled runs whose time has come are running from now on; how many began."""
    return Run.objects.filter(status=RunStatus.SCHEDULED, starts_at__lte=timezone.now()).update(
        status=RunStatus.RUNNING
    )


def settle(run_id: int) -> None:
    """Have the deliveries of a run do what its status says: wait, go on, or end. Done again, it changes nothing.

    Whoever has moved a run calls this afterwards, and not in the same transaction. Two of them do so one after the other,
    each by the status as it is by then, so the later one is right.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Not the row of the run: what ends locks deliveries, and then their run (`failover`). Here it is the reverse.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [run_id])
        match Run.objects.values_list("status", flat=True).get(pk=run_id):
            case RunStatus.RUNNING:
                deliveries.resume(purpose=Purpose.CAMPAIGN, batch=run_id)
            case RunStatus.PAUSED:
                deliveries.pause(purpose=Purpose.CAMPAIGN, batch=run_id)
            case RunStatus.STOPPING:
                deliveries.terminate(purpose=Purpose.CAMPAIGN, batch=run_id)


def carry_on() -> None:
    """Settle runs again: whoever stopped, paused or resumed one may have died before it had."""
    held_back = Run.objects.filter(status__in=[RunStatus.STOPPING, RunStatus.PAUSED])
    for pk in held_back.values_list("pk", flat=True):
        settle(pk)
    running = Run.objects.filter(status=RunStatus.RUNNING).values_list("pk", "campaign__owner_id")
    for pk in deliveries.paused_batches(dict(running), purpose=Purpose.CAMPAIGN, priority=rendering.PRIORITY):
        settle(pk)


def finish(run_id: int) -> bool:
    """Close a run all of whose deliveries have ended, and give back what is left of its hold; whether it did."""
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).filter(pk=run_id, status__in=FINISHES_AS).first()
        if run is None or run.filled_at is None or has_unfinished_deliveries(run.pk):
            return False
        run.status = FINISHES_AS[RunStatus(run.status)]
        run.finished_at = timezone.now()
        run.save(update_fields=["status", "finished_at"])
        credits.release(hold_id=run.hold_id, cause=f"run:{run.pk}:finished")
        failpoint("finishing")
    return True


def withdraw(run: Run) -> None:
    """Close a scheduled run that its caller has locked: nothing was sent, so there is nothing to wait for."""
    run.status = RunStatus.WITHDRAWN
    run.filled_at = run.finished_at = timezone.now()
    run.save(update_fields=["status", "filled_at", "finished_at"])
    credits.release(hold_id=run.hold_id, cause=f"run:{run.pk}:finished")


def finish_all() -> int:
    """Close every run that has ended; how many."""
    candidates = Run.objects.filter(status__in=FINISHES_AS, filled_at__isnull=False).values_list(
        "pk", flat=True
    )
    finished = 0
    for pk in candidates:
        try:
            finished += finish(pk)
        except Exception:  # the others have ended all the same
            log.exception("Run %d cannot be closed", pk)
    return finished


def has_unfinished_deliveries(run_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            # In this order it is read off the index of unfinished deliveries, however many others there are.
            f"""SELECT FROM telephony_delivery WHERE purpose = %s AND batch = %s AND status < {END}
                 ORDER BY item LIMIT 1""",
            [Purpose.CAMPAIGN.value, run_id],
        )
        return cursor.fetchone() is not None


def record_recipients(changed: Sequence[Changed], **kwargs: Any) -> None:
    """Receiver of telephony's signal: recipients show how their latest delivery ended, in one statement."""
    ended = [delivery for delivery in changed if delivery.purpose is Purpose.CAMPAIGN and delivery.is_final]
    if not ended:
        return
    with connection.cursor() as cursor:
        # A call and an SMS of one person may end at the same moment: everybody locks in the order of the ids.
        cursor.execute(
            "SELECT FROM campaigns_recipient WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [[delivery.item for delivery in ended]],
        )
    for channel in Channel:
        _record_ended(channel, [delivery for delivery in ended if delivery.channel is channel])


def _record_ended(channel: Channel, ended: list[Changed]) -> None:
    if not ended:
        return
    ended.sort(key=lambda delivery: delivery.item)
    # The SMS that comes with a call, or follows it, has fields of its own; the recipient shows the call.
    shown = "NOT run.trial" if channel is Channel.CALL else "NOT run.trial AND c.service = 'sms'"
    texted = "true" if channel is Channel.SMS else "false"
    rows, parameters = rowset(
        "e",
        {
            "id": ("bigint", [delivery.item for delivery in ended]),
            "batch": ("bigint", [delivery.batch for delivery in ended]),
            "status": ("smallint", [int(delivery.status) for delivery in ended]),
            "seconds": ("float8", [delivery.seconds for delivery in ended]),
            "playback": ("smallint", [delivery.playback for delivery in ended]),
            "credits": ("numeric", [delivery.credits for delivery in ended]),
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE campaigns_recipient r
                   SET status = CASE WHEN {shown} THEN e.status ELSE r.status END,
                       seconds = CASE WHEN {shown} THEN e.seconds ELSE r.seconds END,
                       playback = CASE WHEN {shown} THEN e.playback ELSE r.playback END,
                       sms_status = CASE WHEN {texted} AND NOT run.trial THEN e.status ELSE r.sms_status END,
                       sms_credits = r.sms_credits + CASE WHEN {texted} THEN e.credits ELSE 0 END,
                       credits = r.credits + e.credits
                  FROM {rows}, campaigns_campaign c, campaigns_run run
                 WHERE r.id = e.id AND c.id = r.campaign_id AND run.id = e.batch""",
            parameters,
        )


def terminate_untouched(run_id: int, *, limit: int = 5000) -> bool:
    """Recipients that a stopped run has not reached become `terminated`, in chunks; whether more are left."""
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
