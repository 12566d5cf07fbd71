"""Count how often an account has contacted phone numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from telephony.models import Cause, Purpose
from telephony.models.statuses import END, FAILED, TERMINATED

# A delivery counts as a contact since a time if it is unfinished, or if it was submitted after that time. If a delivery was
# lost, or its report came before its submit response, only the time of its claim may be known. A delivery that ended as
# failed or terminated without a submission reached nobody.
IS_CONTACT = f"""(d.status < {END} OR (coalesce(d.submitted_at, d.claimed_at) > %(since)s AND (
    d.submitted_at IS NOT NULL OR d.status NOT IN ({FAILED}, {TERMINATED}) OR d.cause = '{Cause.LOST.value}')))"""


def count_contacts(
    numbers: Sequence[str], *, owner_id: int, purpose: Purpose, since: datetime, after: int, at_least: int = 1
) -> dict[str, int]:
    """Return how many items this account has contacted at each of these numbers (E.164), or will: its queue counts, too.

    An item counts once, whatever its channels and tries. Contacts before `since` do not count. Only deliveries with an id
    above `after` are read: the caller knows that all others ended before `since`. Numbers with fewer than `at_least`
    contacts may be left out.
    """
    often = _numbers_with_deliveries(numbers, after=after, at_least=at_least)
    if not often:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT "to", count(*)
                  FROM (SELECT DISTINCT d."to", d.batch, d.item FROM telephony_delivery d
                         WHERE d."to" = ANY (%(numbers)s) AND d.id > %(after)s AND d.owner_id = %(owner)s
                           AND d.purpose = %(purpose)s AND {IS_CONTACT}) contacts
                 GROUP BY "to\"""",
            {
                "numbers": often,
                "after": after,
                "owner": owner_id,
                "purpose": purpose.value,
                "since": since,
            },
        )
        return dict(cursor.fetchall())


def _numbers_with_deliveries(numbers: Sequence[str], *, after: int, at_least: int) -> list[str]:
    """Return those of these numbers that have at least so many deliveries with an id above `after`, of any account.

    This needs only the index of numbers, and most numbers need no more: a number cannot have more contacts than deliveries.
    """
    if not numbers:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT "to" FROM telephony_delivery WHERE "to" = ANY (%s) AND id > %s
                GROUP BY "to" HAVING count(*) >= %s""",
            [list(numbers), after, at_least],
        )
        return [row[0] for row in cursor.fetchall()]


def last_delivery() -> int:
    """Return the id of the latest delivery. Every delivery that is queued from now on has a higher one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM telephony_delivery")
        return int(cursor.fetchone()[0])
