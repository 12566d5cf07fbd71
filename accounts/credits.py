"""The only writer of money.

Every verb is one transaction that moves credits and appends the entry which says why. A cause names what the
credits were for ("run:17", "delivery:903"); the same verb with the same cause books nothing a second time, so
a doubled or late task is harmless.

Locks are taken in one order, hold rows (by id) before user rows, so no two of these verbs can deadlock.
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

from accounts.models import MONEY_DIGITS, MONEY_PLACES, CreditEntry, CreditHold, User
from iris.errors import Conflict, InvalidInput, NotFound, PaymentRequired

CENT = Decimal(1).scaleb(-MONEY_PLACES)
LARGEST = Decimal(10) ** (MONEY_DIGITS - MONEY_PLACES) - CENT


class InsufficientCredits(PaymentRequired):
    """The balance does not cover what was asked for; nothing has changed."""

    default_code = "insufficient_credits"


class HoldExceeded(Conflict):
    """More was to be captured than the hold has left; nothing has been booked."""

    default_code = "hold_exceeded"


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """What one delivered thing really cost, in credits, to be taken from the hold made for it."""

    hold_id: int
    amount: Decimal
    cause: str


def top_up(*, user: User, amount: Decimal, cause: str | None = None, note: str = "") -> CreditEntry:
    """Give `amount` credits to an account and return the entry; without a cause every call is a new top-up.

    Raises InvalidInput (an amount that is none, or more than an account can have) and Conflict (the same
    cause with another amount).
    """
    amount = _money(amount)
    if amount == 0:
        raise InvalidInput("A top-up needs an amount above zero.")
    with transaction.atomic():
        entry, new = _book(
            kind=CreditEntry.Kind.TOPUP,
            cause=cause or f"topup:{uuid.uuid4()}",
            user_id=user.pk,
            amount=amount,
            balance_delta=amount,
            note=note,
        )
        if new and not _move_balance(user=user, delta=amount):
            raise InvalidInput(f"An account cannot have more than {LARGEST:,} credits.")
    return entry


def charge(*, user: User, amount: Decimal, cause: str, note: str = "") -> CreditEntry | None:
    """Take `amount` credits for something bought outright and return the entry; a price of zero books none.

    Raises InsufficientCredits, and Conflict (the same cause with another amount or account).
    """
    amount = _money(amount)
    if amount == 0:
        return None
    with transaction.atomic():
        entry, new = _book(
            kind=CreditEntry.Kind.CHARGE,
            cause=cause,
            user_id=user.pk,
            amount=amount,
            balance_delta=-amount,
            note=note,
        )
        if new and not _move_balance(user=user, delta=-amount):
            raise _insufficient(user=user, amount=amount)
    return entry


def hold(*, user: User, amount: Decimal, cause: str) -> CreditHold:
    """Set aside `amount` credits, the upper bound of what something will cost.

    Raises InsufficientCredits, and Conflict (the same cause with another amount or account).
    """
    amount = _money(amount)
    with transaction.atomic():
        # The unique cause is claimed before any credit moves: whoever comes second waits here, then finds the
        # first.
        held, new = CreditHold.objects.get_or_create(cause=cause, defaults={"user": user, "amount": amount})
        if not new:
            if (held.user_id, held.amount) != (user.pk, amount):
                raise _other_amount(cause)
            return held
        if amount == 0:
            return held
        if not _move_balance(user=user, delta=-amount):
            raise _insufficient(user=user, amount=amount)
        _book(
            kind=CreditEntry.Kind.HOLD,
            cause=cause,
            user_id=user.pk,
            hold_id=held.pk,
            amount=amount,
            balance_delta=-amount,
            held_delta=amount,
        )
    return held


def capture_many(*, captures: Sequence[Capture]) -> Decimal:
    """Take what delivered things cost from their holds; returns the credits booked by this call.

    Three statements, however many captures. Amounts of zero and causes that were booked before are skipped.
    Raises HoldExceeded when a hold has not enough left, and NotFound when there is no such hold; then nothing
    is booked.
    """
    # By cause, the first one wins: which of two PostgreSQL would take is not said anywhere.
    wanted = {capture.cause: capture for capture in reversed(captures) if capture.amount != 0}.values()
    if not wanted:
        return Decimal(0)
    hold_ids = sorted({capture.hold_id for capture in wanted})
    # One JSON text is adapted and sent in half the time of three arrays.
    given = json.dumps([{"hold_id": c.hold_id, "amount": str(c.amount), "cause": c.cause} for c in wanted])
    with transaction.atomic(), connection.cursor() as cursor:
        # In id order, as everywhere. Locked before the entries are inserted, or two callers, each with a
        # cause that the other one also brings, could wait for each other.
        cursor.execute(_LOCK_HOLDS, [hold_ids])
        if cursor.rowcount != len(hold_ids):
            raise NotFound("Credits cannot be captured: the hold they should come from does not exist.")
        cursor.execute(_BOOK_CAPTURES, [timezone.now(), given])
        booked: dict[int, Decimal] = dict(cursor.fetchall())
        if booked:
            cursor.execute(_TAKE_FROM_HOLDS, [list(booked), list(booked.values())])
            if cursor.rowcount != len(booked):
                raise HoldExceeded("Credits cannot be captured: more than is left on hold would be taken.")
    return sum(booked.values(), Decimal(0))


def release(*, hold_id: int, keep: Decimal = Decimal(0), cause: str) -> Decimal:
    """Give back what is held and not captured, all but `keep` credits; returns what this call gave back.

    With `keep` 0 the hold is closed. What was captured is never given back. Repeating a release gives back
    nothing. Raises NotFound, and Conflict when the cause was used before for a release that kept more.
    """
    keep = _money(keep)
    with transaction.atomic():
        held = CreditHold.objects.select_for_update().filter(pk=hold_id).first()
        if held is None:
            raise NotFound("Credits cannot be released: there is no such hold.")
        excess = max(held.remaining - keep, Decimal(0))
        if excess:
            _, new = _book(
                kind=CreditEntry.Kind.RELEASE,
                cause=cause,
                user_id=held.user_id,
                hold_id=held.pk,
                amount=excess,
                balance_delta=excess,
                held_delta=-excess,
            )
            if not new:
                raise _other_amount(cause)
            held.released += excess
            # What comes back had left this balance before, so it cannot be too much for it.
            User.objects.filter(pk=held.user_id).update(balance=F("balance") + excess)
        if keep == 0 and held.closed_at is None:
            held.closed_at = timezone.now()
        held.save(update_fields=["released", "closed_at"])
    return excess


def release_many(*, causes: Mapping[int, str]) -> Decimal:
    """Close holds, `{hold id: cause}`, and give back what they have left; returns the credits given back.

    Five statements, however many holds. Holds that are closed already give back nothing.
    """
    if not causes:
        return Decimal(0)
    hold_ids = sorted(causes)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK_HOLDS, [hold_ids])
        # Accounts in id order too, since one call may pay several.
        cursor.execute(_LOCK_USERS_OF_HOLDS, [hold_ids])
        cursor.execute(_BOOK_RELEASES, [timezone.now(), hold_ids, [causes[pk] for pk in hold_ids]])
        released: defaultdict[int, Decimal] = defaultdict(Decimal)
        for user_id, amount in cursor.fetchall():
            released[user_id] += amount
        cursor.execute(_CLOSE_HOLDS, [timezone.now(), hold_ids])
        if released:
            cursor.execute(_PAY_USERS, [list(released), list(released.values())])
    return sum(released.values(), Decimal(0))


_LOCK_HOLDS = "SELECT id FROM accounts_credithold WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"

_LOCK_USERS_OF_HOLDS = """
    SELECT id FROM accounts_user WHERE id IN (SELECT user_id FROM accounts_credithold WHERE id = ANY(%s))
     ORDER BY id FOR NO KEY UPDATE
