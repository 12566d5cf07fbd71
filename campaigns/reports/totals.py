"""Compute sums over a campaign, and iterate over its recipients for reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from django.core.cache import cache
from django.db.models import Count, Sum
from django.db.models.functions import Left

from campaigns.models import Campaign, Recipient
from campaigns.tag_sizes import rows_at_once
from telephony.numbering import OPERATOR_PREFIX_LENGTH, Operator, operator_of

BATCH = 2_000  # maximum number of recipients in memory while a report is streamed
# The counts by operator are cached for CACHE_SECONDS if a campaign has at least this many numbers.
CACHE_ABOVE_NUMBERS, CACHE_SECONDS = 5_000, 60


def credits_of(campaign: Campaign) -> Decimal:
    """Return the credits that all runs of a campaign have captured so far. One query on the holds, not the recipients."""
    sums = campaign.runs.aggregate(sum=Sum("hold__captured"))
    return sums["sum"] or Decimal(0)


def operators_of(campaign: Campaign) -> dict[Operator, int]:
    """Return how many of a campaign's numbers are in each operator's network. Takes at most one query."""

    def count() -> dict[Operator, int]:
        counts: Counter[Operator] = Counter()
        rows = (
            Recipient.objects.filter(campaign=campaign)
            .order_by()
            .values_list(Left("to", OPERATOR_PREFIX_LENGTH))
            .annotate(Count("pk"))
        )
        for prefix, n in rows:
            counts[operator_of(prefix)] += n
        return dict(counts)

    if campaign.number_count < CACHE_ABOVE_NUMBERS:
        return count()
    key = f"operators:{campaign.pk}:{campaign.number_count}"
    counted: dict[Operator, int] = cache.get_or_set(key, count, CACHE_SECONDS) or {}
    return counted


def batches(campaign: Campaign, *, after: int = 0) -> Iterator[list[Recipient]]:
    """Yield all recipients with ids above `after` in batches, oldest first."""
    rows = Recipient.objects.filter(campaign=campaign).order_by("pk")
    last = after
    at_once = min(BATCH, rows_at_once(campaign))
    while batch := list(rows.filter(pk__gt=last)[:at_once]):
        yield batch
        last = batch[-1].pk
        if len(batch) < at_once:
            return
