"""Delete calls and SMS that ended long ago. This does not touch the ledger, opt-outs and the results of recipients."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from iris.progress import Advance, silent
from telephony.models import FINAL, Delivery, InboundMessage, Purpose, SeedSms

CHUNK = 1000  # rows per transaction
OF_RUNS = (Purpose.CAMPAIGN, Purpose.SEED)


def ended_otps(before: datetime) -> QuerySet[Delivery]:
    """Return OTP deliveries that ended before this time."""
    return Delivery.objects.filter(purpose=Purpose.OTP, status__gte=FINAL, ended_at__lt=before)


def ended_campaign_deliveries(batches: Sequence[int]) -> QuerySet[Delivery]:
    """Return finished deliveries of these batches to recipients and to seed numbers. Their runs must be over."""
    return Delivery.objects.filter(purpose__in=OF_RUNS, batch__in=batches, status__gte=FINAL)


def old_seed_sms(before: datetime) -> QuerySet[SeedSms]:
    """Return what is known about SMS to seed numbers that were queued before this time."""
    return SeedSms.objects.filter(created_at__lt=before)


def old_inbound_messages(before: datetime) -> QuerySet[InboundMessage]:
    """Return inbound SMS received before this time."""
    return InboundMessage.objects.filter(received_at__lt=before)


def remove_in_chunks(rows: QuerySet[Any], *, dry_run: bool, advance: Advance = silent) -> int:
    """Delete these rows and everything that depends on them, in chunks. Return their number; a dry run only counts.

    `advance` is called after each chunk with the number of rows in it.
    """
    if dry_run:
        return rows.count()
    removed = 0
    while chunk := list(rows.values_list("pk", flat=True)[:CHUNK]):
        with transaction.atomic():
            # Only the ids: Django reads the rows first if others depend on them, and most of a delivery is its text.
            rows.model._default_manager.filter(pk__in=chunk).only("pk").delete()
        removed += len(chunk)
        advance(len(chunk))
    return removed
