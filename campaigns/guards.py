"""What keeps a campaign from being changed or begun: a live run, or an import that is under way."""

from __future__ import annotations

from campaigns.models import LIVE, Campaign, ImportStatus, Run, SheetImport
from iris.errors import Conflict


def refuse_while_live(campaign: Campaign) -> None:
    """Raise Conflict while a run is running or waits for its time."""
    if Run.objects.filter(campaign_id=campaign.pk, status__in=LIVE).exists():
        raise Conflict(
            "This campaign is running or scheduled. Wait until it has completed, or stop it, before you change this.",
            code="campaign_live",
        )


def refuse_while_importing(campaign: Campaign) -> None:
    """Raise Conflict while a sheet is being imported in the background."""
    pending = SheetImport.objects.filter(campaign=campaign, status=ImportStatus.IMPORTING).first()
    if pending is not None:
        raise Conflict(
            f"The numbers of this campaign are still being imported: {pending.imported:,} so far. Try again in a"
            " while.",
            code="importing",
        )
