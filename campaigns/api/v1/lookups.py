"""Load the campaign, contact or survey that a request names, if it belongs to the account of the request."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from accounts.api.account import account_of
from campaigns.models import Campaign, Recipient, Survey
from iris.errors import NotFound


def campaign_of(request: Request, campaign_id: int) -> Any:
    """Return the campaign with this id and its `run_status`. Raises NotFound, also for another account's campaign."""
    campaign = (
        Campaign.objects.owned_by(account_of(request))
        .with_status()
        .with_approval()
        .with_left_out()
        .select_related("audio")
        .filter(pk=campaign_id)
        .first()
    )
    if campaign is None:
        raise NotFound(
            "You have no campaign with this id. The list of campaigns has all that you have.",
            code="no_such_campaign",
        )
    return campaign


def contact_of(request: Request, contact_id: int) -> Recipient:
    """Return the contact with this id and its campaign. Raises NotFound, also for another account's contact."""
    recipient = (
        Recipient.objects.owned_by(account_of(request))
        .select_related("campaign__audio")
        .filter(pk=contact_id)
        .first()
    )
    if recipient is None:
        raise NotFound(
            "You have no contact with this id. The list of a campaign's contacts has their ids.",
            code="no_such_contact",
        )
    return recipient


def survey_of(request: Request, survey_id: int) -> Survey:
    """Return the survey with this id, which differs from its campaign's id. Raises NotFound, also for another account's."""
    survey = (
        Survey.objects.filter(campaign__owner=account_of(request), campaign__deleted_at=None, pk=survey_id)
        .select_related("campaign")
        .first()
    )
    if survey is None:
        raise NotFound(
            "You have no survey with this id. The steps of a survey have it.", code="no_such_survey"
        )
    return survey
