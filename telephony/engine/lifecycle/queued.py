"""What of a batch is in the queue, found without reading what has left it."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import connection

from telephony.models import Purpose
from telephony.models.statuses import QUEUED

# By the index of what is due, which claims keep clean. Asked for by their batch at once, the queued would be looked for
# among all that the batch ever had, or among all index entries that its deliveries have left behind.
_QUEUED = f"""WITH queued AS MATERIALIZED (
    SELECT purpose, batch, not_before FROM telephony_delivery
     WHERE trunk_id = ANY (ARRAY(SELECT id FROM telephony_trunk)) AND priority = %s AND owner_id = ANY (%s)
       AND status = {QUEUED}"""


def queued_of(batch: int, *, purpose: Purpose, owner_id: int, priority: int) -> int:
    """How many deliveries of a batch are queued, those that are paused included."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_QUEUED}) SELECT count(*) FROM queued WHERE purpose = %s AND batch = %s",
            [priority, [owner_id], purpose.value, batch],
        )
        count: int = cursor.fetchone()[0]
        return count


def paused_among(batches: Mapping[int, int], *, purpose: Purpose, priority: int) -> set[int]:
    """Which of these batches, each with its owner's id, have anything in the queue that waits for `resume`."""
    if not batches:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""{_QUEUED} AND not_before = 'infinity')
                SELECT DISTINCT batch FROM queued WHERE purpose = %s AND batch = ANY (%s)""",
            [priority, sorted(set(batches.values())), purpose.value, list(batches)],
        )
        return {row[0] for row in cursor.fetchall()}
