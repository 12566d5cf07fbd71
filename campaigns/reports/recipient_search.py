"""Search a campaign's recipients by status, number or tag values.

A campaign can have a million recipients. An index of their numbers or tags would add half to the database's work in an
import, and an index of every status would slow down each delivery that ends. Therefore a search walks along the index
of the campaign's recipients, newest first, and examines one stretch of them, no matter how many match. The next search
continues where that stretch ended. Recipients who were not reached are few and have a partial index, so a search for
them skips all others.
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

MAX_EXAMINED = 10_000  # recipients in one stretch; examining them takes a few milliseconds
MAX_DIGITS = 15  # decimal digits that a float represents exactly
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """The conditions of a search. A recipient must meet all of them. A status of None means “not started”."""

    statuses: frozenset[DeliveryStatus | None] | None = None
    number: ParsedNumber | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The result of examining one stretch.

    `rows` are the matching recipients, newest first. `ends_at` is the id of the last examined recipient, None at the end.
    """

    rows: QuerySet[Recipient]
    ends_at: int | None


def search(campaign: Campaign, criteria: Criteria, *, before: int | None = None) -> Stretch:
    """Examine one stretch: the newest recipients with ids below `before`, or the newest of all if it is None."""
    before = LARGEST_ID if before is None else before
    within = Recipient.objects.filter(campaign=campaign, pk__lt=before).order_by("-pk")
    if criteria.statuses is not None and states.are_stored_on_recipients(campaign, criteria.statuses):
        within = within.filter(status__gt=DeliveryStatus.COMPLETED)
    last = list(within.values_list("pk", flat=True)[MAX_EXAMINED - 1 : MAX_EXAMINED + 1])
    # With at most MAX_EXAMINED rows left, this is the last stretch.
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
    """Examine all recipients with ids below `before`, newest first, and yield the matches stretch by stretch."""
    while True:
        stretch = search(campaign, criteria, before=before)
        yield stretch.rows
        if (before := stretch.ends_at) is None:
            return


def _has_number(number: ParsedNumber) -> Q:
    """Match a number in any spelling. A number that is valid in no country must be spelled as it was sent."""
    return Q(to=number.to) if number.to else Q(to="", number=number.number)


def _has_tag(tag: str, value: str) -> Q:
    is_written_so = Q(Exact(KeyTextTransform(tag, "tags"), value))
    number = _number_or_none(value)
    return is_written_so if number is None else is_written_so | Q(tags__contains={tag: number})


def _number_or_none(text: str) -> float | None:
    """Return the text as a number, so that 25 also matches the 25.0 of some sheets. None if it is not a finite number."""
    try:
        number = float(text) if len(text) <= MAX_DIGITS else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
