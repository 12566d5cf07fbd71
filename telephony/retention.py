"""Forgetting calls and SMS that ended long ago. The ledger, opt-outs and what recipients came to are kept elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from telephony.models import FINAL, Delivery, InboundMessage, Purpose, SandboxMessage

CHUNK = 1000  # rows removed by one transaction


def ended_otps(before: datetime) -> QuerySet[Delivery]:
    """Deliveries of OTPs that ended before then."""
    return Delivery.objects.filter(purpose=Purpose.OTP, status__gte=FINAL, ended_at__lt=before)


def ended_of_batches(batches: Sequence[int]) -> QuerySet[Delivery]:
    """Deliveries of campaigns in these batches, which must be over."""
    return Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch__in=batches, status__gte=FINAL)


def old_sandbox_messages(before: datetime) -> QuerySet[SandboxMessage]:
    """What the sandbox's network took before then, and has nothing to report on any more."""
    return SandboxMessage.objects.filter(created_at__lt=before, report_at=None)


def old_inbound_messages(before: datetime) -> QuerySet[InboundMessage]:
    return InboundMessage.objects.filter(received_at__lt=before)


def remove(rows: QuerySet[Any], *, dry_run: bool) -> int:
    """Remove these rows and what hangs on them, chunk by chunk; how many, or how many there are."""
    if dry_run:
        return rows.count()
    removed = 0
    while chunk := list(rows.values_list("pk", flat=True)[:CHUNK]):
        with transaction.atomic():
            rows.model._default_manager.filter(pk__in=chunk).delete()
        removed += len(chunk)
    return removed
