"""Remove all recipients of a campaign that has never run, to begin its list again."""

from __future__ import annotations

from django.db import transaction

from campaigns.guards import refuse_while_importing, refuse_while_live
from campaigns.models import Campaign, Recipient
from campaigns.tag_sizes import FIELDS, TagMeasurer
from iris.errors import Conflict


class HasRun(Conflict):
    """The campaign was run, so its recipients explain what was sent."""

    default_code = "has_run"


def remove_all_recipients(*, campaign: Campaign) -> int:
    """Remove all recipients and tags of a campaign, and return how many recipients there were.

    Raises HasRun, and Conflict while a run is live or a sheet is being imported.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        refuse_while_live(campaign)
        refuse_while_importing(campaign)
        if campaign.runs.exists():
            raise HasRun(
                "This campaign has been run, so its list of people is kept. Create another campaign."
            )
        rows = Recipient.objects.filter(campaign=campaign)
        removed = rows._raw_delete(rows.db)  # without a run, nothing refers to the rows
        campaign.number_count, campaign.tags = 0, []
        TagMeasurer([]).store_in(campaign)
        campaign.save(update_fields=["number_count", "tags", "updated_at", *FIELDS])
    return int(removed)
