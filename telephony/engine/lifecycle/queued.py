"""Count the queued deliveries of batches without reading those that have left the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import connection

from telephony.models import Purpose
from telephony.models.statuses import QUEUED

# A delivery counts as due some seconds early, so that deliveries that a carrier throttled still count.
DUE = "not_before <= statement_timestamp() + interval '5 seconds'"
# MATERIALIZED makes PostgreSQL use the index of due deliveries, which stays small because claims remove entries. With a
# condition on the batch, PostgreSQL would read all deliveries of the batch, or all its dead index entries.
_QUEUED = f"""WITH queued AS MATERIALIZED (
    SELECT purpose, batch, not_before FROM telephony_delivery
     WHERE trunk_id = ANY (ARRAY(SELECT id FROM telephony_trunk)) AND priority = ANY (%s) AND owner_id = ANY (%s)
       AND status = {QUEUED}"""


def count_due(batch: int, *, purpose: Purpose, owner_id: int, priority: int) -> int:
    """Return how many queued deliveries of a batch are due (`DUE`). Waiting retries and paused deliveries do not count."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_QUEUED} AND {DUE}) SELECT count(*) FROM queued WHERE purpose = %s AND batch = %s",
            [[priority], [owner_id], purpose.value, batch],
        )
        count: int = cursor.fetchone()[0]
        return count


def paused_batches(batches: Mapping[int, int], *, purpose: Purpose, priorities: Sequence[int]) -> set[int]:
    """Return which of these batches have queued deliveries that are paused. `batches` maps a batch to its owner's id."""
    if not batches:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""{_QUEUED} AND not_before = 'infinity')
                SELECT DISTINCT batch FROM queued WHERE purpose = %s AND batch = ANY (%s)""",
            [list(priorities), sorted(set(batches.values())), purpose.value, list(batches)],
        )
        return {row[0] for row in cursor.fetchall()}
