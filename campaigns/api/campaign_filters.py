"""What both dialects have in common in narrowing the list of campaigns."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q

from campaigns.api.words import SERVICES
from iris.api.fields import Day, EndOfDay, Text, Word, words_of
from iris.api.filters import FilterSet, SentFilter


class CampaignFilter(FilterSet):
    """By a part of the name, by what is sent, and by when they last changed. Each dialect adds its words for a status."""

    name = SentFilter(Text(), field_name="name", lookup_expr="icontains")
    search = SentFilter(Text(max_length=200), field_name="name", lookup_expr="icontains")
    services = SentFilter(Word(words_of(SERVICES, SERVICES)), field_name="service")
    from_date = SentFilter(Day(), field_name="updated_at", lookup_expr="gte")
    to_date = SentFilter(EndOfDay(), field_name="updated_at", lookup_expr="lt")


def has_run_status(statuses: Collection[str | None]) -> Q:
    """The condition that the latest run of a campaign has one of these statuses (`with_status`); None: it never ran."""
    never_run = Q(run_status__isnull=True) if None in statuses else Q()
    return Q(run_status__in=[status for status in statuses if status is not None]) | never_run
