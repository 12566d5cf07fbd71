"""Which SMS are sent again when their answers were lost, and what is known about them.

SMPP cannot be asked about a message whose id never arrived. But it can be listened to: an SMSC reports what becomes of a
message. So one counts as not taken when the trunk has been bound for a while since, and nothing has come about its
number. That is wrong for a phone that is switched off, so a repetition is made harmless: what the SMSC may still have
for that number is taken back first (`cancel_sm`), and a message of one part also replaces it
(`replace_if_present_flag`). Both find a message by its addresses only. So nothing is repeated while another SMS to
the same number is under way.

All of that needs receipts that say whom they are about. So nothing is repeated before one has come whose id and whose
number are those of one delivery: an SMSC that writes numbers as we cannot read them is never silent, but never heard.

All attempts give the parts of a long SMS the same reference, so that a phone which has some of them already completes
the message with the others, and shows it once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from telephony.engine import lifecycle
from telephony.models import Cause, DeliveryStatus

MOST_TIMES = 3  # an SMS that is sent again: one that ends every connection must not do so for ever
# What has come about its number since it was sent. An SMSC says DELETED of what we have taken back.
_HEARD = f"""SELECT count(DISTINCT u.ref) AS taken, count(*) FILTER (WHERE u.status >= {lifecycle.END}) AS ended,
                   max(u.created_at) AS last_at, max(u.status) AS status,
                   (array_agg(u.cause ORDER BY u.status DESC, u.id))[1] AS cause,
                   (array_agg(u.carrier_text ORDER BY u.status DESC, u.id))[1] AS text
              FROM telephony_unmatchedreport u
             WHERE u.trunk_id = d.trunk_id AND u.number = d."to" AND u.carrier_text NOT LIKE 'DELETED%%'
               AND u.created_at >= coalesce(r.since, d.claimed_at)"""
_OTHER = f"""SELECT FROM telephony_delivery o
              WHERE o."to" = d."to" AND o.channel = 'sms' AND o.id <> d.id AND o.status < {lifecycle.END}
                AND (o.status > {lifecycle.QUEUED}
                     OR EXISTS (SELECT FROM telephony_repetition x WHERE x.delivery_id = o.id))"""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came about the number of an SMS since it was sent: on how many messages or parts there were reports, how many
    reports said how it ended, and what the worst of them said.
    """

    taken: int
    ended: int
    status: DeliveryStatus
    cause: Cause
    text: str

    def decides(self, needed: int) -> bool:
        """Whether they say what became of an SMS on which `needed` reports are due: all, or one that it failed."""
        return self.ended >= needed or self.status > DeliveryStatus.COMPLETED

    def shows_taken(self, needed: int) -> bool:
        """Whether the SMSC has all of it."""
        return self.taken >= needed


def _heard(taken: int, ended: int, status: int | None, cause: str, text: str) -> Heard | None:
    return None if status is None else Heard(taken, ended, DeliveryStatus(status), Cause(cause), text)


@dataclass(frozen=True, slots=True)
class Repeated:
    """A repetition that is to be sent. `waits`: another SMS to the same number must come to its end first."""

    heard: Heard | None
    waits: bool


def note_bound(alias: str, *, at: float, seconds: float, receipts: Sequence[tuple[str, str]] = ()) -> None:
    """Write down that a trunk was bound for `seconds` until `at` (monotonic); what came by then must be stored.

    `receipts` are ids and numbers of some that came lately: of those about deliveries whose ids we know, does one name
    the number? Raises DatabaseError.
    """
    with connection.cursor() as cursor:
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


def silent(alias: str, ids: Sequence[int], *, patience: float) -> list[tuple[int, str, Heard | None]]:
    """Those of these unknown deliveries of which nothing is heard, their texts, and what was heard before.

    The trunk was bound for `patience` seconds since they were claimed or last heard of, all receipts of that time are
    stored, and receipts there tell whom they are about. Of a long SMS some parts may have been reported: the phone has
    those, and cannot show them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id, d.text, heard.taken, heard.ended, heard.status, heard.cause, heard.text
                  FROM telephony_delivery d
                  JOIN telephony_trunk t ON t.id = d.trunk_id AND t.alias = %s
                  JOIN telephony_bind b ON b.trunk_id = t.id AND b.tells_numbers
                  LEFT JOIN telephony_repetition r ON r.delivery_id = d.id
                 CROSS JOIN LATERAL ({_HEARD}) heard
                 WHERE d.id = ANY(%s) AND d.status = {lifecycle.UNKNOWN}
                   AND coalesce(r.times, 0) < {MOST_TIMES} AND NOT EXISTS ({_OTHER})
                   AND b.seen_at - greatest(d.claimed_at, b.since) > make_interval(secs => %s)
                   AND b.seen_at - greatest(d.claimed_at, b.since, heard.last_at) > make_interval(secs => %s)""",
            [alias, list(ids), patience, patience],
        )
        return [(pk, text, _heard(*heard)) for pk, text, *heard in cursor.fetchall()]


def begin(ids: Sequence[int]) -> None:
    """Write down that these unknown deliveries are sent again."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO telephony_repetition AS known (delivery_id, since, times)
                SELECT id, claimed_at, 1 FROM telephony_delivery
                 WHERE id = ANY(%s) AND status = {lifecycle.UNKNOWN}
                ON CONFLICT (delivery_id) DO UPDATE SET times = known.times + 1""",
            [list(ids)],
        )


def note_sent(ids: Sequence[int]) -> None:
    """Write down that these repetitions were sent, and not answered: what was reported until then is about others.

    A part that was reported once for each of two attempts is still one part. Where a worker dies before this, reports on
    both attempts are counted together.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_repetition r SET since = d.claimed_at FROM telephony_delivery d
                WHERE d.id = r.delivery_id AND d.id = ANY(%s) AND d.status = {lifecycle.UNKNOWN}""",
            [list(ids)],
        )


def repeated(ids: Sequence[int]) -> dict[int, Repeated]:
    """Those of these deliveries that are repetitions: much may have happened since that was decided."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id, EXISTS ({_OTHER}), heard.taken, heard.ended, heard.status, heard.cause, heard.text
                  FROM telephony_repetition r JOIN telephony_delivery d ON d.id = r.delivery_id
                 CROSS JOIN LATERAL ({_HEARD}) heard
                 WHERE r.delivery_id = ANY(%s)""",
            [list(ids)],
        )
        return {pk: Repeated(_heard(*heard), waits) for pk, waits, *heard in cursor.fetchall()}
