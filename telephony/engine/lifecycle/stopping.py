"""Stop, pause and resume the deliveries of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction

from telephony.engine.lifecycle.announcing import CHANGED, announce
from telephony.models import Cause, Purpose
from telephony.models.statuses import QUEUED, SUBMITTING, TERMINATED, UNKNOWN

# Rows that need no change are not locked: callers may repeat the same request every second while a batch is live.
_UNSUBMITTED = f"status IN ({QUEUED}, {SUBMITTING}, {UNKNOWN})"
_STOPPABLE = f"{_UNSUBMITTED} AND (status = {QUEUED} OR NOT stopped)"
_PAUSABLE = f"{_UNSUBMITTED} AND not_before < 'infinity'"
_PAUSED = f"{_UNSUBMITTED} AND not_before = 'infinity'"
# Infinite, so that claims find paused deliveries at the end of their index and never read them. The previous release,
# which may run beside this one, pauses in the same way, but does not keep the time.
_PAUSE = "due_at = not_before, not_before = 'infinity'"
_RESUME = "not_before = coalesce(due_at, statement_timestamp()), due_at = NULL"


@transaction.atomic
def terminate(*, purpose: Purpose, batch: int) -> int:
    """Stop a batch; return how many deliveries ended.

    Queued deliveries end `terminated`. The others are never queued again.
    """
    if not _lock(purpose, batch, _STOPPABLE):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_delivery SET stopped = true
                 WHERE purpose = %s AND batch = %s AND status IN ({SUBMITTING}, {UNKNOWN}) AND NOT stopped""",
            [purpose.value, batch],
        )
        cursor.execute(
            f"""UPDATE telephony_delivery d
                   SET status = {TERMINATED}, cause = %s, ended_at = statement_timestamp(), expires_at = NULL
                 WHERE d.purpose = %s AND d.batch = %s AND d.status = {QUEUED}
                RETURNING {CHANGED}""",
            [Cause.STOPPED.value, purpose.value, batch],
        )
        rows = cursor.fetchall()
    announce(rows)
    return len(rows)


@transaction.atomic
def terminate_to(number: str, *, owner_ids: Sequence[int], otps_until: datetime) -> int:
    """Stop the deliveries of these accounts to a number in E.164, as `terminate` does; return how many ended.

    OTPs that were created after `otps_until` are not stopped.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT id FROM telephony_delivery WHERE "to" = %s AND owner_id = ANY(%s) AND {_STOPPABLE}
                   AND (purpose <> %s OR created_at <= %s) ORDER BY id FOR NO KEY UPDATE""",
            [number, list(owner_ids), Purpose.OTP.value, otps_until],
        )
        ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return 0
        cursor.execute(
            f"""UPDATE telephony_delivery SET stopped = true
                 WHERE id = ANY(%s) AND status IN ({SUBMITTING}, {UNKNOWN}) AND NOT stopped""",
            [ids],
        )
        cursor.execute(
            f"""UPDATE telephony_delivery d
                   SET status = {TERMINATED}, cause = %s, ended_at = statement_timestamp(), expires_at = NULL
                 WHERE d.id = ANY(%s) AND d.status = {QUEUED}
                RETURNING {CHANGED}""",
            [Cause.STOPPED.value, ids],
        )
        rows = cursor.fetchall()
    announce(rows)
    return len(rows)


def pause(*, purpose: Purpose, batch: int) -> None:
    """Pause a batch: none of its deliveries is claimed until `resume`."""
    _update(purpose, batch, _PAUSABLE, _PAUSE)


def resume(*, purpose: Purpose, batch: int) -> None:
    """Resume a paused batch: its queued deliveries are due when they were before, so retries still wait for their time."""
    _update(purpose, batch, _PAUSED, _RESUME)


def pause_deliveries(ids: Sequence[int]) -> None:
    """Pause deliveries that the present transaction has queued.

    The function waits for no lock, so the caller may hold any locks.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE telephony_delivery SET {_PAUSE} WHERE id = ANY(%s)", [list(ids)])


@transaction.atomic
def _update(purpose: Purpose, batch: int, rows: str, change: str) -> None:
    if not _lock(purpose, batch, rows):
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE telephony_delivery SET {change} WHERE purpose = %s AND batch = %s AND {rows}",
            [purpose.value, batch],
        )


def _lock(purpose: Purpose, batch: int, rows: str) -> int:
    """Lock the matching rows of a batch in the order of their ids, after open claims have committed; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT FROM telephony_delivery WHERE purpose = %s AND batch = %s AND {rows}
                 ORDER BY id FOR NO KEY UPDATE""",
            [purpose.value, batch],
        )
        return int(cursor.rowcount)
