"""Match carriers' reports to deliveries, and apply them in batches."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from django.db import InterfaceError, OperationalError, transaction

from telephony import inbox
from telephony.call_scripts import SurveyResponse
from telephony.carriers import get_carrier
from telephony.carriers.base import Accepted, Carrier, CarrierEvent, InboundSms, Result
from telephony.engine import (
    circuit_breaker,
    lifecycle,
    part_reports,
    report_matching,
    silence,
    survey_responses,
    unmatched_reports,
)
from telephony.engine.lifecycle import Report
from telephony.engine.part_reports import report_of
from telephony.engine.report_matching import Match
from telephony.engine.unmatched_reports import StoredEvent
from telephony.models import FINAL, Delivery
from telephony.models.statuses import END, QUEUED
from telephony.optouts import pressed

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1  # between two polls of a carrier that has nothing new


def apply_events(alias: str, items: Sequence[CarrierEvent | InboundSms]) -> int:
    """Apply a carrier's events; return how many deliveries changed. See `_apply_events`.

    An event that cannot be stored must not block the others, because the carrier may repeat it without end. The batch is
    halved until only that event is left, which is logged and dropped.
    """
    try:
        return _apply_events(alias, items)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        if len(items) <= 1:
            log.exception("A report of %s cannot be stored and is dropped: %r", alias, items)
            return 0
    half = len(items) // 2
    return apply_events(alias, items[:half]) + apply_events(alias, items[half:])


@transaction.atomic
def _apply_events(alias: str, items: Sequence[CarrierEvent | InboundSms]) -> int:
    """Apply a carrier's events; return how many deliveries changed. Repeated and late events change nothing.

    Inbound SMS go to `inbox`. Reports on unknown ids are stored (`unmatched_reports`).
    """
    if inbound := [item for item in items if isinstance(item, InboundSms)]:
        inbox.receive(alias, inbound)
    events = [item for item in items if isinstance(item, CarrierEvent)]
    carrier = get_carrier(alias)
    reports: list[Report] = []
    responses: list[tuple[int, datetime, Sequence[SurveyResponse]]] = []
    of_parts: list[tuple[CarrierEvent, Match]] = []
    unmatched: list[CarrierEvent] = []
    for event, match in zip(events, report_matching.match(carrier, events), strict=True):
        if match is None:
            unmatched.append(event)
            continue
        if match.is_part:
            of_parts.append((event, match))
            continue
        reports.append(report_of(event, match.pk))
        if event.answers:
            responses.append((match.pk, event.at, event.answers))
    if unmatched:
        log.info("%s reported on %d unknown ids", alias, len(unmatched))
        unmatched_reports.store(alias, unmatched)
    if of_parts:
        reports += part_reports.reports_on_whole(carrier, of_parts)
    pressed.apply(responses)  # before the reports, because a recipient who opts out is not tried again
    changed = lifecycle.apply_reports(reports, report_timeout=carrier.report_timeout())
    survey_responses.announce(responses)
    if changed and any(report.status >= FINAL for report in reports):
        silence.note_report(alias)
    return changed


def apply_results(
    carrier: Carrier, results: Sequence[Result], *, attempts: Mapping[int, int] | None = None
) -> None:
    """Apply the results of submissions, then the reports on them that arrived earlier.

    `attempts` has the number of the submission attempt of each result, by the delivery's id.
    """
    lifecycle.apply_results(results, report_timeout=carrier.report_timeout(), attempts=attempts)
    with transaction.atomic():
        if early := _early(carrier, results):
            apply_events(carrier.alias, early)


def _early(carrier: Carrier, results: Sequence[Result]) -> list[CarrierEvent]:
    """Remove and return the stored reports on the ids in these results."""
    refs = [
        ref
        for result in results
        if isinstance(result, Accepted) and result.ref
        for ref in (result.parts or (result.ref,))
    ]
    return unmatched_reports.take(carrier.alias, refs) if refs else []


@transaction.atomic
def apply_all(carrier: Carrier, items: Sequence[CarrierEvent | InboundSms | Result | StoredEvent]) -> int:
    """Apply a session's results and reports in one transaction; return how many deliveries the reports changed.

    Results of submissions are applied first, because the reports may be about the ids in them. Stored reports that another
    process has applied are left out.
    """
    results = [item for item in items if isinstance(item, Result)]
    reports = [item for item in items if isinstance(item, CarrierEvent | InboundSms)]
    stored = {item.id: item.event for item in items if isinstance(item, StoredEvent)}
    if stored:
        removed = unmatched_reports.remove(list(stored))
        reports += [event for pk, event in stored.items() if pk in removed]
    if results:
        lifecycle.apply_results(results, report_timeout=carrier.report_timeout())
        reports += _early(carrier, results)
        circuit_breaker.note_results(carrier, results)
    return apply_events(carrier.alias, reports) if reports else 0


def match_again(alias: str, *, min_age: float = 0.0) -> None:
    """Apply stored reports whose ids have become known, and reports about deliveries whose submit response was lost.

    Leave out reports that were stored less than `min_age` seconds ago.
    """
    with transaction.atomic():
        if known := unmatched_reports.take(alias, min_age=min_age):
            apply_events(alias, known)
    if unmatched_reports.match_by_number(get_carrier(alias)):
        silence.note_report(alias)


def poll(alias: str, *, budget: float) -> bool:
    """Poll a carrier until nothing is in flight or `budget` seconds have passed; return whether anything still is."""
    carrier = get_carrier(alias)
    end = time.monotonic() + budget
    while time.monotonic() < end:
        if carrier.poll(partial(apply_events, alias)):
            continue
        if not in_flight(alias):
            return False
        time.sleep(POLL_SECONDS)
    return True


def in_flight(alias: str) -> bool:
    """Return whether the carrier may have any unfinished delivery of this trunk."""
    return Delivery.objects.filter(trunk__alias=alias, status__gt=QUEUED, status__lt=END).exists()


def look_up_unknown(alias: str) -> int:
    """Ask the carrier whether it has accepted the unknown deliveries; return for how many it knew.

    Deliveries that the carrier does not have are queued again, because nobody was called or texted, or because a resend is
    harmless. The carrier is asked only well after the `valid_until` of the submissions, so that no slow process can still
    submit them. Carriers without look-ups are not asked.
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
    # During the look-up, a slow process may have requeued a delivery, and another process may have claimed it. The result of
    # the look-up says nothing about that newer attempt.
    lifecycle.requeue(
        ids=absent,
        seconds=[0.0] * len(absent),
        texts=["The carrier does not have it."] * len(absent),
        attempts=[attempts[pk] for pk in absent],
        pinned=carrier.pins_resends,
    )
    return len(taken)
