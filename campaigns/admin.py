"""Show campaigns, recipients and runs to operators. The pages are read-only, because only owners change campaigns."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from campaigns.models import Campaign, Recipient, Run
from telephony.admin import ReadOnlyAdmin


@admin.register(Campaign)
class CampaignAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "name", "owner", "service", "run_status", "number_count", "created_at", "deleted_at",
    )  # fmt: skip
    list_filter = ("service",)
    list_select_related = ("owner",)
    search_fields = ("=id", "name", "owner__members__user__email")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        return Campaign.objects.with_status()

    @admin.display(description="latest run")
    def run_status(self, campaign: Any) -> Any:
        return campaign.run_status


@admin.register(Recipient)
class RecipientAdmin(ReadOnlyAdmin):
    list_display = ("id", "campaign", "number", "to", "status", "seconds", "playback", "credits")
    list_filter = ("status",)
    list_select_related = ("campaign",)
    search_fields = ("=id", "=campaign__id")
    search_help_text = "The id of a recipient or of its campaign"


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "campaign", "status", "pause_reason", "source", "recipient_count", "hold", "starts_at", "finished_at",
    )  # fmt: skip
    list_filter = ("status", "source")
    list_select_related = ("campaign", "hold")
    search_fields = ("=id", "=campaign__id", "campaign__owner__members__user__email")
    # `individual` may contain 100,000 ids, and a page that lists them would not open. `narrowed_to` shows only how many ids
    # and statuses there are.
    exclude = ("individual", "statuses")
    readonly_fields = ("narrowed_to",)

    @admin.display(description="narrowed to")
    def narrowed_to(self, run: Run) -> str:
        chosen = [] if run.individual is None else [f"{len(run.individual):,} chosen recipients"]
        chosen += [] if run.statuses is None else [f"{len(run.statuses)} statuses"]
        return ", ".join(chosen) or "everybody"
