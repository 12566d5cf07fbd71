"""What the owner of a batch wants of it: stop, pause, resume."""

from __future__ import annotations

from django.db import connection, transaction

from telephony.lifecycle.announcing import CHANGED, announce
from telephony.lifecycle.statuses import QUEUED, SUBMITTING, TERMINATED, UNKNOWN
from telephony.models import Cause, Purpose


@transaction.atomic
def terminate(*, purpose: Purpose, batch: int) -> int:
    """Stop a batch: what is queued ends `terminated`, what is being submitted is never queued again; how many ended."""
    _lock_unsubmitted(purpose, batch)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_delivery SET stopped = true
                 WHERE purpose = %s AND batch = %s AND status IN ({SUBMITTING}, {UNKNOWN})""",
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
    _wait(purpose=purpose, batch=batch, until="'infinity'::timestamptz")


def resume(*, purpose: Purpose, batch: int) -> None:
    _wait(purpose=purpose, batch=batch, until="statement_timestamp()")


@transaction.atomic
def _wait(*, purpose: Purpose, batch: int, until: str) -> None:
    _lock_unsubmitted(purpose, batch)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_delivery SET not_before = {until}
                 WHERE purpose = %s AND batch = %s AND status IN ({QUEUED}, {SUBMITTING}, {UNKNOWN})
                   AND (not_before = 'infinity') <> ({until} = 'infinity'::timestamptz)""",
            [purpose.value, batch],
        )


def _lock_unsubmitted(purpose: Purpose, batch: int) -> None:
    """Lock what of a batch is not surely with the carrier, in the order of the ids; waits for claims under way."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT FROM telephony_delivery
                 WHERE purpose = %s AND batch = %s AND status IN ({QUEUED}, {SUBMITTING}, {UNKNOWN})
                 ORDER BY id FOR NO KEY UPDATE""",
            [purpose.value, batch],
        )
