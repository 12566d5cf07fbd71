"""The step with the words: text, voice, recording, and what people will read and hear."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib.messages import success
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.api.throttles import TrialThrottle
from accounts.permissions import Permission
from campaigns import services, text_templates
from campaigns.messages import spell_tags
from campaigns.models import Campaign, Service, Source, TextTemplate
from console.access import page
from console.errors import sentence_of
from console.forms import AS_TEMPLATE, SPEEDS, MessageForm
from console.paging import id_or_none
from console.previews import preview_of, problem_of, sms_size
from console.render import render_page, render_part
from console.surveys import SurveyForm
from console.views.steps import BOTH, editable, go_on, step_context
from console.visits import ConsoleRequest
from iris.errors import IrisError, Throttled
from iris.storable import storable
from telephony import speech
from telephony.media import recording_path
from telephony.speech import audio as recordings
from telephony.speech import trials

SHOWN_TEMPLATES = 200


@page(Permission.PREPARE, methods=BOTH)
def message(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    campaign = editable(request, campaign_id)
    if campaign.service == Service.SURVEY:
        return _questions(request, campaign)
    form = MessageForm(
        request.POST or None, request.FILES or None, initial=_stored(campaign), campaign=campaign
    )
    if request.method == "POST" and form.is_valid():
        try:
            fields = _fields(form.cleaned_data, tags=campaign.tags)
            changed = services.update_campaign(campaign=campaign, **fields)
            if AS_TEMPLATE in request.POST:
                return _save_as_template(request, changed, name=form.cleaned_data["new_template"])
        except IrisError as error:
            form.add_error(None, sentence_of(error))
        else:
            return go_on(request, campaign, "step-message")
    text = form["message"].value() or ""
    context = {
        "form": form,
        "tags": campaign.tags,
        "templates": list(
            TextTemplate.objects.owned_by(request.visit.account).order_by("-pk")[:SHOWN_TEMPLATES]
        ),
        "is_changed": text_templates.is_changed(campaign),
        **_checked(campaign, text, form["sms_message"].value() if "sms_message" in form.fields else None),
        **step_context("step-message", campaign=campaign),
    }
    return render_page(request, "console/step_message.html", context)


@page(Permission.PREPARE, methods=("POST",))
def use_template(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    """Put the words of a template into the campaign."""
    campaign = editable(request, campaign_id)
    chosen = id_or_none(request.POST.get("template", "")) or 0
    template = text_templates.find_template(account=request.visit.account, pk=chosen)
    changed = text_templates.use_template(campaign=campaign, version=text_templates.find_version(template))
    services.spell_tags_as_columns(campaign=changed)
    return redirect("console:step-message", request.visit.account.pk, campaign.pk)


@page(Permission.PREPARE, methods=("POST",))
def check(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    """Answer what the text that is being typed would be: segments, problems, and what one person reads."""
    campaign = editable(request, campaign_id)
    text = storable(request.POST.get("message", ""))
    sms = storable(request.POST.get("sms_message", ""))
    chosen = request.POST.get("recipient", "")
    recipient_id = int(chosen) if chosen.isascii() and chosen.isdecimal() and len(chosen) < 19 else None
    context = _checked(campaign, text, sms, recipient_id=recipient_id)
    return render_part(request, "console/message_check.html", {"campaign": campaign, **context})


@page(Permission.PREPARE, methods=("POST",))
def listen(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    """Speak the beginning of the text as the shown person would hear it, and answer a player."""
    campaign = editable(request, campaign_id)
    spoken = preview_of(campaign, message=storable(request.POST.get("message", ""))).spoken
    context: dict[str, Any] = {}
    try:
        if not TrialThrottle().allow(f"account:{request.visit.account.pk}"):
            raise Throttled(
                "Too many samples in a short time. Wait a minute and try again.", code="throttled"
            )
        audio = trials.speak(
            account=request.visit.account,
            text=trials.beginning_of(spoken.strip()),
            voice=speech.resolve(request.POST.get("voice", "")),
            speed=float(_speed(request.POST.get("speed", ""))),
        )
        context["address"] = recording_path(audio.name)
    except IrisError as error:
        context["problem"] = sentence_of(error)
    return render_part(request, "console/player.html", context)


def _save_as_template(request: ConsoleRequest, campaign: Campaign, *, name: str) -> HttpResponse:
    """Make a template of the campaign's words. The campaign then has the words of its first version."""
    template = text_templates.create_template(
        account=request.visit.account,
        name=name,
        message=campaign.message,
        sms_message=campaign.sms_message,
        voice=campaign.voice if Service(campaign.service).calls else "",
    )
    text_templates.use_template(campaign=campaign, version=text_templates.find_version(template))
    success(request, _("The words are saved, and “%(name)s” is a template now.") % {"name": name})
    return redirect("console:step-message", request.visit.account.pk, campaign.pk)


def _questions(request: ConsoleRequest, campaign: Campaign) -> HttpResponse:
    form = SurveyForm(request.POST or None, campaign=campaign)
    if request.method == "POST" and form.is_valid():
        try:
            form.save()
        except IrisError as error:
            form.problem = sentence_of(error)
        else:
            if "more" in request.POST:
                return redirect("console:step-message", request.visit.account.pk, campaign.pk)
            return go_on(request, campaign, "step-message")
    context = {"form": form, **step_context("step-message", campaign=campaign)}
    return render_page(request, "console/step_questions.html", context)


def _stored(campaign: Campaign) -> dict[str, Any]:
    return {
        "message": campaign.message,
        "sms_message": campaign.sms_message,
        "voice": campaign.voice or speech.resolve(None),
        "speed": f"{campaign.speed.normalize():f}",
        "source": campaign.source or (Source.AUDIO.value if campaign.audio else Source.MESSAGE.value),
    }


def _fields(cleaned: dict[str, Any], *, tags: list[str]) -> dict[str, Any]:
    """Return the fields of the campaign that the form changes, with its tags in the texts spelled as the columns."""
    fields: dict[str, Any] = {
        name: cleaned[name] for name in ("message", "sms_message", "voice", "speed") if name in cleaned
    }
    for name in ("message", "sms_message"):
        if fields.get(name):
            fields[name] = spell_tags(fields[name], tags)
    if cleaned.get("source"):
        fields["source"] = Source(cleaned["source"])
    if cleaned.get("recording"):
        fields["audio"] = recordings.store_upload(cleaned["recording"])
        fields["source"] = Source.AUDIO
    return fields


def _checked(
    campaign: Campaign, text: str, sms: str | None, *, recipient_id: int | None = None
) -> dict[str, Any]:
    service = Service(campaign.service)
    text, sms = spell_tags(text, campaign.tags), spell_tags(sms or "", campaign.tags)
    written = sms or text
    return {
        "size": sms_size(campaign, written) if service.texts else None,
        "people": campaign.number_count,
        "problem": problem_of(campaign, text) or (problem_of(campaign, sms) if sms else ""),
        "preview": preview_of(campaign, message=text, sms_message=sms, recipient_id=recipient_id),
    }


def _speed(text: str) -> Decimal:
    """Return the speed that was chosen, or the usual one for everything that cannot be chosen."""
    speed = text if text in dict(SPEEDS) else "1"
    return Decimal(speed)
