"""Who has heard an alert: the people of its calls, by whether they have pressed the key."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse

from accounts.permissions import Permission
from campaigns.models import AlertState
from campaigns.reports.hearing import Hearing, latest_hearing
from campaigns.runs.alerts import heard_rule
from console.access import page
from console.campaign_state import campaign_of, heard_counts
from console.paging import PAGE_SIZE, id_or_none
from console.render import render_page
from console.visits import ConsoleRequest
from console.vocabulary import HEARING


@page(Permission.VIEW)
def heard(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    """List people in the order of the run. `state` is a key of HEARING, `after` the id after which a page begins."""
    campaign = campaign_of(request.visit, campaign_id)
    hearing = latest_hearing(campaign)
    chosen, after = request.GET.get("state", ""), id_or_none(request.GET.get("after", ""))
    chosen = chosen if chosen in HEARING else ""
    context = {"campaign": campaign, "hearing": hearing, "chosen": chosen, "is_later_page": after is not None}
    if hearing is not None:
        context |= _people(hearing, chosen=chosen, after=after or 0)
    return render_page(request, "console/heard.html", context)


def _people(hearing: Hearing, *, chosen: str, after: int) -> dict[str, Any]:
    words = {state: word for states, word in HEARING.values() for state in states}
    rows = hearing.recipients(list(HEARING[chosen][0]) if chosen else None)
    shown = list(rows.filter(recipient__gt=after)[: PAGE_SIZE + 1])
    rule = heard_rule(hearing.run)
    household = None if rule is None else rule.household
    return {
        "states": heard_counts(hearing),
        "household": household,
        "people": [
            (one, words[AlertState(one.state)], one.recipient.tags.get(household or "", ""))
            for one in shown[:PAGE_SIZE]
        ],
        "after": shown[PAGE_SIZE - 1].recipient_id if len(shown) > PAGE_SIZE else None,
    }
