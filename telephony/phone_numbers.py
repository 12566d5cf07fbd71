"""Phone numbers: buying, releasing, and which one a call comes from."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils import timezone

from accounts import credits
from accounts.models import User
from iris.errors import Conflict, NotFound
from telephony.engine.lifecycle import QUEUED
from telephony.models import Delivery, PhoneNumber


def buy_number(*, user: User, sid: str) -> PhoneNumber:
    """Make the number `sid` the user's and charge its rate, in credits.

    Two buyers at once: the conditional UPDATE makes one of them the owner, the other waits for that
    transaction and then finds the number taken. Charging comes after it in the same transaction, so whoever
    cannot pay does not get the number, and whoever does not get it does not pay.

    Raises NotFound (no such number, or it is somebody else's), Conflict (it is the user's own already) and
    InsufficientCredits.
    """
    with transaction.atomic():
        bought = PhoneNumber.objects.filter(sid=sid, owner__isnull=True).update(
            owner=user, bought_at=timezone.now()
        )
        if not bought:
            if PhoneNumber.objects.filter(sid=sid, owner=user).exists():
                raise Conflict("This phone number is already yours: there is no need to buy it again.")
            raise NotFound(
                "No phone number with this phone_sid is for sale. The list of phone numbers has all that are."
            )
        number = PhoneNumber.objects.get(sid=sid)
        # A number that was released can be bought again, and is paid for again: each purchase is a cause.
        credits.charge(
            user=user,
            amount=number.rate,
            cause=f"phone_number:{number.pk}:{uuid.uuid4().hex}",
            note=f"Phone number {number.number}",
        )
    return number


def release_number(*, user: User, sid: str) -> PhoneNumber:
    """Give the user's number `sid` back, for anybody to buy. Nothing is refunded, and what is queued comes from another
    number. Raises NotFound.
    """
    with transaction.atomic():
        if not PhoneNumber.objects.filter(sid=sid, owner=user).update(owner=None, bought_at=None):
            raise NotFound(
                "None of your phone numbers has this phone_sid. The list of owned numbers has all you own."
            )
        number = PhoneNumber.objects.get(sid=sid)
        # Whoever buys it next is not to be called back for these.
        queued = Delivery.objects.filter(owner=user, status=QUEUED, caller=number.number)
        locked = queued.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True)
        Delivery.objects.filter(pk__in=list(locked)).update(caller=caller_of(owner_id=user.pk))
        return number


def keeps(*, owner_id: int, number: str) -> bool:
    """Whether this number is the account's, and stays so until the present transaction is over."""
    owned = PhoneNumber.objects.select_for_update(no_key=True).filter(owner=owner_id, number=number)
    return owned.first() is not None


def caller_of(*, owner_id: int, wanted: str = "") -> str:
    """The number an account's calls and SMS come from: the one `wanted` as long as it is the account's, else its first;
    empty for the carrier's choice.
    """
    owned = PhoneNumber.objects.filter(owner=owner_id).order_by("pk").values_list("number", flat=True)
    return (owned.filter(number=wanted).first() if wanted else None) or owned.first() or ""
