"""Decide which SMS are sent again if their submit responses were lost, and find the reports about them.

An SMSC cannot be asked about a message whose id never arrived. But it sends delivery receipts. So a message counts as not
accepted when the trunk has since been bound for a while and no receipt has named its number. This conclusion is wrong
if the phone is switched off. So the carrier makes a resend harmless. It first cancels the message that the SMSC may
still have for that number (`cancel_sm`). A resend of one part also replaces that message (`replace_if_present_flag`).
Both operations find a message by its addresses only. So nothing is sent again while another SMS to the same number is
under way.

All of this needs receipts that name the recipient's number. So nothing is sent again before a receipt has come whose id
and whose number belong to the same delivery. An SMSC may write numbers in a form that iris cannot read; then no
receipt would ever match, as if the SMSC had sent none.

All attempts give the parts of a long SMS the same reference number. So a phone that already has some of the parts
completes the message with the others, and shows it once.

The engine keeps a resend on its trunk (`Delivery.pinned_since`); this module only counts them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.backends.utils import CursorWrapper

from telephony.models import Cause, DeliveryStatus
from telephony.models.statuses import END, QUEUED, UNKNOWN
from telephony.optouts.claimed import withdrawn_since_claim

PAST_BIND_DAYS = 3  # how long earlier binds are kept; more than `repeat_after_seconds` may be
MAX_RESENDS = 3  # of one SMS: the SMS itself may be the reason why every connection ends
CANCELLED = "DELETED"  # a receipt's state for a message that was cancelled
# The reports about the number of an SMS (`d`) since the SMS was sent. Receipts that only confirm our own cancellation
# do not count, and neither do receipts with the id of another SMS.
_HEARD = f"""SELECT count(DISTINCT u.ref) AS reported, count(*) FILTER (WHERE u.status >= {END}) AS ended,
                   max(u.created_at) AS last_at, max(u.status) AS status,
                   (array_agg(u.cause ORDER BY u.status DESC, u.id))[1] AS cause,
                   (array_agg(u.carrier_text ORDER BY u.status DESC, u.id))[1] AS text
              FROM telephony_unmatchedreport u
             WHERE u.trunk_id = d.trunk_id AND u.number = d."to" AND NOT starts_with(u.carrier_text, '{CANCELLED}')
               AND u.created_at >= coalesce(d.pinned_since, d.claimed_at)
               AND NOT EXISTS (SELECT FROM telephony_delivery k
                                WHERE k.trunk_id = u.trunk_id AND k.ref = u.ref AND k.ref <> '' AND k.id <> d.id)"""
_OTHER = f"""SELECT FROM telephony_delivery o
              WHERE o."to" = d."to" AND o.channel = 'sms' AND o.id <> d.id AND o.status < {END}
                AND (o.status > {QUEUED} OR o.pinned_since IS NOT NULL)"""


@dataclass(frozen=True, slots=True)
class Heard:
    """The reports about the number of an SMS since it was sent.

    `reported` counts the messages or parts that they name, `ended` the reports that are final. `status`, `cause` and `text`
    are those of the worst report.
    """

    reported: int
    ended: int
    status: DeliveryStatus
    cause: Cause
    text: str

    def decides(self, needed: int) -> bool:
        """Return whether the reports end an SMS of `needed` parts: all parts are reported, or one part has failed."""
        return self.ended >= needed or self.status > DeliveryStatus.COMPLETED

    def shows_accepted(self, needed: int) -> bool:
        """Return whether the SMSC has all `needed` parts."""
        return self.reported >= needed


def _heard(reported: int, ended: int, status: int | None, cause: str, text: str) -> Heard | None:
    return None if status is None else Heard(reported, ended, DeliveryStatus(status), Cause(cause), text)


@dataclass(frozen=True, slots=True)
class Resend:
    """A resend that is about to be submitted. `waits`: another SMS to the same number must end first."""

    heard: Heard | None
    waits: bool


def note_bound(
    alias: str,
    *,
    at: float,
    seconds: float,
    receipts: Sequence[tuple[str, str]] = (),
    after_refusal: bool = False,
) -> None:
    """Record that a trunk was bound for `seconds` until `at` (monotonic). The caller has stored all receipts up to then.

    `after_refusal` means that iris refused a receipt before those seconds. So for the time before, a missing receipt proves
    nothing.

    `receipts` are the ids and numbers of recent receipts. Receipts whose ids belong to deliveries show whether this
    SMSC's receipts name the recipient's number. Raises DatabaseError.
    """
    with connection.cursor() as cursor:
        _note_past(cursor, alias, before=time.monotonic() - at + seconds, after_refusal=after_refusal)
        cursor.execute(
            """INSERT INTO telephony_bind AS known (trunk_id, since, seen_at, tells_numbers)
               SELECT t.id, clock_timestamp() - make_interval(secs => %(age)s + %(seconds)s),
                      clock_timestamp() - make_interval(secs => %(age)s),
                      (SELECT bool_or(d."to" = r.number)
                         FROM unnest(%(refs)s::text[], %(numbers)s::text[]) r (ref, number)
                         JOIN telephony_delivery d ON d.trunk_id = t.id AND d.ref = r.ref AND d.ref <> '')
                 FROM telephony_trunk t WHERE t.alias = %(alias)s
               ON CONFLICT (trunk_id) DO UPDATE
                  SET since = excluded.since, seen_at = excluded.seen_at,
                      tells_numbers = coalesce(excluded.tells_numbers, known.tells_numbers)""",
            {
                "alias": alias,
                "age": time.monotonic() - at,
                "seconds": seconds,
                "refs": [ref for ref, _ in receipts],
                "numbers": [number for _, number in receipts],
            },
        )


def _note_past(cursor: CursorWrapper, alias: str, *, before: float, after_refusal: bool) -> None:
    """Move the stored bind to the past binds if it ended before the present bind, which began `before` seconds ago.

    `after_refusal`: delete the past binds instead.
    """
    if after_refusal:
        cursor.execute(
            """DELETE FROM telephony_pastbind p USING telephony_trunk t WHERE t.id = p.trunk_id AND t.alias = %s""",
            [alias],
        )
        return
    cursor.execute(
        """INSERT INTO telephony_pastbind (trunk_id, since, seen_at)
           SELECT b.trunk_id, b.since, b.seen_at FROM telephony_bind b JOIN telephony_trunk t ON t.id = b.trunk_id
            WHERE t.alias = %s AND b.seen_at < clock_timestamp() - make_interval(secs => %s)""",
        [alias, before],
    )
    if cursor.rowcount:
        cursor.execute(
            "DELETE FROM telephony_pastbind WHERE seen_at < clock_timestamp() - make_interval(days => %s)",
            [PAST_BIND_DAYS],
        )


def silent(alias: str, ids: Sequence[int], *, seconds: float) -> list[tuple[int, str, Heard | None]]:
    """Find the unknown deliveries among `ids` about which no report has come for `seconds` while the trunk was bound.

    The time of all binds counts, because some SMSCs reset the connection often.

    Returns the id, the text and the earlier reports of each delivery. The result is empty if receipts do not name the
    recipient. Some parts of a long SMS may have been reported. The phone has these parts, but cannot show them without the
    others.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id, d.text, heard.reported, heard.ended, heard.status, heard.cause, heard.text
                  FROM telephony_delivery d
                  JOIN telephony_trunk t ON t.id = d.trunk_id AND t.alias = %s
                  JOIN telephony_bind b ON b.trunk_id = t.id AND b.tells_numbers
                  LEFT JOIN telephony_repetition r ON r.delivery_id = d.id
                 CROSS JOIN LATERAL ({_HEARD}) heard
                 WHERE d.id = ANY(%s) AND d.status = {UNKNOWN}
                   AND coalesce(r.times, 0) < {MAX_RESENDS} AND NOT EXISTS ({_OTHER})
                   AND b.seen_at - greatest(d.claimed_at, b.since, heard.last_at) + coalesce((
                           SELECT sum(past.seen_at - greatest(past.since, d.claimed_at, heard.last_at))
                             FROM telephony_pastbind past
                            WHERE past.trunk_id = t.id AND past.seen_at > greatest(d.claimed_at, heard.last_at)),
                           interval '0') > make_interval(secs => %s)""",
            [alias, list(ids), seconds],
        )
        return [(pk, text, _heard(*heard)) for pk, text, *heard in cursor.fetchall()]


def count(ids: Sequence[int]) -> None:
    """Count one more resend of each of these unknown deliveries."""
    with connection.cursor() as cursor:
        # Workers of the previous release, which does not have `Delivery.pinned_since`, read `since`.
        cursor.execute(
            f"""INSERT INTO telephony_repetition AS known (delivery_id, since, times)
                SELECT id, coalesce(pinned_since, claimed_at), 1 FROM telephony_delivery
                 WHERE id = ANY(%s) AND status = {UNKNOWN}
                ON CONFLICT (delivery_id) DO UPDATE SET times = known.times + 1""",
            [list(ids)],
        )


def pending(ids: Sequence[int]) -> dict[int, Resend]:
    """Find the resends among these deliveries, with the reports that have come since they were queued again."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id, EXISTS ({_OTHER}), heard.reported, heard.ended, heard.status, heard.cause, heard.text
                  FROM telephony_delivery d CROSS JOIN LATERAL ({_HEARD}) heard
                 WHERE d.id = ANY(%s) AND d.pinned_since IS NOT NULL""",
            [list(ids)],
        )
        return {pk: Resend(_heard(*heard), waits) for pk, waits, *heard in cursor.fetchall()}


def withdrawn(keys: Collection[str]) -> set[str]:
    """Return which deliveries that are not written yet were stopped, or go to recipients who have opted out.

    It closes the database connection of its thread.
    """
    try:
        return {str(pk) for pk in withdrawn_since_claim([int(key) for key in keys])}
    finally:
        connection.close()
