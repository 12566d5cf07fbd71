"""The first page of an account, and the way to it."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from accounts import members
from accounts.models import User
from accounts.permissions import Permission
from campaigns.models import Campaign
from campaigns.reports import outcome_history, overview
from console import charts, live, vocabulary
from console.access import SEEN_ACCOUNT, page
from console.chart_images import SIZES
from console.errors import sentence_of
from console.periods import chosen_days
from console.render import render_page
from console.visits import ConsoleRequest
from iris.errors import InvalidInput
from telephony import inbox


@require_safe
@login_required
def start(request: HttpRequest) -> HttpResponse:
    """Go to the account that the person saw last, or else to the one that the person joined first."""
    accounts = [one for one in members.accounts_of(user=cast(User, request.user)) if not one.is_suspended]
    if not accounts:
        return redirect("signin-home")  # it says why
    seen = request.session.get(SEEN_ACCOUNT)
    chosen = next((account for account in accounts if account.pk == seen), accounts[0])
    return redirect("console:home", chosen.pk)


@page(Permission.VIEW)
def home(request: ConsoleRequest) -> HttpResponse:
    """Show what runs, what starts next, what did not work, the credits, and the outcomes of the chosen days."""
    account = request.visit.account
    running = overview.live_runs(account)
    context = {
        "running": [
            {"run": one.run, "percent": one.percent, "word": vocabulary.CAMPAIGN[one.run.status]}
            for one in running
        ],
        "next_runs": overview.next_runs(account),
        "shortfalls": overview.shortfalls(account),
        "most_counted": overview.MAX_COUNTED,
        "latest_messages": inbox.latest(account)[:5],
        "on_hold": overview.on_hold(account),
        "is_new": not running and not Campaign.objects.owned_by(account).exists(),
        "drafts": Campaign.objects.owned_by(account)
        .filter(draft=True, runs=None)
        .order_by("-updated_at")[:5],
        "polls": bool(running),
    }
    if live.is_update(request):
        return live.part(request, "console/home_live.html", context)
    return render_page(request, "console/home.html", {**context, **_history(request)})


def _history(request: ConsoleRequest) -> dict[str, Any]:
    """Return what the page shows of the outcomes of the chosen days. They are not live, so polling does not read them."""
    first, last = chosen_days(request)
    shown: dict[str, Any] = {
        "first": first,
        "last": last,
        "has_chosen_days": bool(request.GET.get("first") or request.GET.get("last")),
    }
    try:
        found = outcome_history.history(account=request.visit.account, first=first, last=last)
    except InvalidInput as error:
        return {**shown, "problem": sentence_of(error)}
    return {
        **shown,
        "legend": charts.totals(found),
        "charts": [charts.by_day(found), charts.by_hour(found)],
        "image_sizes": SIZES,
        "days": urlencode({"first": first, "last": last}),
    }
