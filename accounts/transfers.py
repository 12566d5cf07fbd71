"""Move credits between an account and its departments.

This module writes balances and ledger entries like `accounts.credits`, by the same rules. It locks the two accounts in the
order of their ids, whichever of them gives, so two transfers in opposite directions cannot deadlock.
"""

import uuid
from dataclasses import dataclass
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import F

from accounts import audit, credits
from accounts.credits import InsufficientCredits
from accounts.models import Account, CreditEntry
from iris.errors import Conflict, InvalidInput

OUT, IN = ":out", ":in"


class NotRelated(Conflict):
    """Credits cannot move between these accounts."""

    default_code = "not_related"


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer:
    """The two entries of a transfer."""

    outgoing: CreditEntry
    incoming: CreditEntry


def transfer(
    *, source: Account, target: Account, amount: Decimal, cause: str | None = None, note: str = ""
) -> Transfer:
    """Move `amount` credits from an account to its department, or back. Without a cause, every call is a new transfer.

    If the cause was booked before, nothing is booked, and the first entries are returned. Raises InvalidInput (the amount is
    invalid, or the target would exceed MAX_AMOUNT), NotRelated (neither account is a department of the other),
    InsufficientCredits, and Conflict (the cause was booked before with another amount or between other accounts).
    """
    amount = credits.checked_amount(amount)
    if amount == 0:
        raise InvalidInput("The amount of a transfer must be greater than zero.")
    cause = cause or f"transfer:{uuid.uuid4()}"
    with transaction.atomic():
        wanted = Account.objects.filter(pk__in=(source.pk, target.pk)).order_by("pk")
        locked = {account.pk: account for account in wanted.select_for_update(no_key=True)}
        giver, taker = locked[source.pk], locked[target.pk]
        _check_related(giver, taker)
        if (done := _booked(cause)) is not None:
            if (done.outgoing.account_id, done.incoming.account_id) != (giver.pk, taker.pk) or (
                done.outgoing.amount != amount
            ):
                raise _booked_otherwise(cause)
            return done
        if giver.balance < amount:
            raise InsufficientCredits(
                f"The transfer needs {amount:f} credits, but {giver} has only {giver.balance:f}. Choose a smaller amount."
            )
        credits.check_room(account=taker, amount=amount)
        moved = _book(giver=giver, taker=taker, amount=amount, cause=cause, note=note)
        Account.objects.filter(pk=giver.pk).update(balance=F("balance") - amount)
        Account.objects.filter(pk=taker.pk).update(balance=F("balance") + amount)
        for action, entry in (("credits_sent", moved.outgoing), ("credits_received", moved.incoming)):
            audit.note_money(
                account=entry.account, action=action, amount=amount, cause=entry.cause, reason=entry.note
            )
    return moved


def _check_related(giver: Account, taker: Account) -> None:
    if giver.is_twin or taker.is_twin:
        raise NotRelated(
            "A test twin has credits for tests only, which cannot be transferred. Fill them up with POST /api/system/twin/."
        )
    if giver.parent_id != taker.pk and taker.parent_id != giver.pk:
        raise NotRelated("Credits can only be transferred between an account and its own departments.")


def _book(*, giver: Account, taker: Account, amount: Decimal, cause: str, note: str) -> Transfer:
    outgoing, incoming = (
        CreditEntry(
            kind=CreditEntry.Kind.TRANSFER,
            account=account,
            counterpart=other,
            amount=amount,
            balance_delta=delta,
            held_delta=Decimal(0),
            cause=f"{cause}{end}",
            note=(note or default)[:255],
        )
        for account, other, delta, end, default in (
            (giver, taker, -amount, OUT, f"To {taker}"),
            (taker, giver, amount, IN, f"From {giver}"),
        )
    )
    try:
        with transaction.atomic():
            CreditEntry.objects.bulk_create([outgoing, incoming])
    except IntegrityError as error:  # the same cause was booked at the same time, between other accounts
        raise _booked_otherwise(cause) from error
    return Transfer(outgoing=outgoing, incoming=incoming)


def _booked(cause: str) -> Transfer | None:
    entries = {
        entry.cause: entry
        for entry in CreditEntry.objects.filter(
            kind=CreditEntry.Kind.TRANSFER, cause__in=(cause + OUT, cause + IN)
        )
    }
    return Transfer(outgoing=entries[cause + OUT], incoming=entries[cause + IN]) if entries else None


def _booked_otherwise(cause: str) -> Conflict:
    return Conflict(
        f"Credits were already transferred for {cause}, with another amount or between other accounts.",
        code="transferred_differently",
    )
