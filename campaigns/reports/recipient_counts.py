"""The numbers of recipients of large campaigns by status, which triggers keep (migration 0039).

The first call for a campaign counts its recipients. From then on, the sum of some rows is their number, whatever its size.
"""

from __future__ import annotations

from django.db import connection, transaction

from campaigns.models import LIVE

# The key of the locks of the triggers (migration 0039).
LOCK, LOCKS = 7_301, 16
MAX_PARTS = 500  # parts of the counts of a campaign, before `compact` adds them up


def is_counted(campaign_id: int) -> bool:
    """Return whether the recipients of a campaign are counted. If they are not, begin to count them.

    That fails while another transaction changes recipients of the campaign, and if the database is read-only.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM campaigns_recipientcount WHERE campaign_id = %s)", [campaign_id]
        )
        return bool(cursor.fetchone()[0]) or _begin(campaign_id)


def compact() -> None:
    """Add up the parts of the counts of campaigns that are being run. Called periodically. It may run twice."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT DISTINCT r.campaign_id FROM campaigns_run r
                WHERE r.status = ANY(%s) AND %s < (
                      SELECT count(*) FROM (SELECT FROM campaigns_recipientcount c
                                             WHERE c.campaign_id = r.campaign_id LIMIT %s) parts)""",
            [[status.value for status in LIVE], MAX_PARTS, MAX_PARTS + 1],
        )
        for (campaign_id,) in cursor.fetchall():
            # What another transaction deletes first is not returned here. The row without a status remains, because a
            # campaign without rows is not counted.
            cursor.execute(
                """WITH parts AS (
                       DELETE FROM campaigns_recipientcount WHERE campaign_id = %(campaign)s RETURNING status, count
                   )
                   INSERT INTO campaigns_recipientcount (campaign_id, status, count)
                   SELECT %(campaign)s, status, sum(count) FROM parts
                    GROUP BY status HAVING sum(count) <> 0 OR status IS NULL""",
                {"campaign": campaign_id},
            )


def _begin(campaign_id: int) -> bool:
    """Begin to count a campaign, unless its recipients are being changed or the database is read-only."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """SELECT CASE WHEN current_setting('transaction_read_only') = 'off'
                           THEN pg_try_advisory_xact_lock(%s, %s) ELSE false END""",
            [LOCK, campaign_id % LOCKS],
        )
        (is_alone,) = cursor.fetchone()
        if is_alone:
            cursor.execute(
                """INSERT INTO campaigns_recipientcount (campaign_id, status, count)
                   SELECT %(campaign)s, status, sum(n) FROM (
                       SELECT status, count(*) AS n FROM campaigns_recipient WHERE campaign_id = %(campaign)s GROUP BY status
                       UNION ALL SELECT NULL, 0) counted
                    WHERE NOT EXISTS (SELECT FROM campaigns_recipientcount WHERE campaign_id = %(campaign)s)
                    GROUP BY status""",
                {"campaign": campaign_id},
            )
        return bool(is_alone)
