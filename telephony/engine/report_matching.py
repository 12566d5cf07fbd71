"""Find the delivery of a report by the carrier's id.

An id alone does not identify a delivery: an SMSC that was restarted may use its ids again. So the number in the report
counts, too, if the carrier's reports name numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection

from telephony.carriers.base import Carrier, CarrierEvent
from telephony.engine.lifecycle.reports import IS_LOST, REACHED_LATER
from telephony.models import Cause, Channel, DeliveryStatus
from telephony.models.statuses import END, SUBMITTING, UNKNOWN

# Whether the stored report `u` may be about the delivery `d` with the same id, on a trunk with the bind `b`.
MAY_BE_ABOUT = f"""(u.number = '' OR d."to" = u.number OR NOT starts_with(u.number, '+')
                    OR NOT coalesce(b.tells_numbers, false))
                   AND (d.status < {END} OR ({IS_LOST} AND NOT EXISTS ({REACHED_LATER})))"""


@dataclass(frozen=True, slots=True)
class Match:
    """The delivery of a report, and the id by which it was found.

    `is_part` means that the id belongs to one part of a long SMS.
    """

    pk: int
    ref: str
    is_part: bool


@dataclass(frozen=True, slots=True)
class _Candidate:
    pk: int
    is_part: bool
    number: str
    status: int
    is_lost: bool


def match(carrier: Carrier, events: Sequence[CarrierEvent]) -> list[Match | None]:
    """Return the delivery of each event, None if there is none yet. Takes the same few queries for any number of events.

    None is also returned if the delivery has ended, but the report may be about another one whose submit response is not
    stored yet.
    """
    refs = {ref for event in events if not event.key for ref in (event.ref, event.written_ref) if ref}
    known, tells_numbers = _candidates(carrier.alias, refs) if refs else ({}, False)
    matches: list[Match | None] = []
    chosen: list[_Candidate | None] = []
    for event in events:
        if event.key:
            matches.append(Match(int(event.key), "", is_part=False))
            chosen.append(None)
            continue
        # Earlier releases stored ids as they were written.
        ref = event.ref if event.ref in known else event.written_ref
        candidates = known.get(ref, [])
        candidate = _choose(event, candidates, tells_numbers=tells_numbers)
        chosen.append(candidate)
        if candidate is None:
            matches.append(None)
            continue
        is_part = any(other.is_part for other in candidates if other.pk == candidate.pk)
        matches.append(Match(candidate.pk, ref, is_part))
    _leave_out_doubtful(carrier, events, matches, chosen)
    return matches


def _candidates(alias: str, refs: Iterable[str]) -> tuple[dict[str, list[_Candidate]], bool]:
    """Return the deliveries by the carrier's ids, the latest submission last, and whether reports name numbers."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH trunk AS (
                   SELECT t.id, coalesce(b.tells_numbers, false) AS tells
                     FROM telephony_trunk t LEFT JOIN telephony_bind b ON b.trunk_id = t.id WHERE t.alias = %(alias)s
               ), found AS (
                   SELECT d.ref, d.id, false AS is_part, d."to", d.status, d.cause, d.claimed_at
                     FROM telephony_delivery d JOIN trunk ON trunk.id = d.trunk_id
                    WHERE d.ref <> '' AND d.ref = ANY(%(refs)s)
                    UNION ALL
                   SELECT p.ref, d.id, true, d."to", d.status, d.cause, d.claimed_at
                     FROM telephony_messagepart p JOIN trunk ON trunk.id = p.trunk_id
                     JOIN telephony_delivery d ON d.id = p.delivery_id
                    WHERE p.ref = ANY(%(refs)s)
               )
               SELECT ref, found.id, is_part, "to", status, cause, trunk.tells FROM found, trunk
                ORDER BY claimed_at NULLS FIRST, found.id""",
            {"alias": alias, "refs": list(refs)},
        )
        rows = cursor.fetchall()
    known = defaultdict(list)
    for ref, pk, is_part, number, status, cause, _ in rows:
        is_lost = status == DeliveryStatus.FAILED and cause == Cause.LOST
        known[ref].append(_Candidate(pk, is_part, number, status, is_lost))
    return known, bool(rows and rows[0][-1])


def _choose(
    event: CarrierEvent, candidates: Sequence[_Candidate], *, tells_numbers: bool
) -> _Candidate | None:
    """Return the delivery that the event is most likely about. An unfinished one comes first, then the latest.

    A lost delivery is chosen only if it is the latest. Otherwise the report may be a repeated report on the later
    delivery.
    """
    same_number = [candidate for candidate in candidates if candidate.number == event.number]
    if same_number:
        unfinished = [candidate for candidate in same_number if candidate.status < END]
        return (unfinished or same_number)[-1]
    if tells_numbers and event.number.startswith("+"):
        return None
    return candidates[-1] if candidates else None


def _leave_out_doubtful(
    carrier: Carrier,
    events: Sequence[CarrierEvent],
    matches: list[Match | None],
    chosen: Sequence[_Candidate | None],
) -> None:
    """Remove matches with finished deliveries if the report may be about another delivery whose id is not stored yet."""
    ended = {
        place: candidate
        for place, candidate in enumerate(chosen)
        if candidate is not None and candidate.status >= END and events[place].status >= END
    }
    if not ended:
        return
    lost = [candidate.pk for candidate in ended.values() if candidate.is_lost]
    # An SMSC that uses its ids again may report on an SMS to another number before the submit response is stored.
    waiting = _unanswered(
        {candidate.number for candidate in ended.values() if not candidate.is_lost}
        | {events[place].number for place in ended},
        carrier,
    )
    uncorrectable = _uncorrectable(carrier, lost) if lost else set()
    for place, candidate in ended.items():
        number = events[place].number
        if (
            candidate.pk in uncorrectable
            or (number != candidate.number and number in waiting)
            or (not candidate.is_lost and candidate.number in waiting)
        ):
            matches[place] = None


def _unanswered(numbers: set[str], carrier: Carrier) -> set[str]:
    """Return the numbers that have an SMS in flight whose submit response (with its id) is not stored yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT DISTINCT d."to" FROM telephony_delivery d JOIN telephony_trunk t ON t.id = d.trunk_id
                 WHERE t.alias = %s AND d."to" = ANY(%s) AND d.channel = '{Channel.SMS.value}'
                   AND d.status IN ({SUBMITTING}, {UNKNOWN})""",
            [carrier.alias, list(numbers)],
        )
        return {row[0] for row in cursor.fetchall()}


def _uncorrectable(carrier: Carrier, lost: Sequence[int]) -> set[int]:
    """Return the lost deliveries that a report must not correct, at least at present.

    A report must not correct a delivery if a later delivery is reaching or has reached the recipient, or if the parts of a
    long SMS were pruned.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.id, d.channel, d.text, EXISTS ({REACHED_LATER}),
                       EXISTS (SELECT FROM telephony_messagepart p WHERE p.delivery_id = d.id)
                  FROM telephony_delivery d WHERE d.id = ANY(%s)""",
            [list(lost)],
        )
        return {
            pk
            for pk, channel, text, is_reached, has_parts in cursor.fetchall()
            if is_reached or (channel == Channel.SMS and not has_parts and carrier.reports_on(text) > 1)
        }
