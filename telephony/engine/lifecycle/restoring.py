"""What a restored backup makes of the deliveries that were under way when it was made."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.db import connection

from telephony.models.statuses import END, SUBMITTING


def expect_reports_anew(report_timeouts: Mapping[str, float]) -> int:
    """Deliveries that may be with their carrier wait for a report once more, from now on; how many.

    `report_timeouts`, in seconds by the trunk's alias; those of other trunks wait IRIS_REPORT_TIMEOUT_SECONDS.
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
