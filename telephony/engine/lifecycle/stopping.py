"""What the owner of a batch wants of it: stop, pause, resume."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction

from telephony.engine.lifecycle.announcing import CHANGED, announce
from telephony.models import Cause, Purpose
from telephony.models.statuses import QUEUED, SUBMITTING, TERMINATED, UNKNOWN

# Rows that are as they should be are not locked: a batch may be told the same every second for as long as it lives.
_UNSUBMITTED = f"status IN ({QUEUED}, {SUBMITTING}, {UNKNOWN})"
_STOPPABLE = f"{_UNSUBMITTED} AND (status = {QUEUED} OR NOT stopped)"
_PAUSABLE = f"{_UNSUBMITTED} AND not_before < 'infinity'"
_PAUSED = f"{_UNSUBMITTED} AND not_before = 'infinity'"


@transaction.atomic
def terminate(*, purpose: Purpose, batch: int) -> int:
    """Stop a batch: what is queued ends `terminated`, what is being submitted is never queued again; how many ended."""
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


def pause(*, purpose: Purpose, batch: int) -> None:
    """Nothing of a batch is claimed from now on, until `resume`."""
    _wait(purpose, batch, _PAUSABLE, until="'infinity'")


def resume(*, purpose: Purpose, batch: int) -> None:
    _wait(purpose, batch, _PAUSED, until="statement_timestamp()")


def pause_these(ids: Sequence[int]) -> None:
    """As `pause`, for what the present transaction has queued: it waits for nobody, whatever else its caller has locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE telephony_delivery SET not_before = 'infinity' WHERE id = ANY(%s)", [list(ids)]
        )


@transaction.atomic
def _wait(purpose: Purpose, batch: int, rows: str, *, until: str) -> None:
    if not _lock(purpose, batch, rows):
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE telephony_delivery SET not_before = {until} WHERE purpose = %s AND batch = %s AND {rows}",
            [purpose.value, batch],
        )


def _lock(purpose: Purpose, batch: int, rows: str) -> int:
    """Lock such rows of a batch in the order of the ids, waiting for claims under way; how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT FROM telephony_delivery WHERE purpose = %s AND batch = %s AND {rows}
                 ORDER BY id FOR NO KEY UPDATE""",
            [purpose.value, batch],
        )
        return int(cursor.rowcount)
