"""The list of campaigns."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpResponse

from accounts.permissions import Permission
from campaigns.models import Campaign, RunStatus
from campaigns.reports.progress import percent_done
from console import live, vocabulary
from console.access import page
from console.render import render_page
from console.visits import ConsoleRequest
from console.vocabulary import Stage
from iris.storable import storable

PAGE_SIZE = 25
# The filter of the list: what people look for, and the statuses of the latest run that it means.
GROUPS: dict[str, Q] = {
    "drafts": Q(run_status=None, draft=True),
    "waiting": Q(run_status__in=[RunStatus.AWAITING, RunStatus.SCHEDULED]) | Q(run_status=None, draft=False),
    "running": Q(run_status__in=[RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.STOPPING]),
    "ended": Q(run_status__in=[RunStatus.COMPLETED, RunStatus.TERMINATED]),
}


@page(Permission.VIEW)
def campaigns(request: ConsoleRequest) -> HttpResponse:
    """List the campaigns, newest first. `q` searches their names, `show` names one of GROUPS, `before` begins a page."""
    words, group, before = (request.GET.get(name, "").strip() for name in ("q", "show", "before"))
    rows: Any = Campaign.objects.owned_by(request.visit.account).with_status().order_by("-pk")
    if words:
        rows = rows.filter(name__icontains=storable(words[:100]))
    if group in GROUPS:
        rows = rows.filter(GROUPS[group])
    if before.isascii() and before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    shown = list(rows[: PAGE_SIZE + 1])
    more = len(shown) > PAGE_SIZE
    shown = shown[:PAGE_SIZE]
    percents = percent_done({one.pk: one.run_status for one in shown})
    listed = [
        {
            "campaign": one,
            "word": vocabulary.campaign_word(one, one.run_status),
            "service": vocabulary.SERVICES[one.service],
            "percent": percents[one.pk],
            "is_moving": one.run_status in (RunStatus.RUNNING, RunStatus.PAUSED),
            "is_draft": vocabulary.campaign_key(one, one.run_status) == Stage.DRAFT,
        }
        for one in shown
    ]
    context = {
        "listed": listed,
        "words": words,
        "group": group if group in GROUPS else "",
        "before": shown[-1].pk if more else None,
        "is_later_page": bool(before),
        "polls": any(one["is_moving"] for one in listed),
    }
    if live.is_update(request):
        return live.part(request, "console/campaigns_live.html", context)
    return render_page(request, "console/campaigns.html", context)
