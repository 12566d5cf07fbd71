"""Who has heard an alert. The documentation of the API has no such address."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.permissions import needs
from accounts.permissions import Permission
from campaigns.api.v0.lookups import campaign_of
from campaigns.models import AlertRecipient, AlertState
from campaigns.reports.hearing import latest_hearing
from campaigns.runs.alerts import heard_rule
from iris.api.envelope import success
from iris.api.fields import validated
from iris.api.lists import Words
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet
from iris.errors import NotFound

STATES = {
    AlertState.WAITING: "waiting",
    AlertState.DUE: "waiting",
    AlertState.CALLED: "called",
    AlertState.NOT_HEARD: "not heard",
    AlertState.HEARD: "heard",
    AlertState.SPARED: "spared",
    AlertState.STOPPED: "stopped",
}
_MEANINGS = {word: [state for state, its in STATES.items() if its == word] for word in STATES.values()}


class HearingQuery(serializers.Serializer[Any]):
    state = Words(_MEANINGS, required=False)


class HearingViewSet(V0ViewSet):
    @needs(Permission.VIEW)
    def retrieve(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        states = validated(HearingQuery(data=request.query_params)).get("state")
        hearing = latest_hearing(campaign)
        if hearing is None:
            raise NotFound(
                "No run of this campaign has asked whether people have heard. Begin an urgent run with “heard”.",
                code="no_alert",
            )
        chosen = None if states is None else [state for meant in states for state in meant]
        page = paginate(request, hearing.recipients(chosen))
        counts = dict.fromkeys(STATES.values(), 0)
        for state, count in hearing.counts.items():
            counts[STATES[state]] += count
        rule = heard_rule(hearing.run)
        household = None if rule is None else rule.household
        return success(
            {
                "run": hearing.run.pk,
                "recipients": hearing.run.recipient_count,
                "counts": counts,
                "numbers": [_number_json(one, household=household) for one in page.items],
                "pagination": page.pagination,
            }
        )


def _number_json(one: AlertRecipient, *, household: str | None) -> dict[str, Any]:
    shown = {
        "id": one.recipient_id,
        "number": one.recipient.number,
        "state": STATES[AlertState(one.state)],
        "heard_at": None
        if one.heard_at is None
        else timezone.localtime(one.heard_at).isoformat(timespec="seconds"),
    }
    return shown if household is None else {**shown, "household": one.recipient.tags.get(household)}
