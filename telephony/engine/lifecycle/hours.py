"""Move queued deliveries whose calling hours are over into the next ones."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from telephony.models import Channel, Purpose
from telephony.models.statuses import QUEUED

# The index `delivery_not_after` has only such deliveries, so this does not read those that still wait for their hours.
_OVER = f"status = {QUEUED} AND not_after IS NOT NULL AND not_after <= statement_timestamp()"
MOVE_SIZE = 5000  # deliveries moved by one statement


def batches_after_hours(purpose: Purpose) -> list[tuple[int, Channel]]:
    """Return the batches and channels that have queued deliveries whose calling hours are over."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT batch, channel FROM telephony_delivery WHERE {_OVER} AND purpose = %s ORDER BY 1, 2",
            [purpose.value],
        )
        return [(batch, Channel(channel)) for batch, channel in cursor.fetchall()]


def move_to_hours(
    *, purpose: Purpose, batch: int, channel: Channel, opens: datetime, closes: datetime
) -> int:
    """Let queued deliveries of a batch whose calling hours are over wait for the hours from `opens` to `closes`.

    Paused deliveries stay paused, and deliveries that are due later than `opens` still are. Moves at most MOVE_SIZE;
    returns how many.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH over AS (
                    SELECT id FROM telephony_delivery
                     WHERE {_OVER} AND purpose = %(purpose)s AND batch = %(batch)s AND channel = %(channel)s
                     ORDER BY id LIMIT {MOVE_SIZE} FOR NO KEY UPDATE
                )
                UPDATE telephony_delivery d
                   SET not_before = greatest(d.not_before, %(opens)s), not_after = %(closes)s, carrier_text = '',
                       due_at = CASE WHEN d.due_at IS NOT NULL THEN greatest(d.due_at, %(opens)s) END
                  FROM over WHERE d.id = over.id""",
            {
                "purpose": purpose.value,
                "batch": batch,
                "channel": channel.value,
                "opens": opens,
                "closes": closes,
            },
        )
        return int(cursor.rowcount)