"""

_BOOK_RELEASES = """
    INSERT INTO accounts_creditentry
           (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
    SELECT held.user_id, held.id, 'release', held.amount - held.captured - held.released,
           held.amount - held.captured - held.released, held.captured + held.released - held.amount, given.cause, '', %s
      FROM unnest(%s::bigint[], %s::text[]) AS given (hold_id, cause)
      JOIN accounts_credithold held ON held.id = given.hold_id
     WHERE held.captured + held.released < held.amount
 RETURNING user_id, amount
"""

_CLOSE_HOLDS = """
    UPDATE accounts_credithold SET released = amount - captured, closed_at = coalesce(closed_at, %s) WHERE id = ANY(%s)
"""

_PAY_USERS = """
    UPDATE accounts_user paid SET balance = paid.balance + given.amount
      FROM unnest(%s::bigint[], %s::numeric[]) AS given (user_id, amount) WHERE paid.id = given.user_id
"""

_BOOK_CAPTURES = """
    WITH booked AS (
        INSERT INTO accounts_creditentry
               (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
        SELECT held.user_id, held.id, 'capture', given.amount, 0, -given.amount, given.cause, '', %s
          FROM json_to_recordset(%s) AS given (hold_id bigint, amount numeric, cause text)
          JOIN accounts_credithold held ON held.id = given.hold_id
            ON CONFLICT (kind, cause) DO NOTHING
     RETURNING hold_id, amount
    )
    SELECT hold_id, sum(amount) FROM booked GROUP BY hold_id
"""

# The last line is the CHECK of the table, asked beforehand: it refuses with a count, and not with an error.
_TAKE_FROM_HOLDS = """
    UPDATE accounts_credithold held SET captured = held.captured + taken.amount
      FROM unnest(%s::bigint[], %s::numeric[]) AS taken (hold_id, amount)
     WHERE held.id = taken.hold_id AND held.captured + held.released + taken.amount <= held.amount
"""


def _money(amount: Decimal) -> Decimal:
    """The amount, if it is one that the ledger can book: zero or more, no fraction of a hundredth."""
    try:
        exact = amount.quantize(CENT)
    except InvalidOperation:  # NaN, infinity, or more digits than any amount has
        exact = None
    if exact is None or exact != amount or not 0 <= exact <= LARGEST:
        raise InvalidInput(
            f"{amount} is no amount of credits: use a number from 0 to {LARGEST:,} with at most two decimals."
        )
    return exact


def _book(
    *, kind: CreditEntry.Kind, cause: str, user_id: int, amount: Decimal, **fields: Any
) -> tuple[CreditEntry, bool]:
    """Append an entry, unless its cause was booked before: then the first one and False."""
    fields = {"balance_delta": Decimal(0), "held_delta": Decimal(0), **fields}
    entry, new = CreditEntry.objects.get_or_create(
        kind=kind, cause=cause, defaults={"user_id": user_id, "amount": amount, **fields}
    )
    if not new and (entry.user_id, entry.amount) != (user_id, amount):
        raise _other_amount(cause)
    return entry, new


def _move_balance(*, user: User, delta: Decimal) -> bool:
    """Move the balance, unless it would leave its limits. Of two spenders, this UPDATE decides."""
    return bool(
        User.objects.filter(pk=user.pk, balance__gte=-delta, balance__lte=LARGEST - delta).update(
            balance=F("balance") + delta
        )
    )


def _insufficient(*, user: User, amount: Decimal) -> InsufficientCredits:
    balance = User.objects.values_list("balance", flat=True).get(pk=user.pk)
    return InsufficientCredits(
        f"This needs {amount:f} credits, but there are only {balance:f}. Top up the account and try again."
    )


def _other_amount(cause: str) -> Conflict:
    return Conflict(f"Credits were already booked for {cause}, with another amount or for another account.")
