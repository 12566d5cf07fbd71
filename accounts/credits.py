"""Move credits. Only this module, `late_captures` and `transfers` write balances, holds and ledger entries.

Every public function that moves credits is one transaction, and appends a ledger entry with its cause. The cause
identifies the reason of the movement ("run:17", "delivery:903"). A function that is called again with the same cause
books nothing, so a duplicate or late task is harmless.

All functions lock hold rows (by id) before account rows (by id), so no two of them can deadlock.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from accounts import audit
from accounts.models import MONEY_DIGITS, MONEY_PLACES, Account, CreditEntry, CreditHold
from iris.errors import Conflict, InvalidInput, NotFound, PaymentRequired

CENT = Decimal(1).scaleb(-MONEY_PLACES)
MAX_AMOUNT = Decimal(10) ** (MONEY_DIGITS - MONEY_PLACES) - CENT


class InsufficientCredits(PaymentRequired):
    """The balance is smaller than the requested amount. Nothing was booked."""

    default_code = "insufficient_credits"


class HoldExceeded(Conflict):
    """A capture is larger than the remaining amount of its hold. Nothing was booked."""

    default_code = "hold_exceeded"


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """The final price of one delivery, in credits, to be taken from the hold of its run."""

    hold_id: int
    amount: Decimal
    cause: str


def top_up(*, account: Account, amount: Decimal, cause: str | None = None, note: str = "") -> CreditEntry:
    """Add `amount` credits to an account and return the entry. Without a cause, every call is a new top-up.

    Raises InvalidInput (the amount is invalid, or the balance and open holds would exceed MAX_AMOUNT) and Conflict (the
    cause was booked before with another amount or account).
    """
    amount = checked_amount(amount)
    if amount == 0:
        raise InvalidInput("The amount of a top-up must be greater than zero.")
    with transaction.atomic():
        entry, new = _book(
            kind=CreditEntry.Kind.TOPUP,
            cause=cause or f"topup:{uuid.uuid4()}",
            account_id=account.pk,
            amount=amount,
            balance_delta=amount,
            note=note,
        )
        if new:
            # No hold can be made or released before this transaction ends, because both write the account's row.
            Account.objects.select_for_update(no_key=True).get(pk=account.pk)
            check_room(account=account, amount=amount)
            _move_balance(account=account, delta=amount)
            audit.note_money(
                account=account, action="credits_added", amount=amount, cause=entry.cause, reason=note
            )
    return entry


def check_room(*, account: Account, amount: Decimal) -> None:
    """Raise InvalidInput if `amount` more credits would make the balance plus the open holds exceed MAX_AMOUNT.

    Open holds count, because their credits may return to the balance.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT balance + (SELECT coalesce(sum(amount - captured - released), 0)
                                   FROM accounts_credithold WHERE user_id = %(account)s AND closed_at IS NULL)
                 FROM accounts_account WHERE id = %(account)s""",
            {"account": account.pk},
        )
        (total,) = cursor.fetchone()
    if total + amount > MAX_AMOUNT:
        raise InvalidInput(
            f"An account cannot have more than {MAX_AMOUNT:,} credits, including held credits.",
            code="balance_too_large",
        )


def charge(*, account: Account, amount: Decimal, cause: str, note: str = "") -> CreditEntry | None:
    """Take `amount` credits for an immediate purchase and return the entry. A price of zero books no entry.

    Raises InsufficientCredits, and Conflict (the cause was booked before with another amount or account).
    """
    amount = checked_amount(amount)
    if amount == 0:
        return None
    with transaction.atomic():
        entry, new = _book(
            kind=CreditEntry.Kind.CHARGE,
            cause=cause,
            account_id=account.pk,
            amount=amount,
            balance_delta=-amount,
            note=note,
        )
        if new and not _move_balance(account=account, delta=-amount):
            raise _insufficient(account=account, amount=amount)
        if new:
            audit.note_money(
                account=account, action="credits_charged", amount=amount, cause=cause, reason=note
            )
    return entry


def hold(*, account: Account, amount: Decimal, cause: str) -> CreditHold:
    """Reserve `amount` credits, the upper bound of a price that is known only later. Return the hold.

    Raises InsufficientCredits, and Conflict (the cause was booked before with another amount or account).
    """
    amount = checked_amount(amount)
    with transaction.atomic():
        # Insert the unique cause before any credit moves: a concurrent call with the same cause waits here and then
        # finds the hold of the first call.
        held, new = CreditHold.objects.get_or_create(
            cause=cause, defaults={"account": account, "amount": amount}
        )
        if not new:
            if (held.account_id, held.amount) != (account.pk, amount):
                raise _conflicting_booking(cause)
            return held
        if amount == 0:
            return held
        if not _move_balance(account=account, delta=-amount):
            raise _insufficient(account=account, amount=amount)
        _book(
            kind=CreditEntry.Kind.HOLD,
            cause=cause,
            account_id=account.pk,
            hold_id=held.pk,
            amount=amount,
            balance_delta=-amount,
            held_delta=amount,
        )
    return held


def lock_holds(hold_ids: Sequence[int]) -> None:
    """Lock holds until the end of the transaction.

    Call it before two calls that each lock some of these holds, so that the locks are still taken in id order.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK_HOLDS, [sorted(set(hold_ids))])


