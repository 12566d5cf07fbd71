"""Filters and orders for lists of campaigns and survey templates in the v1 dialect."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from campaigns.api import campaign_filters
from campaigns.api.approval import AWAITING
from campaigns.api.v1.fields import Flag, Services
from campaigns.api.v1.words import CAMPAIGN_STATUSES, OFFERED
from campaigns.models import Campaign, RunStatus, SurveyTemplate, TemplateStep
from iris.api.fields import Text, Word
from iris.api.filters import FilterSet, SentFilter

LATEST_FIRST = "-updated_at"


class CampaignStatus(Word):
    """A status. The published client sends the name of its constant: CampaignStatus.NOT_STARTED for “Not Started”."""

    def to_internal_value(self, data: Any) -> Any:
        if data.startswith("CampaignStatus."):
            data = data.removeprefix("CampaignStatus.").replace("_", " ")
        return super().to_internal_value(data)


class CampaignFilter(campaign_filters.CampaignFilter):
    """Filters campaigns. A list has either drafts or all other campaigns; by default it has no drafts."""

    status = SentFilter(
        CampaignStatus({word: word for word in (*CAMPAIGN_STATUSES.values(), AWAITING)}), method="with_status"
    )
    services = SentFilter(Services(OFFERED), field_name="service")
    draft = SentFilter(Flag(), field_name="draft")
    sort_by = SentFilter(
        Word({"asc": "updated_at", "des": LATEST_FIRST, "desc": LATEST_FIRST}), method="in_order"
    )

    @classmethod
    def unfiltered(cls, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(draft=False)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        rows = super().filter_queryset(queryset)
        return self.unfiltered(rows) if self.form.cleaned_data["draft"] is None else rows

    def with_status(self, rows: QuerySet[Campaign], name: str, word: str) -> QuerySet[Campaign]:
        meant = {status for status, its in CAMPAIGN_STATUSES.items() if its == word}
        # v1 shows a campaign that awaits approval as “Scheduled”. This word selects only those that await approval.
        if word == AWAITING:
            meant.add(RunStatus.AWAITING)
        return rows.filter(campaign_filters.has_run_status(meant))

    def in_order(self, rows: QuerySet[Campaign], name: str, order: str) -> QuerySet[Campaign]:
        return rows.order_by(order, "-pk" if order == LATEST_FIRST else "pk")


class TemplateFilter(FilterSet):
    search = SentFilter(Text(), method="with_text")

    def with_text(self, rows: QuerySet[SurveyTemplate], name: str, text: str) -> QuerySet[SurveyTemplate]:
        """Filter templates with the text in their name, in a step's text or in the name of its input."""
        in_content = TemplateStep.objects.filter(
            Q(text__icontains=text) | Q(input_name__icontains=text), template=OuterRef("pk")
        )
        return rows.filter(Q(name__icontains=text) | Exists(in_content))
