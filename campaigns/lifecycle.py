"""The only writer of a run's status and of what a recipient came to.

A run moves by compare-and-set (`Run` draws its life); of two processes that want the same move, the row count tells
which one made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts import credits
from campaigns.models import LIVE, Run, RunStatus
from telephony.failpoints import failpoint
from telephony.lifecycle import END, Changed
from telephony.models import DeliveryStatus, Purpose

FINISHES_AS = {RunStatus.RUNNING: RunStatus.COMPLETED, RunStatus.STOPPING: RunStatus.TERMINATED}


def move(run_id: int, *, to: RunStatus, come_from: Sequence[RunStatus]) -> bool:
    """Whether this call made the move."""
    return bool(Run.objects.filter(pk=run_id, status__in=come_from).update(status=to))


def begin_due() -> int:
    """Scheduled runs whose time has come are running from now on; how many began."""
    return Run.objects.filter(status=RunStatus.SCHEDULED, starts_at__lte=timezone.now()).update(
        status=RunStatus.RUNNING
    )


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


def finish_all() -> int:
    """Close every run that has ended; how many."""
    candidates = Run.objects.filter(status__in=FINISHES_AS, filled_at__isnull=False).values_list(
        "pk", flat=True
    )
    return sum(finish(pk) for pk in candidates)


def has_unfinished_deliveries(run_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT EXISTS (SELECT FROM telephony_delivery
                                WHERE purpose = %s AND batch = %s AND status < {END})""",
            [Purpose.CAMPAIGN.value, run_id],
        )
        return bool(cursor.fetchone()[0])


def record_recipients(changed: Sequence[Changed], **kwargs: Any) -> None:
    """Receiver of telephony's signal: recipients show how their latest delivery ended, in one statement."""
    ended = [delivery for delivery in changed if delivery.purpose is Purpose.CAMPAIGN and delivery.is_final]
    if not ended:
        return
    ended.sort(key=lambda delivery: delivery.item)
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE campaigns_recipient r
                  SET status = e.status, seconds = e.seconds, playback = e.playback, credits = r.credits + e.credits
                 FROM unnest(%s::bigint[], %s::smallint[], %s::float8[], %s::smallint[], %s::numeric[])
                      AS e(id, status, seconds, playback, credits)
                WHERE r.id = e.id""",
            [
                [delivery.item for delivery in ended],
                [int(delivery.status) for delivery in ended],
                [delivery.seconds for delivery in ended],
                [delivery.playback for delivery in ended],
                [delivery.credits for delivery in ended],
            ],
        )


def terminate_untouched(run_id: int, *, limit: int = 5000) -> bool:
    """Recipients that a stopped run has not reached become `terminated`, in chunks; whether more are left."""
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).filter(pk=run_id, status=RunStatus.STOPPING).first()
        if run is None or run.filled_at is not None:
            return False
        rows = list(run.untouched().values_list("pk", flat=True)[:limit])
        if rows:
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
