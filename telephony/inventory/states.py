"""Assign, reserve, offer and retire phone numbers. Each function changes all of the given numbers, or none of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from django.db import transaction
from django.db.models.functions import Right
from django.utils import timezone

from accounts.models import Account
from iris.errors import Conflict, InvalidInput, NotFound
from telephony.caller_id import choose_caller
from telephony.inventory.signals import numbers_retired
from telephony.models import Delivery, PhoneNumber
from telephony.models.numbers import ENDING, NumberState
from telephony.models.statuses import QUEUED
from telephony.numbering import to_e164
from telephony.senders.decisions import end_approvals_of_number

MAX_AT_ONCE = 10_000
SHOWN = 10  # maximum number of phone numbers in an error message
RETIRED = "The operator has withdrawn the number."


def find_numbers(texts: Iterable[str]) -> list[int]:
    """Return the ids of these numbers, which an operator may write in any spelling. Raises NotFound."""
    wanted = {to_e164(text) or text.strip(): text for text in texts}
    endings = {written[-ENDING:] for written in wanted}
    if len(wanted) > MAX_AT_ONCE:
        raise InvalidInput(f"These are {len(wanted):,} numbers. Name at most {MAX_AT_ONCE:,} at once.")
    known = {
        to_e164(number) or number: pk
        for pk, number in PhoneNumber.objects.annotate(ending=Right("number", ENDING))
        .filter(ending__in=endings)
        .values_list("pk", "number")
    }
    if missing := [text for written, text in wanted.items() if written not in known]:
        raise NotFound(f"These numbers are not in the inventory: {_named(missing)}. Import them first.")
    return [known[written] for written in wanted]


@transaction.atomic
def assign(ids: Collection[int], *, account: Account) -> int:
    """Give numbers to an account without charge; return how many. Raises Conflict for sold and for retired numbers."""
    rows = _locked(ids)
    _refuse(rows, NumberState.RETIRED, "retired. Offer them again first")
    others = [row for row in rows if row.owner_id not in (None, account.pk)]
    _refuse(others, NumberState.SOLD, "sold to other accounts. Retire them first")
    if account.is_twin or any(row.invented_for_id is not None for row in rows):
        raise Conflict("The numbers of test twins are invented, and other accounts have real ones.")
    free = [row.pk for row in rows if row.owner_id is None]
    return PhoneNumber.objects.filter(pk__in=free).update(
        owner=account, bought_at=timezone.now(), is_reserved=False, reserved_for=None
    )


@transaction.atomic
def reserve(ids: Collection[int], *, account: Account | None = None) -> int:
    """Withdraw numbers from sale, or reserve them for one account that can buy them; return how many.

    Raises Conflict for sold and for retired numbers.
    """
    rows = _locked(ids)
    _refuse(rows, NumberState.SOLD, "sold")
    _refuse(rows, NumberState.RETIRED, "retired. Offer them again first")
    if account is not None and account.is_twin:
        raise Conflict("A test twin cannot have a real number.")
    return PhoneNumber.objects.filter(pk__in=[row.pk for row in rows]).update(
        is_reserved=True, reserved_for=account
    )


@transaction.atomic
def offer(ids: Collection[int]) -> int:
    """Offer reserved and retired numbers for sale again; return how many. Raises Conflict for sold numbers."""
    rows = _locked(ids)
    _refuse(rows, NumberState.SOLD, "sold")
    return PhoneNumber.objects.filter(pk__in=[row.pk for row in rows]).update(
        is_reserved=False, reserved_for=None, retired_at=None
    )


@transaction.atomic
def retire(ids: Collection[int]) -> int:
    """Withdraw numbers that this server can no longer show; return how many. Nothing is refunded.

    Their accounts lose the numbers. Queued calls and SMS get another caller number. Runs that use a retired number are
    paused (`numbers_retired`), so that their owners decide how to continue. The approval of the numbers as senders ends.
    """
    rows = [row for row in _locked(ids) if row.state is not NumberState.RETIRED]
    PhoneNumber.objects.filter(pk__in=[row.pk for row in rows]).update(
        retired_at=timezone.now(), owner=None, bought_at=None, is_reserved=False, reserved_for=None
    )
    taken = [(row.owner_id, row.number) for row in rows if row.owner_id is not None]
    for account_id, number in taken:
        forget_number(account_id=account_id, number=number, reason=RETIRED)
    if taken:
        numbers_retired.send(sender=PhoneNumber, taken=taken)
    return len(rows)


def forget_number(*, account_id: int, number: str, reason: str) -> None:
    """Remove a number that an account no longer has from its queued calls and SMS. Call this in a transaction.

    Otherwise people would call back the next owner of the number.
    """
    queued = Delivery.objects.filter(owner=account_id, status=QUEUED, caller=number)
    locked = queued.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True)
    if ids := list(locked):
        Delivery.objects.filter(pk__in=ids).update(caller=choose_caller(owner_id=account_id))
    end_approvals_of_number(account_id=account_id, number=number, reason=reason)


def _locked(ids: Collection[int]) -> list[PhoneNumber]:
    return list(PhoneNumber.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk"))


def _refuse(rows: Sequence[PhoneNumber], state: NumberState, because: str) -> None:
    """Raise Conflict if one of the numbers is in this state."""
    if wrong := [row.number for row in rows if row.state is state]:
        raise Conflict(f"Nothing has changed, because these numbers are {because}: {_named(wrong)}.")


def _named(numbers: Sequence[str]) -> str:
    more = f" and {len(numbers) - SHOWN:,} others" if len(numbers) > SHOWN else ""
    return ", ".join(numbers[:SHOWN]) + more
