"""Find claimed deliveries that must no longer be submitted.

A claim checks opt-outs, but some time passes until a delivery reaches the carrier. Code that keeps a
claimed delivery for more than a moment calls this check again before it submits the delivery.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from telephony.models import Cause
from telephony.optouts.conditions import blocked, opted_out


def withdrawn_since_claim(ids: Sequence[int]) -> dict[int, Cause]:
    """Return which of these claimed deliveries must no longer be submitted, and why.

    They were stopped after their claim (STOPPED), or their recipients have opted out or were blocked.
    """
    # Opt-outs of erased numbers are older than the claim, and the claim has already compared their pseudonyms.
    condition, parameters = opted_out("d", erased=False)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT id, cause FROM (
                    SELECT d.id, CASE WHEN d.stopped THEN '{Cause.STOPPED.value}'
                                      WHEN {blocked("d")} THEN '{Cause.BLOCKED.value}'
                                      WHEN {condition} THEN '{Cause.OPTED_OUT.value}' END AS cause
                      FROM telephony_delivery d WHERE d.id = ANY(%(ids)s)) found
                 WHERE cause IS NOT NULL""",
            {"ids": list(ids), **parameters},
        )
        return {pk: Cause(cause) for pk, cause in cursor.fetchall()}
