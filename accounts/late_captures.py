"""Book the prices of deliveries that were reported only after their holds were released.

This module writes balances, holds and ledger entries like `accounts.credits`, by the same rules: holds are locked in the
order of their ids and before accounts, and each cause is booked once.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction

from accounts.credits import LOCK_ACCOUNTS_OF_HOLDS, LOCK_HOLDS, Capture, capture_many

ZERO = Decimal(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class LateCapture:
    """What was booked for one delivery: from its hold, and from the balance of its account. The rest is written off."""

    captured: Decimal = ZERO
    charged: Decimal = ZERO

    @property
    def booked(self) -> Decimal:
        return self.captured + self.charged


def capture_late(
    *, captures: Sequence[Capture], reserved: Callable[[Sequence[int]], Mapping[int, Decimal]]
) -> dict[str, LateCapture]:
    """Book prices of deliveries whose hold may already be released. Return what was booked, by cause.

    A price is captured from the remaining credits of its hold, except the credits that `reserved(hold ids)` returns: other
    deliveries need them. If that does not cover the price, the difference is charged to the balance, as far as the balance
    has credits. These credits are first added to the hold and then captured from it, so the captured credits of a run are
    its whole cost. Even so, a hold never captures more than the amount that it held at first. Causes that were booked before
    are left out. Takes the same few statements for any number of captures.
    """
    wanted = {capture.cause: capture for capture in reversed(captures) if capture.amount > 0}
    if not wanted:
        return {}
    hold_ids = sorted({capture.hold_id for capture in wanted.values()})
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK_HOLDS, [hold_ids])
        cursor.execute(LOCK_ACCOUNTS_OF_HOLDS, [hold_ids])
        cursor.execute(_BOOKED, [list(wanted)])
        booked = {cause for (cause,) in cursor.fetchall()}
        cursor.execute(_HOLDS, [hold_ids])
        holds = {
            pk: (user_id, left, unused, balance) for pk, user_id, left, unused, balance in cursor.fetchall()
        }
        others = reserved(hold_ids)
        left = {pk: max(row[1] - others.get(pk, ZERO), ZERO) for pk, row in holds.items()}
        unused = {pk: max(row[2] - others.get(pk, ZERO), ZERO) for pk, row in holds.items()}
        balances = {row[0]: row[3] for row in holds.values()}
        done: dict[str, LateCapture] = {}
        charged: defaultdict[int, Decimal] = defaultdict(Decimal)
        for cause, capture in wanted.items():
            if cause in booked or capture.hold_id not in holds:
                continue
            pk, user_id = capture.hold_id, holds[capture.hold_id][0]
            captured = min(capture.amount, left[pk])
            more = min(capture.amount - captured, unused[pk] - captured, balances[user_id])
            left[pk] -= captured
            unused[pk] -= captured + more
            balances[user_id] -= more
            charged[pk] += more
            done[cause] = LateCapture(captured=captured, charged=more)
        if sum(charged.values()):
            given = json.dumps(
                [
                    {"hold_id": wanted[cause].hold_id, "amount": str(one.charged), "cause": cause}
                    for cause, one in done.items()
                    if one.charged
                ]
            )
            cursor.execute(_BOOK_HOLDS, [given])
            by_hold = {pk: amount for pk, amount in charged.items() if amount}
            cursor.execute(_ENLARGE_HOLDS, [list(by_hold), list(by_hold.values())])
            cursor.execute(_CHARGE_USERS, [list(by_hold), list(by_hold.values())])
        capture_many(
            captures=[
                Capture(hold_id=wanted[cause].hold_id, amount=one.booked, cause=cause)
                for cause, one in done.items()
            ]
        )
    return done


_BOOKED = "SELECT cause FROM accounts_creditentry WHERE kind = 'capture' AND cause = ANY(%s)"

# For each hold: the remaining credits, the originally held amount minus the captured credits, and the balance of the
# hold's account.
_HOLDS = """
    SELECT held.id, held.user_id, held.amount - held.captured - held.released,
           coalesce(at_first.amount, 0) - held.captured, owner.balance
      FROM accounts_credithold held JOIN accounts_account owner ON owner.id = held.user_id
      LEFT JOIN accounts_creditentry at_first ON at_first.kind = 'hold' AND at_first.cause = held.cause
     WHERE held.id = ANY(%s)
"""

_BOOK_HOLDS = """
    INSERT INTO accounts_creditentry
           (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
    SELECT held.user_id, held.id, 'hold', given.amount, -given.amount, given.amount, given.cause, 'reported late',
           statement_timestamp()
      FROM json_to_recordset(%s) AS given (hold_id bigint, amount numeric, cause text)
      JOIN accounts_credithold held ON held.id = given.hold_id
"""

_ENLARGE_HOLDS = """
    UPDATE accounts_credithold held SET amount = held.amount + given.amount
      FROM unnest(%s::bigint[], %s::numeric[]) AS given (hold_id, amount) WHERE held.id = given.hold_id
"""

_CHARGE_USERS = """
    UPDATE accounts_account paying SET balance = paying.balance - given.amount
      FROM (SELECT held.user_id, sum(given.amount) AS amount
              FROM unnest(%s::bigint[], %s::numeric[]) AS given (hold_id, amount)
              JOIN accounts_credithold held ON held.id = given.hold_id GROUP BY held.user_id) given
     WHERE paying.id = given.user_id
"""
