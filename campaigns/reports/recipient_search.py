"""Looking for some of a campaign's recipients: those with a status, a number, or values of tags.

A campaign may have a million recipients. An index of their numbers or tags would cost half of what the database does in the
import of a sheet, and one of every status would slow down each delivery that ends. So a search goes along the index of the
campaign's recipients, the newest first, and looks at one stretch of them, whatever it finds there. The next search goes on
from where that stretch ended. Recipients who were not reached are few, and have an index of their own: a search for some
of them skips all others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from django.db.models import Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.lookups import Exact

from campaigns.models import Campaign, Recipient
from campaigns.reports import states
from telephony.models import DeliveryStatus
from telephony.numbering import ParsedNumber

MAX_EXAMINED = 10_000  # recipients in one stretch: some milliseconds
MAX_DIGITS = 15  # as many as a float keeps
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """What is looked for; all of it must be true of a recipient. A status of None means “not started”."""

    statuses: frozenset[DeliveryStatus | None] | None = None
    number: ParsedNumber | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """`rows` are the recipients that were found, the newest first. `ends_at` is the id of the last one that was looked at;
    None after all of them.
    """

    rows: QuerySet[Recipient]
    ends_at: int | None


def search(campaign: Campaign, criteria: Criteria, *, before: int | None = None) -> Stretch:
    """Look at one stretch: the newest recipients whose ids are below `before`."""
    before = LARGEST_ID if before is None else before
    within = Recipient.objects.filter(campaign=campaign, pk__lt=before).order_by("-pk")
    if criteria.statuses is not None and states.are_stored_on_recipients(campaign, criteria.statuses):
        within = within.filter(status__gt=DeliveryStatus.COMPLETED)
    last = list(within.values_list("pk", flat=True)[MAX_EXAMINED - 1 : MAX_EXAMINED + 1])
    # Exactly as many as fit, or fewer: nothing is left to be looked at.
    ends_at = last[0] if len(last) == 2 else None
    rows = within if ends_at is None else within.filter(pk__gte=ends_at)
    if criteria.number is not None:
        rows = rows.filter(_has_number(criteria.number))
    for tag, value in criteria.tags.items():
        rows = rows.filter(_has_tag(tag, value))
    if criteria.statuses is not None:
        rows = rows.filter(states.has_status(campaign, criteria.statuses, ids=(ends_at or 0, before)))
    return Stretch(rows=rows, ends_at=ends_at)


def search_all(
    campaign: Campaign, criteria: Criteria, *, before: int | None = None
) -> Iterator[QuerySet[Recipient]]:
    """Look at all recipients whose ids are below `before`, the newest first, stretch by stretch."""
    while True:
        stretch = search(campaign, criteria, before=before)
        yield stretch.rows
        if (before := stretch.ends_at) is None:
            return


def _has_number(number: ParsedNumber) -> Q:
    """However it is written; a number that no country has must be written as it was sent."""
    return Q(to=number.to) if number.to else Q(to="", number=number.number)


def _has_tag(tag: str, value: str) -> Q:
    is_written_so = Q(Exact(KeyTextTransform(tag, "tags"), value))
    number = _number_or_none(value)
    return is_written_so if number is None else is_written_so | Q(tags__contains={tag: number})


def _number_or_none(text: str) -> float | None:
    """25 also finds the 25.0 that some sheets have."""
    try:
        number = float(text) if len(text) <= MAX_DIGITS else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
