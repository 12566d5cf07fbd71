"""Book the corrections of lost deliveries, in the transaction that made them.

A delivery that never reported ends as lost, costs nothing, and its hold may be released. If its report comes late, the
recipient was reached, so the price is booked as far as the owner has credits. The rest is written off: the owner must not
owe anything, and the operator can see the sum (`LateReport`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db import connection

from accounts.credits import Capture, lock_holds
from accounts.late_captures import LateCapture, capture_late
from telephony.engine.lifecycle.announcing import Changed, capture, changed_from, tell
from telephony.models import LateReport
from telephony.models.statuses import END


def announce_corrections(rows: Sequence[tuple[Any, ...]], *, others: Sequence[tuple[Any, ...]]) -> None:
    """Capture the prices of these corrected deliveries as far as possible, and announce the changes.

    `rows` have the columns CHANGED; their credits are the whole price. `others` are the deliveries that the same statement
    changed. They are captured first, because the credits that they need are no longer reserved. The holds of all are locked
    at once, in the order of their ids, so that two transactions cannot deadlock.
    """
    lock_holds([one.hold_id for one in map(changed_from, (*rows, *others)) if one.hold_id is not None])
    tell([*capture(others), *_book([changed_from(row) for row in rows])])


def _book(corrected: Sequence[Changed]) -> list[Changed]:
    """Capture the prices of corrected deliveries as far as possible.

    Returns their states with the credits that were booked.
    """
    booked = capture_late(
        captures=[
            Capture(hold_id=one.hold_id, amount=one.credits, cause=_cause(one))
            for one in corrected
            if one.hold_id is not None and one.credits
        ],
        reserved=lambda hold_ids: _reserved(corrected),
    )
    paid = [booked.get(_cause(one), LateCapture()) for one in corrected]
    _note(corrected, paid)
    return [
        replace(one, credits=late.booked, is_late=True) for one, late in zip(corrected, paid, strict=True)
    ]


def _cause(delivery: Changed) -> str:
    return f"delivery:{delivery.id}"


def _reserved(corrected: Sequence[Changed]) -> dict[int, Decimal]:
    """Return what the unfinished deliveries of the same batches can still cost, by hold."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT d.hold_id, sum(d.credit_limit * (1 + d.tries_reserved))
                  FROM (SELECT DISTINCT * FROM unnest(%s::text[], %s::bigint[])) AS e(purpose, batch)
                  JOIN telephony_delivery d ON d.purpose = e.purpose AND d.batch = e.batch AND d.status < {END}
                 WHERE d.hold_id IS NOT NULL GROUP BY d.hold_id""",
            [[one.purpose.value for one in corrected], [one.batch for one in corrected]],
        )
        return dict(cursor.fetchall())


def _note(corrected: Sequence[Changed], paid: Sequence[LateCapture]) -> None:
    """Store the corrections, and store with each delivery the credits that were actually booked."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_delivery d SET credits = e.booked
                 FROM unnest(%s::bigint[], %s::numeric[]) AS e(id, booked)
                WHERE d.id = e.id AND d.credits <> e.booked""",
            [[one.id for one in corrected], [late.booked for late in paid]],
        )
        cursor.execute(
            "SELECT id, trunk_id FROM telephony_delivery WHERE id = ANY(%s)", [[one.id for one in corrected]]
        )
        trunks = dict(cursor.fetchall())
    LateReport.objects.bulk_create(
        LateReport(
            delivery=one.id,
            trunk_id=trunks[one.id],
            purpose=one.purpose,
            batch=one.batch,
            item=one.item,
            status=one.status,
            price=one.credits,
            captured=late.captured,
            charged=late.charged,
            written_off=one.credits - late.booked,
        )
        for one, late in zip(corrected, paid, strict=True)
    )