def capture_many(*, captures: Sequence[Capture]) -> Decimal:
    """Take the final prices of deliveries from their holds. Return the credits that this call booked.

    Executes three statements for any number of captures. Skips amounts of zero and causes that were booked
    before. Raises HoldExceeded if a hold has too few credits left, and NotFound if a hold does not exist. Then nothing
    is booked.
    """
    # If two captures have the same cause, the first one wins. PostgreSQL does not define which of them it would insert.
    wanted = {capture.cause: capture for capture in reversed(captures) if capture.amount != 0}.values()
    if not wanted:
        return Decimal(0)
    hold_ids = sorted({capture.hold_id for capture in wanted})
    # psycopg adapts and sends one JSON text in half the time of three arrays.
    given = json.dumps([{"hold_id": c.hold_id, "amount": str(c.amount), "cause": c.cause} for c in wanted])
    with transaction.atomic(), connection.cursor() as cursor:
        # Lock the holds in id order before inserting entries. Otherwise two calls that share causes could deadlock.
        cursor.execute(LOCK_HOLDS, [hold_ids])
        if cursor.rowcount != len(hold_ids):
            raise NotFound("Credits cannot be captured: the hold does not exist.")
        cursor.execute(_BOOK_CAPTURES, [given])
        booked: dict[int, Decimal] = dict(cursor.fetchall())
        if booked:
            cursor.execute(_TAKE_FROM_HOLDS, [list(booked), list(booked.values())])
            if cursor.rowcount != len(booked):
                raise HoldExceeded("Credits cannot be captured: the hold does not have enough credits left.")
    return sum(booked.values(), Decimal(0))


def release(*, hold_id: int, keep: Decimal = Decimal(0), cause: str) -> Decimal:
    """Return the remaining credits of a hold to the account, except `keep`. Return the credits released by this call.

    With `keep` 0 the hold is closed. Captured credits are never returned. Repeating a release releases nothing.
    Raises NotFound. Raises Conflict if this cause has released credits before, and the hold has more than `keep` left.
    """
    keep = checked_amount(keep)
    with transaction.atomic():
        held = CreditHold.objects.select_for_update().filter(pk=hold_id).first()
        if held is None:
            raise NotFound("Credits cannot be released: the hold does not exist.")
        excess = max(held.remaining - keep, Decimal(0))
        if excess:
            _, new = _book(
                kind=CreditEntry.Kind.RELEASE,
                cause=cause,
                account_id=held.account_id,
                hold_id=held.pk,
                amount=excess,
                balance_delta=excess,
                held_delta=-excess,
            )
            if not new:
                raise _conflicting_booking(cause)
            held.released += excess
            # The sum cannot exceed MAX_AMOUNT, because top-ups leave room for the credits of open holds.
            Account.objects.filter(pk=held.account_id).update(balance=F("balance") + excess)
        if keep == 0 and held.closed_at is None:
            held.closed_at = timezone.now()
        held.save(update_fields=["released", "closed_at"])
    return excess


def release_many(*, causes: Mapping[int, str]) -> Decimal:
    """Close holds, given as `{hold id: cause}`, and return their remaining credits to the accounts.

    Returns the credits released by this call. Executes five statements for any number of holds. Holds
    that are already closed release nothing.
    """
    if not causes:
        return Decimal(0)
    hold_ids = sorted(causes)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK_HOLDS, [hold_ids])
        # Lock the accounts in id order as well, because one call may pay several of them.
        cursor.execute(LOCK_ACCOUNTS_OF_HOLDS, [hold_ids])
        cursor.execute(_BOOK_RELEASES, [hold_ids, [causes[pk] for pk in hold_ids]])
        released: defaultdict[int, Decimal] = defaultdict(Decimal)
        for account_id, amount in cursor.fetchall():
            released[account_id] += amount
        cursor.execute(_CLOSE_HOLDS, [hold_ids])
        if released:
            cursor.execute(_PAY_ACCOUNTS, [list(released), list(released.values())])
    return sum(released.values(), Decimal(0))


