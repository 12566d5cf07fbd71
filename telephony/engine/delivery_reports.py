"""What carriers report, matched to our deliveries and applied in sets."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from django.db import InterfaceError, OperationalError, connection, transaction

from telephony import inbox
from telephony.call_scripts import SurveyResponse
from telephony.carriers import get_carrier
from telephony.carriers.base import Accepted, Carrier, CarrierEvent, InboundSms, Result
from telephony.engine import lifecycle, survey_responses, unmatched_reports
from telephony.engine.lifecycle import Report
from telephony.models import Delivery, DeliveryStatus
from telephony.models.statuses import END, QUEUED

log = logging.getLogger(__name__)

IDLE = 0.1  # seconds between two polls of a carrier that has nothing new


def record(alias: str, items: Sequence[CarrierEvent | InboundSms]) -> int:
    """Apply a carrier's events; how many deliveries changed. See `_record`.

    One event that cannot be recorded must not hold up the others, for ever if the carrier repeats it: the set is
    halved until that one is left, which is logged and dropped.
    """
    try:
        return _record(alias, items)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        if len(items) <= 1:
            log.exception("%s reports what cannot be recorded: %r", alias, items)
            return 0
    half = len(items) // 2
    return record(alias, items[:half]) + record(alias, items[half:])


@transaction.atomic
def _record(alias: str, items: Sequence[CarrierEvent | InboundSms]) -> int:
    """Apply a carrier's events; how many deliveries changed. Doubled, late and unknown ones change nothing.

    What people have sent us goes to `optouts`. Reports on ids that we do not know are kept (`unmatched`).
    """
    if inbound := [item for item in items if isinstance(item, InboundSms)]:
        inbox.receive(alias, inbound)
    events = [item for item in items if isinstance(item, CarrierEvent)]
    refs = sorted({event.ref for event in events if not event.key and event.ref})
    by_ref, by_part = _deliveries_of(alias, refs) if refs else ({}, {})
    reports: list[Report] = []
    given: list[tuple[int, datetime, Sequence[SurveyResponse]]] = []
    of_parts: list[CarrierEvent] = []
    strange: list[CarrierEvent] = []
    for event in events:
        if not event.key and event.ref in by_part:
            of_parts.append(event)
            continue
        pk = int(event.key) if event.key else by_ref.get(event.ref)
        if pk is None:
            strange.append(event)
            continue
        reports.append(_report(event, pk))
        if event.answers:
            given.append((pk, event.at, event.answers))
    if strange:
        log.info("%s reports on %d ids that we do not know yet", alias, len(strange))
        unmatched_reports.keep(alias, strange)
    if of_parts:
        reports += _reports_on_parts(alias, of_parts, by_part)
    changed = lifecycle.apply(reports, report_timeout=get_carrier(alias).report_timeout())
    survey_responses.announce(given)
    return changed


def record_results(
    carrier: Carrier, results: Sequence[Result], *, attempts: Mapping[int, int] | None = None
) -> None:
    """Write down what a carrier answered to submissions, and what it had reported on them before.

    `attempts`, by id, are those that these results are of.
    """
    lifecycle.record(results, report_timeout=carrier.report_timeout(), attempts=attempts)
    refs = [
        ref
        for result in results
        if isinstance(result, Accepted) and result.ref
        for ref in (result.parts or (result.ref,))
    ]
    if refs:
        with transaction.atomic():
            if early := unmatched_reports.take(carrier.alias, refs):
                record(carrier.alias, early)


@transaction.atomic
def record_all(carrier: Carrier, items: Sequence[CarrierEvent | InboundSms | Result]) -> int:
    """What a session had to say, in one transaction: how many deliveries its reports changed.

    The results of submissions come first, since the reports may be about the ids in them.
    """
    results = [item for item in items if isinstance(item, Result)]
    reports = [item for item in items if not isinstance(item, Result)]
    if results:
        record_results(carrier, results)
    return record(carrier.alias, reports) if reports else 0


def match_again(alias: str) -> None:
    """Give reports that were kept to the deliveries whose ids have become known, or whose answers were lost."""
    with transaction.atomic():
        if known := unmatched_reports.take(alias):
            record(alias, known)
    unmatched_reports.match_by_number(get_carrier(alias))


def _deliveries_of(alias: str, refs: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Deliveries by the carrier's ids of them, and by those of their parts."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT d.ref, d.id, false FROM telephony_delivery d JOIN telephony_trunk t ON t.id = d.trunk_id
                WHERE t.alias = %(alias)s AND d.ref <> '' AND d.ref = ANY(%(refs)s)
               UNION ALL
               SELECT p.ref, p.delivery_id, true
                 FROM telephony_messagepart p JOIN telephony_trunk t ON t.id = p.trunk_id
                WHERE t.alias = %(alias)s AND p.ref = ANY(%(refs)s)
               ORDER BY 2""",
            {"alias": alias, "refs": list(refs)},
        )
        rows = cursor.fetchall()
    return (
        {ref: pk for ref, pk, is_part in rows if not is_part},
        {ref: pk for ref, pk, is_part in rows if is_part},
    )


