"""The page of a campaign: its progress, why it does not move, and the buttons that change that."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts import actors
from accounts.permissions import Permission
from campaigns import runs, services
from campaigns.models import Campaign
from campaigns.runs.rehearsal import rehearse
from campaigns.surveys.figures import responses_to
from console import explanations
from console import live as updates
from console.access import page
from console.campaign_state import campaign_of, runs_of, state_of
from console.errors import sentence_of
from console.numerals import grouped
from console.render import render_page
from console.visits import ConsoleRequest
from console.vocabulary import OUTCOMES, RECIPIENT, SERVICES
from iris.errors import IrisError, NotFound
from iris.storable import storable
from telephony.models import DeliveryStatus

POST = ("POST",)
BOTH = ("GET", "HEAD", "POST")


@page(Permission.VIEW)
def show(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_of(request.visit, campaign_id)
    state = state_of(request.visit, campaign)
    context = {
        "campaign": campaign,
        "state": state,
        "explanations": explanations.of(state),
        "service": SERVICES[campaign.service],
        "runs": runs_of(campaign),
        "questions": responses_to(campaign),
    }
    return render_page(request, "console/campaign.html", context)


@page(Permission.VIEW)
def live(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    """Answer the part of the page that changes by itself."""
    campaign = campaign_of(request.visit, campaign_id)
    state = state_of(request.visit, campaign)
    context = {"campaign": campaign, "state": state, "explanations": explanations.of(state)}
    response = updates.part(request, "console/campaign_live.html", context)
    if request.htmx and not state.polls:
        response.headers["HX-Refresh"] = "true"  # it has just ended, and the rest of the page says so, too
    return response


@page(Permission.PREPARE, methods=POST)
def pause(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_of(request.visit, campaign_id)
    runs.pause(campaign=campaign)
    messages.success(request, _("The campaign is paused. Nothing is sent until you resume it."))
    return redirect("console:campaign", request.visit.account.pk, campaign.pk)


@page(Permission.SEND, methods=POST)
def resume(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_of(request.visit, campaign_id)
    runs.resume(campaign=campaign)
    messages.success(request, _("The campaign continues."))
    return redirect("console:campaign", request.visit.account.pk, campaign.pk)


@page(Permission.SEND, methods=POST)
def next_wave(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_of(request.visit, campaign_id)
    run = runs.next_wave(campaign=campaign)
    messages.success(request, _("Wave %(number)s begins.") % {"number": grouped(run.wave)})
    return redirect("console:campaign", request.visit.account.pk, campaign.pk)


@page(Permission.PREPARE, methods=BOTH)
def stop(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    """Ask once more, with what will happen, and stop the live run."""
    campaign = campaign_of(request.visit, campaign_id)
    state = state_of(request.visit, campaign)
    if request.method != "POST":
        if not state.may["stop"]:
            return redirect("console:campaign", request.visit.account.pk, campaign.pk)
        return render_page(request, "console/campaign_stop.html", {"campaign": campaign, "state": state})
    stopped = runs.stop(campaign=campaign)
    under_way = len(stopped.in_flight)
    sentence = _("The campaign is stopped. Nothing more is sent.")
    if under_way:
        sentence = _("The campaign is stopped. %(count)s were under way already and end by themselves.") % {
            "count": grouped(under_way)
        }
    messages.success(request, sentence)
    return redirect("console:campaign", request.visit.account.pk, campaign.pk)


@page(Permission.SEND, methods=BOTH)
def again(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    """Choose the outcomes of those who get it again, see what it costs, and begin that run."""
    campaign = campaign_of(request.visit, campaign_id)
    state = state_of(request.visit, campaign)
    counts = {status: state.figures.of(status) for status in OUTCOMES}
    sent = request.POST if request.method == "POST" else request.GET
    chosen = [status for status in OUTCOMES if status.name.lower() in sent.getlist("outcome")]
    if not chosen:
        chosen = [status for status in OUTCOMES if counts[status] and status != DeliveryStatus.COMPLETED]
    if request.method == "POST" and "begin" in request.POST:
        runs.begin(campaign=campaign, statuses=chosen)
        messages.success(request, _("The campaign runs again for those whom you chose."))
        return redirect("console:campaign", request.visit.account.pk, campaign.pk)
    rehearsal, problem = None, ""
    try:
        rehearsal = rehearse(campaign=campaign, statuses=chosen)
    except IrisError as error:
        problem = sentence_of(error)
    choices = [
        (status.name.lower(), RECIPIENT[status], counts[status], status in chosen)
        for status in OUTCOMES
        if counts[status]
    ]
    context = {
        "campaign": campaign,
        "state": state,
        "choices": choices,
        "rehearsal": rehearsal,
        "problem": problem,
        "action": explanations.action(campaign, 0 if rehearsal is None else rehearsal.recipients),
    }
    return render_page(request, "console/campaign_again.html", context)


@page(Permission.SEND, methods=POST)
def approve(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_of(request.visit, campaign_id)
    runs.approve(campaign=campaign, run_id=_run_id(request), by=actors.current())
    messages.success(request, _("You approved the campaign."))
    return redirect("console:campaign", request.visit.account.pk, campaign.pk)


@page(Permission.SEND, methods=POST)
def reject(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_of(request.visit, campaign_id)
    words = storable(request.POST.get("words", ""))[:300]
    runs.reject(campaign=campaign, run_id=_run_id(request), by=actors.current(), words=words)
    messages.success(
        request, _("You rejected the campaign. It does not start, and its credits are free again.")
    )
    return redirect("console:campaign", request.visit.account.pk, campaign.pk)


@page(Permission.PREPARE, methods=BOTH)
def delete(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    """Ask once more, and delete a campaign that is not live."""
    campaign: Campaign = campaign_of(request.visit, campaign_id)
    state = state_of(request.visit, campaign)
    if request.method != "POST" or not state.may["delete"]:
        return render_page(request, "console/campaign_delete.html", {"campaign": campaign, "state": state})
    services.delete_campaign(campaign=campaign)
    messages.success(request, _("“%(name)s” is deleted.") % {"name": campaign.name})
    return redirect("console:campaigns", request.visit.account.pk)


def _run_id(request: ConsoleRequest) -> int:
    sent = request.POST.get("run", "")
    if not (sent.isascii() and sent.isdecimal() and len(sent) < 19):
        raise NotFound("No run was named. Open the campaign again.")
    return int(sent)