LOCK_HOLDS = "SELECT id FROM accounts_credithold WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"

LOCK_ACCOUNTS_OF_HOLDS = """
    SELECT id FROM accounts_account WHERE id IN (SELECT user_id FROM accounts_credithold WHERE id = ANY(%s))
     ORDER BY id FOR NO KEY UPDATE
"""

_BOOK_RELEASES = """
    INSERT INTO accounts_creditentry
           (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
    SELECT held.user_id, held.id, 'release', held.amount - held.captured - held.released,
           held.amount - held.captured - held.released, held.captured + held.released - held.amount, given.cause, '',
           statement_timestamp()
      FROM unnest(%s::bigint[], %s::text[]) AS given (hold_id, cause)
      JOIN accounts_credithold held ON held.id = given.hold_id
     WHERE held.captured + held.released < held.amount
 RETURNING user_id, amount
"""

_CLOSE_HOLDS = """
    UPDATE accounts_credithold SET released = amount - captured, closed_at = coalesce(closed_at, statement_timestamp())
     WHERE id = ANY(%s)"""

_PAY_ACCOUNTS = """
    UPDATE accounts_account paid SET balance = paid.balance + given.amount
      FROM unnest(%s::bigint[], %s::numeric[]) AS given (user_id, amount) WHERE paid.id = given.user_id
"""

_BOOK_CAPTURES = """
    WITH booked AS (
        INSERT INTO accounts_creditentry
               (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
        SELECT held.user_id, held.id, 'capture', given.amount, 0, -given.amount, given.cause, '', statement_timestamp()
          FROM json_to_recordset(%s) AS given (hold_id bigint, amount numeric, cause text)
          JOIN accounts_credithold held ON held.id = given.hold_id
            ON CONFLICT (kind, cause) DO NOTHING
     RETURNING hold_id, amount
    )
    SELECT hold_id, sum(amount) FROM booked GROUP BY hold_id
"""

# The last line repeats the table's CHECK constraint, so that an exceeded hold lowers the row count instead of raising
# an IntegrityError.
_TAKE_FROM_HOLDS = """
    UPDATE accounts_credithold held SET captured = held.captured + taken.amount
      FROM unnest(%s::bigint[], %s::numeric[]) AS taken (hold_id, amount)
     WHERE held.id = taken.hold_id AND held.captured + held.released + taken.amount <= held.amount
"""


def checked_amount(amount: Decimal) -> Decimal:
    """Return the amount with two decimals. Raises InvalidInput unless it is from 0 to MAX_AMOUNT, in whole cents."""
    try:
        exact = amount.quantize(CENT)
    except InvalidOperation:  # NaN, infinity, or more digits than any amount has
        exact = None
    if exact is None or exact != amount or not 0 <= exact <= MAX_AMOUNT:
        raise InvalidInput(
            f"{amount} is not an amount of credits: use a number from 0 to {MAX_AMOUNT:,} with at most two decimals."
        )
    return exact


def _book(
    *, kind: CreditEntry.Kind, cause: str, account_id: int, amount: Decimal, **fields: Any
) -> tuple[CreditEntry, bool]:
    """Append an entry and return it with True. If its cause was booked before, return the existing entry and False.

    Raises Conflict if the existing entry has another amount or account.
    """
    fields = {"balance_delta": Decimal(0), "held_delta": Decimal(0), **fields}
    entry, new = CreditEntry.objects.get_or_create(
        kind=kind, cause=cause, defaults={"account_id": account_id, "amount": amount, **fields}
    )
    if not new and (entry.account_id, entry.amount) != (account_id, amount):
        raise _conflicting_booking(cause)
    return entry, new


def _move_balance(*, account: Account, delta: Decimal) -> bool:
    """Add `delta` to the balance. Return False if the balance would leave its limits.

    The conditional UPDATE makes the check atomic, so two concurrent callers cannot spend the same credits.
    """
    return bool(
        Account.objects.filter(pk=account.pk, balance__gte=-delta, balance__lte=MAX_AMOUNT - delta).update(
            balance=F("balance") + delta
        )
    )


def _insufficient(*, account: Account, amount: Decimal) -> InsufficientCredits:
    balance = Account.objects.values_list("balance", flat=True).get(pk=account.pk)
    return InsufficientCredits(
        f"This needs {amount:f} credits, but there are only {balance:f}. Top up the account and try again."
    )


def _conflicting_booking(cause: str) -> Conflict:
    return Conflict(f"Credits were already booked for {cause}, with another amount or for another account.")
