"""Create deliveries that were lost, and report on them late."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts import credits
from accounts.ledger import check_ledger
from accounts.models import Account
from campaigns.models import Recipient, Run
from telephony.engine import lifecycle
from telephony.engine.lifecycle import Report
from telephony.models import Cause, Delivery, DeliveryStatus, LateReport
from tests.factories import make_account, make_campaign, make_delivery, make_delivery_of, make_hold, make_run

S = DeliveryStatus
PRICE = Decimal(3)


def lost(*, owner: Account | None = None, held: int = 3, balance: int = 0, **fields: Any) -> Delivery:
    """Create a delivery that was lost. Its hold is still open."""
    owner = owner or make_account(credits=held + balance)
    hold = fields.pop("hold", None) or make_hold(account=owner, amount=held)
    delivery = make_delivery(
        owner=owner, hold=hold, credit_limit=PRICE, status=S.SUBMITTED, ref="7", **fields
    )
    lifecycle.apply_reports([Report(id=delivery.pk, status=S.FAILED, at=None, cause=Cause.LOST)])
    return delivery


def late(delivery: Delivery, status: DeliveryStatus = S.COMPLETED, **fields: Any) -> int:
    cause = Cause.NONE if status == S.COMPLETED else Cause.REFUSED
    fields = {"cause": cause, "at": timezone.now(), "text": "word", **fields}
    return lifecycle.apply_reports([Report(id=delivery.pk, status=status, **fields)])


def close_hold(delivery: Delivery) -> None:
    assert delivery.hold_id is not None
    credits.release(hold_id=delivery.hold_id, cause=f"end:{delivery.pk}")


def booked(delivery: Delivery) -> tuple[Decimal, Decimal, Decimal]:
    row = LateReport.objects.get(delivery=delivery.pk)
    assert check_ledger().differences == ()
    return row.captured, row.charged, row.written_off


def run_with_lost(*, balance: int = 10, numbers: int = 2) -> tuple[Run, list[Delivery]]:
    """Create a filled run whose SMS, one credit each, were all lost."""
    owner = make_account(credits=balance + numbers)
    campaign = make_campaign(owner=owner, numbers=[9841000001 + n for n in range(numbers)])
    run = make_run(campaign=campaign, held=numbers, filled_at=timezone.now())
    deliveries = [
        make_delivery_of(run=run, recipient=person, status=S.SUBMITTED, ref=str(person.pk))
        for person in campaign.recipients.order_by("pk")
    ]
    lifecycle.apply_reports([Report(id=d.pk, status=S.FAILED, at=None, cause=Cause.LOST) for d in deliveries])
    return run, deliveries


def rerun(run: Run, status: DeliveryStatus, delivery: Delivery, **fields: Any) -> Delivery:
    """Create the SMS of a later run to the same recipient."""
    later = make_run(campaign=run.campaign, held=5)
    person = Recipient.objects.get(pk=delivery.item)
    again = make_delivery_of(run=later, recipient=person, status=S.SUBMITTED, **fields)
    if status >= S.COMPLETED:
        cause = "" if status == S.COMPLETED else Cause.REFUSED
        lifecycle.apply_reports([Report(id=again.pk, status=status, at=timezone.now(), cause=cause)])
    else:
        Delivery.objects.filter(pk=again.pk).update(status=status)
    return again


def person_of(delivery: Delivery) -> tuple[int | None, Decimal]:
    person = Recipient.objects.get(pk=delivery.item)
    return person.status, person.credits
