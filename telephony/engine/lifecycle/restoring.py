"""Update the deliveries that were in flight when a restored backup was made."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.db import connection

from telephony.models.statuses import END, SUBMITTING


def restart_report_timeouts(report_timeouts: Mapping[str, float]) -> int:
    """Restart the report timeouts of deliveries that may be at a carrier; return how many there are.

    `report_timeouts` has seconds by the trunk's alias. Deliveries of other trunks wait IRIS_REPORT_TIMEOUT_SECONDS.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_delivery d
                   SET expires_at = greatest(d.expires_at,
                           statement_timestamp() + make_interval(secs => coalesce(e.seconds, %s)))
                  FROM telephony_trunk t
                  LEFT JOIN unnest(%s::text[], %s::float8[]) AS e(alias, seconds) USING (alias)
                 WHERE t.id = d.trunk_id AND d.status > {SUBMITTING} AND d.status < {END}""",
            [
                float(settings.IRIS_REPORT_TIMEOUT_SECONDS),
                list(report_timeouts),
                list(map(float, report_timeouts.values())),
            ],
        )
        return int(cursor.rowcount)
