"""Refuse changes to a campaign while it has a live run, and to a campaign or list while a sheet is being imported."""

from __future__ import annotations

from campaigns.models import LIVE, Audience, Campaign, ImportStatus, Run
from iris.errors import Conflict


def refuse_while_live(campaign: Campaign) -> None:
    """Raise Conflict if the campaign has a live run: awaiting approval, scheduled, running, paused or stopping."""
    if Run.objects.filter(campaign_id=campaign.pk, status__in=LIVE).exists():
        raise Conflict(
            "This campaign is running, scheduled or awaits approval. Wait until it has completed, or stop it, before you"
            " change this.",
            code="campaign_live",
        )


def refuse_while_importing(audience: Audience) -> None:
    """Raise Conflict if a sheet is being imported into the campaign or list in the background."""
    pending = audience.imports.filter(status=ImportStatus.IMPORTING).first()
    if pending is not None:
        kind = "campaign" if isinstance(audience, Campaign) else "list"
        raise Conflict(
            f"The numbers of this {kind} are still being imported: {pending.imported:,} so far. Try again in a"
            " while.",
            code="importing",
        )
