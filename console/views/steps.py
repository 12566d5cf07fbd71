"""The steps of a new campaign: what it is, when it begins, and the review. Each step stores what was typed in a draft."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from accounts.permissions import Permission, check
from campaigns import runs, services
from campaigns.guards import refuse_while_live
from campaigns.models import Campaign, RunStatus, Service
from campaigns.runs.rehearsal import rehearse
from campaigns.runs.rules import chosen_rules
from campaigns.runs.urgent import UrgentRule
from console import explanations
from console.access import page
from console.campaign_state import campaign_of
from console.errors import sentence_of
from console.forms import WhatForm, WhenForm
from console.previews import preview_of
from console.reaching_rules import campaign_rules
from console.render import render_page
from console.urgent_form import UrgentForm
from console.visits import ConsoleRequest
from console.vocabulary import RECIPIENT, SERVICES
from console.words_of_rules import sentences_of
from iris.errors import InvalidInput, IrisError
from telephony.models import DeliveryStatus

BOTH = ("GET", "HEAD", "POST")
STEPS: tuple[tuple[str, Promise], ...] = (
    ("step-what", pgettext_lazy("step", "What")),
    ("step-message", pgettext_lazy("step", "Message")),
    ("step-people", pgettext_lazy("step", "People")),
    ("step-when", pgettext_lazy("step", "When")),
    ("step-review", pgettext_lazy("step", "Review")),
)
NEXT = dict(zip([name for name, _title in STEPS], [name for name, _title in STEPS[1:]], strict=False))


@page(Permission.PREPARE, methods=BOTH)
def new(request: ConsoleRequest) -> HttpResponse:
    """Begin a campaign: the first step, after which it is a draft."""
    form = WhatForm(request.POST or None, initial={"service": Service.CALL.value})
    if request.method == "POST" and form.is_valid():
        created = services.create_campaign(
            account=request.visit.account,
            name=form.cleaned_data["name"],
            service=Service(form.cleaned_data["service"]),
            description=form.cleaned_data["description"],
            draft=True,
        )
        return redirect("console:step-message", request.visit.account.pk, created.campaign.pk)
    return render_page(
        request, "console/step_what.html", {"form": form, **step_context("step-what", campaign=None)}
    )


@page(Permission.PREPARE, methods=BOTH)
def what(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    campaign = editable(request, campaign_id)
    stored = {"name": campaign.name, "service": campaign.service, "description": campaign.description}
    form = WhatForm(request.POST or None, initial=stored)
    if request.method == "POST" and form.is_valid():
        services.update_campaign(
            campaign=campaign,
            name=form.cleaned_data["name"],
            service=Service(form.cleaned_data["service"]),
            description=form.cleaned_data["description"],
        )
        return go_on(request, campaign, "step-what")
    context = {"form": form, **step_context("step-what", campaign=campaign)}
    return render_page(request, "console/step_what.html", context)


@page(Permission.PREPARE, methods=BOTH)
def when(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    campaign = editable(request, campaign_id)
    at = None if campaign.schedule_at is None else timezone.localtime(campaign.schedule_at)
    is_future = campaign.schedule_at is not None and campaign.schedule_at > timezone.now()
    stored = {
        "begin": "later" if is_future else "now",
        "day": at.date() if at is not None and is_future else None,
        "time": at.time() if at is not None and is_future else None,
        "follow_up": [str(status) for status in campaign.failover_statuses],
        "spending_limit": campaign.spending_limit,
    }
    form = WhenForm(request.POST or None, initial=stored, campaign=campaign)
    rules = campaign_rules(request.POST or None, campaign=campaign)
    are_valid = [form.is_valid(), rules.is_valid()]
    if request.method == "POST" and all(are_valid):
        services.update_campaign(
            campaign=campaign,
            schedule_at=form.cleaned_data["schedule_at"],
            failover_statuses=[DeliveryStatus(int(one)) for one in form.cleaned_data.get("follow_up", [])],
            spending_limit=form.cleaned_data["spending_limit"],
            **rules.changes(),
        )
        return go_on(request, campaign, "step-when")
    context = {"form": form, "rules": rules, **step_context("step-when", campaign=campaign)}
    return render_page(request, "console/step_when.html", context)


@page(Permission.PREPARE, methods=BOTH)
def review(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    """Show everything once more, with the credits that will be on hold, and begin. With `count`, only show it again."""
    campaign = editable(request, campaign_id)
    starts_at = campaign.schedule_at
    is_past = starts_at is not None and starts_at <= timezone.now()
    urgent_form, problem, rehearsal = _urgent_form(request, campaign), "", None
    is_valid = urgent_form is None or not urgent_form.is_bound or urgent_form.is_valid()
    urgent = None if urgent_form is None or not is_valid else urgent_form.rule
    begins = request.method == "POST" and "count" not in request.POST and request.visit.may_send
    try:
        if begins and is_valid and not is_past:
            return _begin(request, campaign, starts_at=starts_at, urgent=urgent)
        if is_valid and not is_past:
            rehearsal = rehearse(campaign=campaign, starts_at=starts_at, urgent=urgent)
    except InvalidInput as error:
        problem = sentence_of(error)
    except IrisError as error:
        if begins:
            raise
        problem = sentence_of(error)
    count = campaign.number_count if rehearsal is None else rehearsal.recipients
    context = {
        "service": SERVICES[campaign.service],
        "follow_up": [RECIPIENT[status].label for status in campaign.failover_statuses],
        "rules": sentences_of(chosen_rules(campaign, urgent=urgent)),
        "urgent_form": urgent_form,
        "rehearsal": rehearsal,
        "problem": problem,
        "is_past": is_past,
        "action": explanations.action(campaign, count),
        "preview": preview_of(campaign),
        **step_context("step-review", campaign=campaign),
    }
    return render_page(request, "console/step_review.html", context)


def _urgent_form(request: ConsoleRequest, campaign: Campaign) -> UrgentForm | None:
    """Return the form for people who may begin urgent campaigns. Raises MissingPermission if others send it."""
    if request.POST.get("urgent"):
        check(request.visit.granted, Permission.URGENT)
    if not request.visit.may(Permission.URGENT):
        return None
    return UrgentForm(request.POST or None, campaign=campaign)


def _begin(
    request: ConsoleRequest, campaign: Campaign, *, starts_at: datetime | None, urgent: UrgentRule | None
) -> HttpResponse:
    run = runs.begin(campaign=campaign, starts_at=starts_at, urgent=urgent)
    sentences = {
        RunStatus.AWAITING: _("The campaign waits for the approval of a second person."),
        RunStatus.SCHEDULED: _("The campaign is scheduled. It begins by itself."),
    }
    messages.success(request, sentences.get(RunStatus(run.status), _("The campaign has begun.")))
    return redirect("console:campaign", request.visit.account.pk, campaign.pk)


def editable(request: ConsoleRequest, campaign_id: int) -> Campaign:
    """Return a campaign whose steps can be changed. Raises NotFound, and Conflict while a run is live."""
    campaign = campaign_of(request.visit, campaign_id)
    refuse_while_live(campaign)
    return campaign


def go_on(request: ConsoleRequest, campaign: Campaign, step: str) -> HttpResponse:
    """Go to the step after this one, or back to the campaign if the person chose to continue later."""
    target = "campaign" if "later" in request.POST else NEXT[step]
    return redirect(f"console:{target}", request.visit.account.pk, campaign.pk)


def step_context(step: str, *, campaign: Campaign | None) -> dict[str, Any]:
    """Return what the templates of all steps need. Without a campaign, only the first step can be opened."""
    names = [name for name, _title in STEPS]
    return {
        "campaign": campaign,
        "steps": STEPS,
        "step": step,
        "place": names.index(step) + 1,
        "is_editing": True,
    }
