"""Count what became of deliveries: by trunk, operator and hour, and by account and quarter of an hour.

A background task counts ranges of ids, so that nothing is added to the path of a delivery. A range is counted again until
all of its deliveries have ended. A late report (`LateReport`) lets its range be counted once more.
"""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import phonenumbers
from django.db import connection, transaction
from django.utils import timezone
from phonenumbers import carrier as operators

from telephony.models import (
    Cause,
    Channel,
    Delivery,
    LateReport,
    OutcomeChunk,
    OutcomeCount,
    Purpose,
)
from telephony.models.statuses import (
    COMPLETED,
    END,
    FAILED,
    HUNGUP,
    QUEUED,
    SUBMITTED,
    TERMINATED,
    UNANSWERED,
)

CHUNK_SIZE = 10_000
# Upper bounds of the latencies in seconds. The last count of `OutcomeCount.latencies` is of those above all bounds.
BOUNDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14_400, 86_400)
# An SMS is overdue this many seconds after its submission.
OVERDUE_SECONDS = 900
# A range is complete only this long after the first id behind it: a transaction with an earlier id may commit late.
COMMIT_SECONDS = 300
# Seconds between two counts of a range in its first quarter of an hour, and later.
RECENT_SECONDS, LATER_SECONDS = 60, 600
PRUNED_AFTER = timedelta(hours=12)  # no delivery that was counted more recently has been pruned
UNKNOWN_OPERATOR = "unknown"

_ACCEPTED = f"""((status >= {SUBMITTED} AND status < {END}) OR status IN ({COMPLETED}, {HUNGUP}, {UNANSWERED})
                 OR (status = {FAILED} AND ref <> ''))"""
_IS_SMS = f"channel = '{Channel.SMS.value}'"
_LOST = f"(status = {FAILED} AND cause = '{Cause.LOST.value}')"
_DELIVERED = (
    f"""((status = {COMPLETED} AND (NOT {_IS_SMS} OR delivered_at IS NOT NULL)) OR status = {HUNGUP})"""
)
_LATENCY = f"extract(epoch FROM CASE WHEN {_IS_SMS} THEN delivered_at ELSE answered_at END - submitted_at)"
_COUNTS = {
    "accepted": _ACCEPTED,
    "delivered": _DELIVERED,
    "failed": f"(status = {UNANSWERED} OR (status = {FAILED} AND ref <> '' AND NOT {_LOST}))",
    "silent": f"({_LOST} AND ref <> '')",
    "overdue": f"""({_IS_SMS} AND status >= {SUBMITTED} AND status < {END}
                    AND submitted_at < statement_timestamp() - make_interval(secs => {OVERDUE_SECONDS}))""",
    "unconfirmed": f"({_IS_SMS} AND status = {COMPLETED} AND delivered_at IS NULL)",
    "refused": f"(status = {FAILED} AND ref = '' AND cause IN ('{Cause.REFUSED.value}', '{Cause.INVALID.value}'))",
}
_QUERY = f"""
    SELECT trunk_id, channel, min("to"), date_trunc('hour', coalesce(submitted_at, claimed_at), 'UTC'),
           {", ".join(f"count(*) FILTER (WHERE {condition})" for condition in _COUNTS.values())},
           ARRAY[{", ".join(f"count(*) FILTER (WHERE bucket = {place})" for place in range(len(BOUNDS) + 1))}]
      FROM (SELECT *, CASE WHEN {_DELIVERED} THEN width_bucket({_LATENCY}, %(bounds)s::numeric[]) END AS bucket
              FROM telephony_delivery WHERE id > %(after)s AND id <= %(until)s
               AND status > {QUEUED} AND claimed_at IS NOT NULL) d
     GROUP BY trunk_id, channel, left("to", 8), 4"""

_ENDS = (COMPLETED, HUNGUP, UNANSWERED, FAILED, TERMINATED)
_BY_ACCOUNT = f"""
    INSERT INTO telephony_accountoutcomecount
           (chunk_id, owner_id, channel, quarter, completed, hungup, unanswered, failed, terminated)
    SELECT %(chunk)s, owner_id, channel,
           date_bin('15 minutes', coalesce(submitted_at, ended_at, created_at), TIMESTAMPTZ '2020-01-01 00:00:00Z'),
           {", ".join(f"count(*) FILTER (WHERE status = {end})" for end in _ENDS)}
      FROM telephony_delivery
     WHERE id > %(after)s AND id <= %(until)s AND status >= {END} AND NOT retried AND purpose <> '{Purpose.SEED.value}'
     GROUP BY 2, 3, 4"""


def count_due(*, budget: float = 2.0) -> int:
    """Count the ranges that are due, for at most `budget` seconds; return how many."""
    end = time.monotonic() + budget
    _create_chunks()
    _reopen_corrected()
    counted = 0
    while time.monotonic() < end:
        # Complete ranges that the previous release has counted come last: nobody waits for them.
        chunk = (
            OutcomeChunk.objects.extra(
                where=[
                    "due_at <= statement_timestamp()",
                    "(NOT is_complete OR accounts_counted_at IS DISTINCT FROM counted_at)",
                ]
            )
            .order_by("is_complete", "due_at", "pk")
            .first()
        )
        if chunk is None:
            break
        _count(chunk.number)
        counted += 1
    return counted