def _reports_on_parts(alias: str, events: Sequence[CarrierEvent], by_part: dict[str, int]) -> list[Report]:
    """A message is delivered when all its parts are, and has failed when one of them has."""
    reports = [
        _report(event, by_part[event.ref]) for event in events if event.status != DeliveryStatus.COMPLETED
    ]
    delivered = {event.ref: event for event in events if event.status == DeliveryStatus.COMPLETED}
    if not delivered:
        return reports
    # In the order of the events, so that the time of a message is that of its last part.
    last = {by_part[ref]: event for ref, event in delivered.items()}
    with connection.cursor() as cursor:
        # Reports on two parts of one message may be recorded at the same moment: the last must see the others.
        cursor.execute(
            "SELECT FROM telephony_delivery WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [list(last)]
        )
        cursor.execute(
            """UPDATE telephony_messagepart p SET delivered = true FROM telephony_trunk t
                WHERE t.id = p.trunk_id AND t.alias = %s AND p.ref = ANY(%s)""",
            [alias, list(delivered)],
        )
        cursor.execute(
            """SELECT delivery_id FROM telephony_messagepart WHERE delivery_id = ANY(%s)
                GROUP BY delivery_id HAVING bool_and(delivered)""",
            [list(last)],
        )
        whole = [row[0] for row in cursor.fetchall()]
    return reports + [_report(last[pk], pk) for pk in whole]


def _report(event: CarrierEvent, pk: int) -> Report:
    return Report(
        id=pk,
        status=event.status,
        at=event.at,
        cause=event.cause,
        seconds=event.seconds,
        playback=event.playback,
        text=event.text,
        digits=event.digits,
    )


def poll(alias: str, *, budget: float) -> bool:
    """Ask a carrier for news until nothing is in flight there or `budget` seconds are over; whether some still is."""
    carrier = get_carrier(alias)
    end = time.monotonic() + budget
    while time.monotonic() < end:
        if carrier.poll(partial(record, alias)):
            continue
        if not in_flight(alias):
            return False
        time.sleep(IDLE)
    return True


def in_flight(alias: str) -> bool:
    """Whether any delivery of this trunk is with the carrier."""
    return Delivery.objects.filter(trunk__alias=alias, status__gt=QUEUED, status__lt=END).exists()


def look_up_unknown(alias: str) -> int:
    """Ask a carrier that can tell whether it took the deliveries we are unsure of; how many it could tell of.

    Those it has not taken are queued again: surely nobody was called, or the carrier makes a resend harmless. Asked only
    when the `valid_until` of their submission is well past, so that no slow process can still submit one.
    """
    carrier = get_carrier(alias)
    if not carrier.looks_up:
        return 0
    attempts = lifecycle.unknown_since_lease(alias)
    if not attempts:
        return 0
    taken = carrier.look_up([str(pk) for pk in attempts])
    lifecycle.resolve_unknown(
        taken=[pk for pk in attempts if taken.get(str(pk))], report_timeout=carrier.report_timeout()
    )
    absent = [pk for pk in attempts if taken.get(str(pk)) is False]
    # While the carrier was asked, whoever slept may have woken and given one back: the next attempt is not ours.
    lifecycle.requeue(
        ids=absent,
        seconds=[0.0] * len(absent),
        texts=["The carrier has not got it."] * len(absent),
        attempts=[attempts[pk] for pk in absent],
        pinned=carrier.pins_resends,
    )
    return len(taken)
