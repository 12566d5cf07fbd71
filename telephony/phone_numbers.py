"""Buy and release phone numbers, and invent those of test twins."""

from __future__ import annotations

import secrets
import uuid
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import credits
from accounts.models import Account
from iris.errors import Conflict, InvalidInput, NotFound
from telephony.inventory.states import forget_number
from telephony.models import PhoneNumber
from telephony.numbering import to_e164

# Numbers that begin like this look like mobile numbers of Nepal, but were assigned to no operator.
INVENTED_PREFIX = "99"
INVENTED_OWNED, INVENTED_FOR_SALE = 1, 5
INVENTED_RATE = Decimal(40)


def buy_number(*, account: Account, sid: str) -> PhoneNumber:
    """Assign the number `sid` to the account and charge its rate in credits.

    If two accounts buy at once, the conditional UPDATE makes one of them the owner; the other waits for that transaction
    and then finds the number taken. The charge is in the same transaction: an account that cannot pay does not get the
    number, and an account that does not get it does not pay.

    Raises NotFound (unknown number, or another account's), Conflict (already the account's own) and InsufficientCredits.
    """
    with transaction.atomic():
        bought = (
            PhoneNumber.objects.for_sale_to(account)
            .filter(sid=sid)
            .update(owner=account, bought_at=timezone.now(), is_reserved=False, reserved_for=None)
        )
        if not bought:
            if PhoneNumber.objects.filter(sid=sid, owner=account).exists():
                raise Conflict(
                    "This phone number is already yours. You do not need to buy it again.",
                    code="already_yours",
                )
            raise NotFound(
                "No phone number with this phone_sid is for sale. See the list of phone numbers.",
                code="not_for_sale",
            )
        number = PhoneNumber.objects.get(sid=sid)
        # A released number can be bought and charged again, so the charge of each purchase has its own cause.
        credits.charge(
            account=account,
            amount=number.rate,
            cause=f"phone_number:{number.pk}:{uuid.uuid4().hex}",
            note=f"Phone number {number.number}",
        )
    return number


def release_number(*, account: Account, sid: str) -> PhoneNumber:
    """Release the account's number `sid`, so that any account can buy it. Nothing is refunded.

    The account's queued deliveries get another caller number, and its approval as a sender ends. Raises NotFound.
    """
    with transaction.atomic():
        if not PhoneNumber.objects.filter(sid=sid, owner=account).update(owner=None, bought_at=None):
            raise NotFound(
                "None of your phone numbers has this phone_sid. See the list of owned numbers.",
                code="no_such_phone_number",
            )
        number = PhoneNumber.objects.get(sid=sid)
        forget_number(account_id=account.pk, number=number.number, reason="The number was released.")
        return number


def invent_numbers(sender: Any, twin: Account, **_: Any) -> None:
    """Give a new test twin phone numbers: INVENTED_OWNED that it owns, and INVENTED_FOR_SALE that it can buy.

    Receiver of `twin_opened`.
    """
    wanted = INVENTED_OWNED + INVENTED_FOR_SALE
    while missing := wanted - twin.invented_numbers.count():
        PhoneNumber.objects.bulk_create(
            [
                PhoneNumber(
                    number=f"{INVENTED_PREFIX}{secrets.randbelow(10**8):08}",
                    sid=secrets.token_hex(16),
                    rate=INVENTED_RATE,
                    friendly_name="Test number",
                    invented_for=twin,
                )
                for _ in range(missing)
            ],
            ignore_conflicts=True,  # a number that exists already
        )
    owned = twin.invented_numbers.order_by("pk").values_list("pk", flat=True)[:INVENTED_OWNED]
    PhoneNumber.objects.filter(pk__in=list(owned)).update(owner=twin, bought_at=timezone.now())


def owned_number(account: Account, number: str) -> str:
    """Return the account's phone number as it is stored, however it is written here. Raises InvalidInput."""
    asked = to_e164(number) or number
    for owned in PhoneNumber.objects.filter(owner=account).values_list("number", flat=True):
        if (to_e164(owned) or owned) == asked:
            return owned
    raise InvalidInput(
        "This is none of your phone numbers. The list of owned phone numbers has them.",
        code="no_such_phone_number",
    )


def lock_if_owned(*, owner_id: int, number: str) -> bool:
    """Return whether the account owns this number. If so, the number stays owned until the current transaction ends."""
    owned = PhoneNumber.objects.select_for_update(no_key=True).filter(owner=owner_id, number=number)
    return owned.first() is not None
