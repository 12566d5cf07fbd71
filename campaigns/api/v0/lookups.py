"""Load the campaign or number that a request names, if it belongs to the account of the request."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from accounts.api.account import account_of
from campaigns.models import Campaign, Recipient
from iris.errors import NotFound


def campaign_of(request: Request, campaign_id: int) -> Any:
    """Return the campaign with this id and its `run_status`. Raises NotFound, also for another account's campaign."""
    campaign = (
        Campaign.objects.owned_by(account_of(request))
        .with_status()
        .with_approval()
        .with_left_out()
        .filter(pk=campaign_id)
        .first()
    )
    if campaign is None:
        raise NotFound(
            "You have no campaign with this id. The list of campaigns has all that you have.",
            code="no_such_campaign",
        )
    return campaign


def recipient_of(request: Request, number_id: int) -> Recipient:
    """Return the recipient with this id and its campaign. Raises NotFound, also for another account's recipient."""
    recipient = (
        Recipient.objects.owned_by(account_of(request))
        .select_related("campaign")
        .filter(pk=number_id)
        .first()
    )
    if recipient is None:
        raise NotFound(
            "You have no number with this id. The list of a campaign's numbers has the ids.",
            code="no_such_number",
        )
    return recipient
