"""What holds back a campaign or a number now. The documentation of the API has no such address."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.permissions import needs
from accounts.permissions import Permission
from campaigns.api.v0.lookups import campaign_of, recipient_of
from campaigns.api.v0.serializers import CAMPAIGN_STATUSES
from campaigns.api.words import RECIPIENT_STATUSES
from campaigns.reports import states, why
from campaigns.reports.why import Reason, Situation
from iris.api.envelope import success
from iris.api.viewsets import V0ViewSet


class WhyViewSet(V0ViewSet):
    @needs(Permission.VIEW)
    def campaign(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        situation = Situation(campaign)
        return success(
            {
                "status": CAMPAIGN_STATUSES[campaign.run_status],
                "queued": situation.queued,
                "under_way": situation.under_way,
                **_shown(situation),
            }
        )

    @needs(Permission.VIEW)
    def number(self, request: Request, number_id: int) -> Response:
        recipient = recipient_of(request, number_id)
        situation = Situation(recipient.campaign, recipient=recipient)
        (state,) = states.states_of(recipient.campaign, [recipient])
        return success({"status": RECIPIENT_STATUSES[state.status], **_shown(situation)})


def _shown(situation: Situation) -> dict[str, Any]:
    return {
        "run": None if situation.run is None else situation.run.pk,
        "reasons": [_reason_json(reason) for reason in why.reasons(situation)],
        "at": _moment(situation.now),
    }


def _reason_json(reason: Reason) -> dict[str, Any]:
    """Return a reason. Fields that say nothing about it are left out."""
    shown = {
        "code": str(reason.code),
        "message": reason.message,
        "count": reason.count,
        "trunk": reason.trunk,
        "since": _moment(reason.since),
        "until": _moment(reason.until),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else timezone.localtime(moment).isoformat(timespec="seconds")
