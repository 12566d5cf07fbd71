"""Measure the tags of recipients that the previous release has added without measuring them.

Each chunk is one transaction, and its progress is stored with the campaign. Until a campaign is measured, its price is
bounded by the number of characters (`tag_sizes.spoken_bounds`), so it can begin at once, with a larger hold.
"""

from __future__ import annotations

import time

from django.db import transaction
from django.db.models import QuerySet

from campaigns.models import Campaign, Recipient
from campaigns.tag_sizes import FIELDS, TagMeasurer, rows_at_once, tag_sizes_of
from telephony.engine import stalls
from telephony.engine.failpoints import failpoint

CHUNK = 5000  # recipients, fewer where their tags are long


def due() -> QuerySet[Campaign]:
    """Return the campaigns with recipients that are not measured."""
    return Campaign.objects.filter(measured=False, deleted_at__isnull=True).order_by("pk")


def measure_all(*, budget: float) -> bool:
    """Measure the campaigns that are due, until `budget` seconds have passed. Return whether any are left."""
    end = time.monotonic() + budget
    while (pk := due().values_list("pk", flat=True).first()) is not None:
        stalls.note_progress(stalls.BACKGROUND)
        measure_chunk(pk)
        if time.monotonic() >= end:
            return due().exists()
    return False


@transaction.atomic
def measure_chunk(campaign_id: int) -> None:
    """Measure the campaign's next recipients, and store the progress. Measuring a recipient twice changes nothing."""
    campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign_id)
    limit = min(CHUNK, rows_at_once(campaign))
    rows = list(
        Recipient.objects.filter(campaign=campaign, pk__gt=campaign.measured_to)
        .order_by("pk")
        .values_list("pk", "tags")[:limit]
    )
    sizes = TagMeasurer(campaign.tags, known=tag_sizes_of(campaign))
    known = set(campaign.tags)
    for _, tags in rows:
        sizes.add({tag: value for tag, value in tags.items() if tag in known and value is not None})
    sizes.store_in(campaign)
    if rows:
        campaign.measured_to = rows[-1][0]
    # All processes that add recipients lock the campaign first, so no recipient has been added since.
    campaign.measured = len(rows) < limit
    failpoint("measured")
    campaign.save(update_fields=["measured_to", "measured", *FIELDS])
