"""Filters for the list of campaigns in the v0 dialect. The v0 documentation has none."""

from __future__ import annotations

from django.db.models import QuerySet

from campaigns.api import campaign_filters
from campaigns.api.approval import AWAITING
from campaigns.api.v0.serializers import CAMPAIGN_STATUSES
from campaigns.models import Campaign, RunStatus
from iris.api.filters import SentFilter
from iris.api.lists import Words


class CampaignFilter(campaign_filters.CampaignFilter):
    status = SentFilter(
        Words({word.lower(): word for word in (*CAMPAIGN_STATUSES.values(), AWAITING)}), method="with_status"
    )

    def with_status(self, rows: QuerySet[Campaign], name: str, words: list[str]) -> QuerySet[Campaign]:
        meant = {status for status, word in CAMPAIGN_STATUSES.items() if word in words}
        # v0 shows a campaign that awaits approval as “Scheduled”. This word selects only those that await approval.
        if AWAITING in words:
            meant.add(RunStatus.AWAITING)
        return rows.filter(campaign_filters.has_run_status(meant))
