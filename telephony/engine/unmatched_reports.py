"""Store reports on unknown ids, and match them to deliveries later.

A carrier may report before its submit response has been stored. If the submit response was lost with the connection, the
status of the delivery is unknown. The report is then matched to the delivery by the recipient's number.

The reports of a session are stored here, too, for the moment between their acknowledgement and their application
(`report_spool`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction

from iris.storable import storable
from telephony.carriers.base import Accepted, Carrier, CarrierEvent
from telephony.engine import lifecycle
from telephony.engine.lifecycle.reports import IS_LOST, REACHED_LATER, carrier_text
from telephony.engine.report_matching import MAY_BE_ABOUT
from telephony.models import Cause, Channel, DeliveryStatus, Trunk, UnmatchedReport
from telephony.models.statuses import END, UNKNOWN
from telephony.unnest import rowset

# Seconds before a report is matched by its number: the submit response with its id may not be stored yet.
MATCH_GRACE_SECONDS = 3
# Only the newest reports are examined, because a carrier may send many reports on messages of other systems.
MAX_REPORTS_EXAMINED = 5000
PRUNE_SIZE = 1000
LATE_DAYS = 3  # how long a lost delivery without an id can be corrected by a report on its number
# Whether a delivery has the id of the stored report `u`. Such a report is not matched by its number. It is about that
# delivery, or about a newer SMS whose submit response, with the same id, is not stored yet.
HAS_KNOWN_ID = """u.ref <> '' AND (
    EXISTS (SELECT FROM telephony_delivery k WHERE k.trunk_id = u.trunk_id AND k.ref = u.ref AND k.ref <> '')
    OR EXISTS (SELECT FROM telephony_messagepart p WHERE p.trunk_id = u.trunk_id AND p.ref = u.ref))"""
# Whether a report can be matched to the delivery `d` by its number. Either the status of `d` is unknown, or `d` ended as
# lost, has no id, was claimed in the last LATE_DAYS, and no later delivery has reached the recipient or is under way.
WAITS_FOR_A_NUMBER = f"""(d.status = {UNKNOWN}
    OR ({IS_LOST} AND d.ref = '' AND d.claimed_at > statement_timestamp() - make_interval(days => {LATE_DAYS})
        AND NOT EXISTS ({REACHED_LATER})))"""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A report that is stored under `id` until it is applied."""

    id: int
    event: CarrierEvent


class _StoredReport(NamedTuple):
    id: int
    ref: str
    number: str
    status: int
    cause: str
    carrier_text: str
    at: datetime


def store(alias: str, events: Sequence[CarrierEvent]) -> None:
    """Store reports that match no delivery. Repeated reports are stored once."""
    trunk, _ = Trunk.objects.get_or_create(alias=alias)
    reports = [
        UnmatchedReport(
            trunk=trunk,
            ref=storable(event.ref)[:100],
            number=storable(event.number)[:32],
            status=event.status,
            cause=event.cause,
            carrier_text=carrier_text(event.text),
            at=event.at,
        )
        for event in events
    ]
    UnmatchedReport.objects.bulk_create(reports, ignore_conflicts=True)


