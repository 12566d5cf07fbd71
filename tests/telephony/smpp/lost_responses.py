"""SMS whose submit responses were lost, and binds in which they can be resent."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.utils import timezone

from telephony.carriers import get_carrier
from telephony.carriers.base import CarrierEvent, Submission, Unknown
from telephony.carriers.smpp import resends
from telephony.engine import delivery_reports, lifecycle
from telephony.models import Bind, Cause, Delivery, DeliveryStatus, Trunk
from tests.factories import make_delivery
from tests.telephony.smpp.carriers import sms

S = DeliveryStatus
LONG = "क" * 150
OFF = "+9779841009924"


def unanswered(trunk: Trunk, *, seconds: float = 200, **fields: Any) -> Delivery:
    """Create an SMS that was claimed `seconds` ago and got no response."""
    delivery = make_delivery(trunk=trunk, status=S.SUBMITTING, attempts=1, **fields)
    lifecycle.apply_results([Unknown(key=str(delivery.pk))], report_timeout=3600)
    Delivery.objects.filter(pk=delivery.pk).update(claimed_at=timezone.now() - timedelta(seconds=seconds))
    return delivery


def bound(trunk: Trunk, *, seconds: float, until: float = 0) -> None:
    """Note a bind of `seconds` that ended `until` seconds ago, with all receipts stored and numbers in them."""
    resends.note_bound(trunk.alias, at=time.monotonic() - until, seconds=seconds)
    Bind.objects.update(tells_numbers=True)


def report(
    number: str, status: DeliveryStatus = S.COMPLETED, text: str = "", *, ref: str = "strange"
) -> None:
    cause = Cause.NONE if status == S.COMPLETED else Cause.REFUSED
    event = CarrierEvent(ref=ref, number=number, status=status, cause=cause, text=text, at=timezone.now())
    delivery_reports.apply_events("smsc", [event])


def status(delivery: Delivery) -> int:
    return Delivery.objects.values_list("status", flat=True).get(pk=delivery.pk)


def configure(settings: Any, **options: Any) -> None:
    settings.CARRIERS["smsc"]["OPTIONS"] |= options
    get_carrier.cache_clear()


def claimed_resend(trunk: Trunk, *, to: str, text: str = "Namaste") -> Submission:
    """Create a resend as `look_up_unknown` and the next claim leave it."""
    delivery = make_delivery(
        trunk=trunk,
        to=to,
        text=text,
        status=S.SUBMITTING,
        attempts=2,
        claimed_at=timezone.now(),
        pinned_since=timezone.now() - timedelta(seconds=200),
    )
    return sms(delivery.pk, to=to, text=text, attempt=2)
