"""The seed numbers of an account, and the SMS that are sent to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit, credits
from accounts.models import Account
from iris.errors import Conflict, InvalidInput, NotFound
from telephony import numbering
from telephony.engine.enqueue import DeliveryRequest, enqueue
from telephony.engine.lifecycle import Changed
from telephony.models import Delivery, Purpose, SeedNumber, SeedSms

MAX_NUMBERS = 5


def numbers_of(account_id: int) -> list[str]:
    """Return the seed numbers of an account, in the order in which they were given."""
    return list(SeedNumber.objects.filter(owner=account_id).order_by("pk").values_list("number", flat=True))


def set_numbers(*, account: Account, numbers: Sequence[object]) -> list[str]:
    """Replace the seed numbers of an account, and return them. Raises InvalidInput for a number that cannot exist."""
    if len(numbers) > MAX_NUMBERS:
        raise InvalidInput(
            f"An account can have {MAX_NUMBERS} seed numbers, and these are {len(numbers):,}. Remove some.",
            code="too_many_seed_numbers",
        )
    parsed = [numbering.parse(number) for number in numbers]
    for one in parsed:
        if not one.to:
            raise InvalidInput(
                f"{one.number} is not a valid phone number. Check its digits and its country code.",
                code="invalid_number",
            )
    chosen = list(dict.fromkeys(one.to for one in parsed))
    with transaction.atomic():
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)  # one change after the other
        before = numbers_of(account.pk)
        if before != chosen:
            SeedNumber.objects.filter(owner=account).delete()
            SeedNumber.objects.bulk_create([SeedNumber(owner=account, number=number) for number in chosen])
            # The audit log keeps no phone numbers of people.
            audit.note(
                account_id=account.pk, action="seed_numbers_changed", kind="account", object_id=account.pk,
                before=len(before), after=len(chosen),
            )  # fmt: skip
    return chosen


def item_of(batch: int, place: int) -> int:
    """Return the item of the delivery to the seed number at this place. No two batches have the same item."""
    return batch * MAX_NUMBERS + place


def sent_to(batch: int) -> dict[int, str]:
    """Return the seed numbers that have got the SMS of this batch, by their places at that time."""
    rows = Delivery.objects.filter(purpose=Purpose.SEED, batch=batch).values_list("item", "to")
    return {item - item_of(batch, 0): to for item, to in rows}


@transaction.atomic
def send(*, account: Account, request: DeliveryRequest) -> None:
    """Queue an SMS to a seed number, paid by a hold of its own. Raises InsufficientCredits."""
    hold = credits.hold(account=account, amount=request.credit_limit, cause=f"seed:{request.item}")
    for pk in enqueue(requests=[replace(request, hold_id=hold.pk)]):
        SeedSms.objects.create(delivery=pk, owner=account)


def release_ended_holds(sender: Any, changed: Sequence[Changed], **_: Any) -> None:
    """Release the unused credits of ended SMS to seed numbers. Receiver of `deliveries_changed`."""
    credits.release_many(
        causes={
            delivery.hold_id: f"seed:{delivery.item}"
            for delivery in changed
            if delivery.purpose == Purpose.SEED and delivery.is_final and delivery.hold_id
        }
    )


def sent_to_seeds(account: Account) -> QuerySet[SeedSms]:
    """Return the SMS to the account's seed numbers, the newest first."""
    return SeedSms.objects.filter(owner=account).order_by("-delivery")


def refuse_unknown(*, account: Account, delivery_id: int) -> None:
    """Raise NotFound if this is no SMS to a seed number of the account."""
    if not sent_to_seeds(account).filter(delivery=delivery_id).exists():
        raise NotFound(
            f"There is no SMS {delivery_id} to a seed number. The list of results has their ids.",
            code="no_such_seed_sms",
        )


@transaction.atomic
def tell(*, account: Account, delivery_id: int, arrived: bool) -> SeedSms:
    """Store whether an SMS to a seed number has arrived. People can correct themselves.

    Raises NotFound, and Conflict if the SMS was not sent yet.
    """
    refuse_unknown(account=account, delivery_id=delivery_id)
    row = SeedSms.objects.select_for_update().get(owner=account, delivery=delivery_id)
    if not Delivery.objects.filter(pk=delivery_id, submitted_at__isnull=False).exists():
        raise Conflict("This SMS was not sent, so it cannot have arrived or be missing.", code="not_sent")
    row.arrived, row.told_at = arrived, timezone.now()
    row.save(update_fields=["arrived", "told_at"])
    return row


def created_before(moment: datetime) -> QuerySet[SeedSms]:
    return SeedSms.objects.filter(created_at__lt=moment)