def _create_chunks() -> None:
    """Create the ranges of new deliveries."""
    newest = Delivery.objects.order_by("-pk").values_list("pk", flat=True).first()
    if newest is None:
        return
    known = OutcomeChunk.objects.order_by("-pk").values_list("pk", flat=True).first()
    if known is None:
        oldest = Delivery.objects.order_by("pk").values_list("pk", flat=True).first() or newest
        known = (oldest - 1) // CHUNK_SIZE - 1
    missing = range(known + 1, (newest - 1) // CHUNK_SIZE + 1)
    for start in range(0, len(missing), 1000):
        OutcomeChunk.objects.bulk_create(
            [OutcomeChunk(number=number) for number in missing[start : start + 1000]], ignore_conflicts=True
        )


def _reopen_corrected() -> None:
    """Let the ranges be counted again whose deliveries were corrected after the last count."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE telephony_outcomechunk c SET is_complete = false, due_at = statement_timestamp()
                 WHERE c.is_complete AND c.number IN (
                       SELECT (l.delivery - 1) / {CHUNK_SIZE} FROM {LateReport._meta.db_table} l
                        WHERE l.created_at > statement_timestamp() - interval '1 day')
                   AND c.counted_at < (SELECT max(l.created_at) FROM {LateReport._meta.db_table} l
                                        WHERE (l.delivery - 1) / {CHUNK_SIZE} = c.number)"""
        )


@transaction.atomic
def _count(number: int) -> None:
    """Count a range, and replace its earlier counts."""
    chunk = OutcomeChunk.objects.select_for_update(no_key=True).get(pk=number)
    after, until = number * CHUNK_SIZE, (number + 1) * CHUNK_SIZE
    sums: dict[tuple[int, str, str, datetime], list[Any]] = defaultdict(
        lambda: [*[0] * len(_COUNTS), [0] * (len(BOUNDS) + 1)]
    )
    with connection.cursor() as cursor:
        # Read first: a delivery that ends between the two statements is counted as ended when the range is counted again.
        cursor.execute(
            f"""SELECT EXISTS (SELECT FROM telephony_delivery WHERE id > %(after)s AND id <= %(until)s AND status < {END})
                       OR NOT EXISTS (SELECT FROM telephony_delivery WHERE id > %(until)s
                                         AND created_at < statement_timestamp() - make_interval(secs => %(commit)s))""",
            {"after": after, "until": until, "commit": COMMIT_SECONDS},
        )
        is_unfinished = cursor.fetchone()[0]
        cursor.execute(_QUERY, {"after": after, "until": until, "bounds": list(BOUNDS)})
        for trunk_id, channel, number_of_group, hour, *counts, latencies in cursor.fetchall():
            row = sums[trunk_id, channel, operator_of(number_of_group), hour]
            for place, count in enumerate(counts):
                row[place] += count
            row[-1] = [one + other for one, other in zip(row[-1], latencies, strict=True)]
    names = list(_COUNTS)
    is_pruned = _is_pruned(chunk, sum(row[names.index("accepted")] for row in sums.values()))
    if not is_pruned:
        chunk.counts.all().delete()
        OutcomeCount.objects.bulk_create(
            OutcomeCount(
                chunk=chunk, trunk_id=trunk_id, channel=channel, operator=operator, hour=hour,
                latencies=row[-1], **dict(zip(names, row[:-1], strict=True)),
            )
            for (trunk_id, channel, operator, hour), row in sums.items()
        )  # fmt: skip
    with connection.cursor() as cursor:
        if not is_pruned or chunk.accounts_counted_at is None:
            chunk.account_counts.all().delete()
            cursor.execute(_BY_ACCOUNT, {"chunk": chunk.pk, "after": after, "until": until})
        cursor.execute(
            f"""UPDATE telephony_outcomechunk SET is_complete = %s, counted_at = statement_timestamp(),
                       accounts_counted_at = statement_timestamp(),
                       due_at = statement_timestamp() + make_interval(secs =>
                           CASE WHEN created_at > statement_timestamp() - interval '15 minutes' THEN {RECENT_SECONDS}
                                ELSE {LATER_SECONDS} END)
                 WHERE number = %s""",
            [not is_unfinished, chunk.number],
        )


def _is_pruned(chunk: OutcomeChunk, accepted: int) -> bool:
    """Return whether deliveries that were counted long ago do not exist any more, so that their counts must stay."""
    if chunk.counted_at is None or timezone.now() - chunk.counted_at < PRUNED_AFTER:
        return False
    return accepted < sum(chunk.counts.values_list("accepted", flat=True))


def operator_of(number: str) -> str:
    """Return the mobile operator that has this number's range, or the country of other numbers: `Ncell`, `IN`."""
    return _operator_of_range(number[:8], number) if number.startswith("+") else UNKNOWN_OPERATOR


@lru_cache(maxsize=10_000)
def _operator_of_range(_prefix: str, number: str) -> str:
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return UNKNOWN_OPERATOR
    name = operators.name_for_valid_number(parsed, "en")
    return (name or phonenumbers.region_code_for_number(parsed) or UNKNOWN_OPERATOR)[:40]