def spool(alias: str, events: Sequence[CarrierEvent]) -> list[StoredEvent]:
    """Store reports that will be applied soon; return them. Reports that are stored already are left out.

    Takes one statement for any number of events. All must have a `ref`.
    """
    by_key: dict[tuple[str, str, int], CarrierEvent] = {}
    for event in events:
        by_key.setdefault((storable(event.ref)[:100], storable(event.number)[:32], int(event.status)), event)
    rows, parameters = rowset(
        "e",
        {
            "ref": ("text", [ref for ref, _, _ in by_key]),
            "number": ("text", [number for _, number, _ in by_key]),
            "status": ("smallint", [status for _, _, status in by_key]),
            "cause": ("text", [str(event.cause) for event in by_key.values()]),
            "carrier_text": ("text", [carrier_text(event.text) for event in by_key.values()]),
            "at": ("timestamptz", [event.at for event in by_key.values()]),
        },
    )
    sql = f"""INSERT INTO telephony_unmatchedreport (trunk_id, ref, number, status, cause, carrier_text, at)
              SELECT t.id, e.ref, e.number, e.status, e.cause, e.carrier_text, e.at FROM telephony_trunk t, {rows}
               WHERE t.alias = %s
              ON CONFLICT DO NOTHING RETURNING id, ref, number, status"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [*parameters, alias])
        stored = cursor.fetchall()
        if not stored and Trunk.objects.get_or_create(alias=alias)[1]:  # the trunk had no row yet
            cursor.execute(sql, [*parameters, alias])
            stored = cursor.fetchall()
    return [StoredEvent(pk, by_key[ref, number, status]) for pk, ref, number, status in stored]


def remove(ids: Sequence[int]) -> set[int]:
    """Remove these stored reports, and return those that nobody else has removed or is removing."""
    with connection.cursor() as cursor:
        cursor.execute(
            """DELETE FROM telephony_unmatchedreport WHERE id = ANY (ARRAY(
                   SELECT id FROM telephony_unmatchedreport WHERE id = ANY(%s) FOR UPDATE SKIP LOCKED))
               RETURNING id""",
            [list(ids)],
        )
        return {row[0] for row in cursor.fetchall()}


def take(alias: str, refs: Sequence[str] | None = None, *, min_age: float = 0.0) -> list[CarrierEvent]:
    """Remove and return the stored reports on these ids; without `refs`, those that a delivery now waits for.

    `min_age` is how many seconds ago they must have been stored.
    """
    with connection.cursor() as cursor:
        parameters: list[list[str] | float]
        if refs is not None:
            chosen, parameters = "u.ref = ANY(%s)", [list(refs)]
        else:
            chosen, parameters = (
                f"""u.id IN (SELECT id FROM telephony_unmatchedreport ORDER BY id DESC LIMIT {MAX_REPORTS_EXAMINED})
                    AND u.created_at <= statement_timestamp() - make_interval(secs => %s) AND u.ref <> '' AND (
                        EXISTS (SELECT FROM telephony_delivery d
                                 WHERE d.trunk_id = t.id AND d.ref = u.ref AND d.ref <> '' AND {MAY_BE_ABOUT})
                        OR EXISTS (SELECT FROM telephony_messagepart p JOIN telephony_delivery d ON d.id = p.delivery_id
                                    WHERE p.trunk_id = t.id AND p.ref = u.ref AND {MAY_BE_ABOUT}))""",
                [min_age],
            )
        # SKIP LOCKED avoids a deadlock: two processes may want the same reports, and both also lock the deliveries.
        cursor.execute(
            f"""DELETE FROM telephony_unmatchedreport WHERE id = ANY (ARRAY(
                    SELECT u.id FROM telephony_unmatchedreport u JOIN telephony_trunk t ON t.id = u.trunk_id
                      LEFT JOIN telephony_bind b ON b.trunk_id = t.id
                     WHERE t.alias = %s AND {chosen} FOR UPDATE OF u SKIP LOCKED))
                RETURNING ref, number, status, cause, carrier_text, at""",
            [alias, *parameters],
        )
        return [
            CarrierEvent(
                ref=ref, number=number, status=DeliveryStatus(status), cause=Cause(cause), text=text, at=at
            )
            for ref, number, status, cause, text, at in cursor.fetchall()
        ]


@transaction.atomic
def match_by_number(carrier: Carrier) -> int:
    """Apply reports to unknown deliveries with the same numbers, then to lost ones; return how many deliveries changed.

    If the carrier reports each part of a message, the delivery needs a report on each part. If a number has several unknown
    deliveries, the oldest gets the first report, because nothing tells them apart. Reports that begin with the carrier's
    `recall_text` are ignored: they only confirm our own cancellation of an earlier attempt.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT u.id, u.ref, u.number, u.status, u.cause, u.carrier_text, u.at
                  FROM telephony_unmatchedreport u JOIN telephony_trunk t ON t.id = u.trunk_id AND t.alias = %s
                 WHERE u.number <> '' AND u.status >= {END}
                   AND NOT (%s <> '' AND starts_with(u.carrier_text, %s)) AND NOT ({HAS_KNOWN_ID})
                   AND u.created_at < statement_timestamp() - make_interval(secs => {MATCH_GRACE_SECONDS})
                   AND EXISTS (SELECT FROM telephony_delivery d
                                WHERE d.trunk_id = t.id AND {WAITS_FOR_A_NUMBER} AND d."to" = u.number
                                  AND coalesce(d.pinned_since, d.claimed_at) <= u.created_at)
                 ORDER BY u.id DESC LIMIT {MAX_REPORTS_EXAMINED} FOR UPDATE OF u SKIP LOCKED""",
            [carrier.alias, carrier.recall_text, carrier.recall_text],
        )
        reports = defaultdict(list)
        for stored in (_StoredReport(*row) for row in reversed(cursor.fetchall())):
            reports[stored.number].append(stored)
        if not reports:
            return 0
        cursor.execute(
            f"""SELECT d.id, d."to", d.text FROM telephony_delivery d JOIN telephony_trunk t ON t.id = d.trunk_id
                 WHERE t.alias = %s AND {WAITS_FOR_A_NUMBER} AND d.channel = '{Channel.SMS.value}'
                   AND d."to" = ANY(%s) ORDER BY d.status, d.id""",
            [carrier.alias, list(reports)],
        )
        accepted: list[Accepted] = []
        matched: list[lifecycle.Report] = []
        used: list[int] = []
        for pk, number, text in cursor.fetchall():
            needed = carrier.reports_on(text)
            candidates = reports[number][:needed]
            failed = [report for report in candidates if report.status != DeliveryStatus.COMPLETED]
            if not candidates or (len(candidates) < needed and not failed):
                continue
            last = (failed or candidates)[-1]
            matched.append(
                lifecycle.Report(
                    id=pk,
                    status=DeliveryStatus(last.status),
                    cause=last.cause,
                    text=last.carrier_text,
                    at=last.at,
                )
            )
            # Stores the ids, so that a repeated report is matched to this delivery and not to the next one.
            refs = tuple(report.ref for report in candidates if report.ref)
            accepted.append(Accepted(key=str(pk), ref=last.ref, parts=refs if needed > 1 else ()))
            used += [report.id for report in candidates]
            reports[number] = reports[number][len(candidates) :]
    UnmatchedReport.objects.filter(pk__in=used).delete()
    lifecycle.apply_results(accepted, report_timeout=carrier.report_timeout())
    return lifecycle.apply_isolated(matched)


def prune() -> None:
    """Delete old reports and message parts that can match nothing any more, at most PRUNE_SIZE of each."""
    # Reports on the parts of a message may be days apart, whatever the report timeout is.
    oldest = max(2 * settings.IRIS_REPORT_TIMEOUT_SECONDS, 3 * 86400)
    with connection.cursor() as cursor:
        for table in ("telephony_unmatchedreport", "telephony_messagepart"):
            cursor.execute(
                f"""DELETE FROM {table}
                     WHERE id IN (SELECT id FROM {table} ORDER BY id LIMIT {PRUNE_SIZE})
                       AND created_at < statement_timestamp() - make_interval(secs => %s)""",
                [oldest],
            )
