"""Filters for the list of campaigns that both dialects share."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q

from campaigns.api.words import SERVICES
from iris.api.fields import Day, EndOfDay, Text, Word, words_of
from iris.api.filters import FilterSet, SentFilter


class CampaignFilter(FilterSet):
    """Filters campaigns by name, service and last change. Each dialect adds a filter for its status words."""

    name = SentFilter(Text(), field_name="name", lookup_expr="icontains")
    search = SentFilter(Text(max_length=200), field_name="name", lookup_expr="icontains")
    services = SentFilter(Word(words_of(SERVICES, SERVICES)), field_name="service")
    from_date = SentFilter(Day(), field_name="updated_at", lookup_expr="gte")
    to_date = SentFilter(EndOfDay(), field_name="updated_at", lookup_expr="lt")


def has_run_status(statuses: Collection[str | None]) -> Q:
    """Return the condition that `run_status` (see `with_status`) is one of these. None means that it never ran."""
    never_run = Q(run_status__isnull=True) if None in statuses else Q()
    return Q(run_status__in=[status for status in statuses if status is not None]) | never_run
