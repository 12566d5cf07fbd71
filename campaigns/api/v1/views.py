"""Campaigns in the v1 dialect: making and changing them, running and stopping them, and how they sound."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import nepali_datetime
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.throttles import TrialThrottle, UserThrottle
from campaigns import runs, services
from campaigns.api.v1.lookups import campaign_of, contact_of
from campaigns.api.v1.serializers import (
    CampaignChanges,
    CampaignFilter,
    MessageChanges,
    NewCampaign,
    VoiceTry,
    campaign_json,
    message_json,
    source_of,
    valid,
)
from campaigns.api.v1.steps import plans_of
from campaigns.api.v1.words import CAMPAIGN_STATUSES
from campaigns.messages import parse_message
from campaigns.models import Campaign, RunStatus, Service, Source
from campaigns.reports import progress
from campaigns.surveys.steps import set_steps
from iris.api import parsers
from iris.api.pagination import window
from iris.api.views import V1View
from iris.errors import Conflict, InvalidInput
from telephony import speech
from telephony.api.v1.voices import voice_id_of, voice_json
from telephony.media import audio_url
from telephony.speech import audio as recordings
from telephony.speech import trials


class Campaigns(V1View):
    def get(self, request: Request) -> Response:
        page = window(request, _narrowed(request))
        statuses = {campaign.pk: campaign.run_status for campaign in page.items}
        done = progress.percent_done(statuses)
        known = {name: voice_json(voice) for name, voice in speech.catalogue().items()}
        shown = [
            campaign_json(
                campaign,
                run_status=campaign.run_status,
                progress=done[campaign.pk],
                voice=known.get(campaign.voice),
                request=request,
            )
            for campaign in page.items
        ]
        return Response(page.around(shown))


class Create(V1View):
    reads = parsers.LIST_AND_FILES

    def post(self, request: Request) -> Response:
        new = _with_recording(valid(NewCampaign(data=request.data)))
        asked = new.pop("steps", [])
        steps = plans_of(asked, renumbered=True) if new["service"] is Service.SURVEY else []
        with transaction.atomic():
            campaign, _ = services.create_campaign(owner=account_of(request), **new)
            if steps:
                set_steps(campaign=campaign, steps=steps)
        return Response(detail_json(campaign, None, request), status=201)


class Detail(V1View):
    reads = parsers.TEXTS_AND_FILE

    def get(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        return Response(detail_json(campaign, campaign.run_status, request))

    def patch(self, request: Request, campaign_id: int) -> Response:
        """Changes what is sent, whatever the method: clients use all three."""
        campaign = campaign_of(request, campaign_id)
        changes = valid(CampaignChanges(campaign, data=request.data, partial=True))
        services.update_campaign(campaign=campaign, **_with_recording(changes))
        return self.get(request, campaign_id)

    put = patch
    # Never a deletion, although the published client sends one so: it looks just like its update.
    post = patch

    def delete(self, request: Request, campaign_id: int) -> Response:
        services.delete_campaign(campaign=campaign_of(request, campaign_id))
        return Response({"message": "Successfully Deleted."})


class Message(V1View):
    reads = parsers.TEXTS_AND_FILE

    def patch(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        changes = valid(MessageChanges(campaign, data=request.data, partial=True))
        campaign = services.update_campaign(campaign=campaign, **_with_recording(changes))
        return Response(message_json(campaign))

    put = patch
    post = patch


class Run(V1View):
    reads = parsers.TEXTS

    def post(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        source = _what_is_said(campaign)
        later = campaign.schedule_at is not None and campaign.schedule_at > timezone.now()
        # What was scheduled before is asked for anew, perhaps at another time.
        run = runs.begin(
            campaign=campaign,
            source=source,
            starts_at=campaign.schedule_at if later else None,
            anew=True,
        )
        if run.status != RunStatus.SCHEDULED:
            return Response({"message": "Campaign Began Successfully!!"})
        starts_at = timezone.localtime(run.starts_at, timezone.get_default_timezone())
        return Response({"message": f"Campaign Scheduled successfully for {_in_nepal(starts_at)}"})


class Stop(V1View):
    reads = parsers.TEXTS

    def post(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        try:
            runs.stop(campaign=campaign)
        except Conflict:
            # Whoever stops in an emergency may do so twice, or a moment after the end.
            return Response({"message": "This campaign is not running: nothing is being sent."})
        return Response({"message": "Campaign is stopped: nothing more will be sent."})


class DemoCall(V1View):
    reads = parsers.TEXTS

    def post(self, request: Request, contact_id: int) -> Response:
        contact = contact_of(request, contact_id)
        source = _what_is_said(contact.campaign)
        runs.begin(campaign=contact.campaign, source=source, individual=[contact.pk], trial=True)
        return Response({"message": f"A try is on its way to {contact.number}."})


class TestSpeak(V1View):
    throttle_classes = (UserThrottle, TrialThrottle)
    reads = parsers.TEXTS

    def post(self, request: Request, campaign_id: int) -> Response:
        """The address of the recording, as bare text: that is how clients read it."""
        campaign = campaign_of(request, campaign_id)
        asked = valid(VoiceTry(data=request.data))
        text = asked.get("message") or campaign.message
        if not text:
            raise InvalidInput("There is nothing to say: send a message.", errors=[_missing("message")])
        first = campaign.recipients.order_by("pk").first()
        said = parse_message(text).render({} if first is None else first.tags)
        audio = trials.speak(
            owner=account_of(request),
            text=trials.beginning_of(said),
            voice=asked.get("voice_input") or campaign.voice or None,
            speed=float(campaign.speed),
        )
        return Response(audio_url(audio, request._request))


def _in_nepal(moment: datetime) -> str:
    """The day in Bikram Sambat, the calendar of Nepal, and the time. The Gregorian day from 2044 on."""
    day: object = moment.date()
    with suppress(ValueError, OverflowError):  # no calendar was made for so late a year
        day = nepali_datetime.date.from_datetime_date(moment.date())
    return f"{day} at {moment:%H:%M:%S}"


def _narrowed(request: Request) -> QuerySet[Any]:
    chosen = valid(CampaignFilter(data=request.query_params))
    campaigns = (
        Campaign.objects.owned_by(account_of(request))
        .with_status()
        .select_related("audio")
        .filter(draft=chosen.get("draft", False))
    )
    if "search" in chosen:
        campaigns = campaigns.filter(name__icontains=chosen["search"])
    if "status" in chosen:
        meant = {status for status, word in CAMPAIGN_STATUSES.items() if word == chosen["status"]}
        never_run = Q(run_status__isnull=True) if None in meant else Q()
        campaigns = campaigns.filter(Q(run_status__in=meant - {None}) | never_run)
    if "from_date" in chosen:
        campaigns = campaigns.filter(updated_at__gte=chosen["from_date"])
    if "to_date" in chosen:
        campaigns = campaigns.filter(updated_at__lt=chosen["to_date"])
    order = chosen.get("sort_by", "-updated_at")
    return campaigns.order_by(order, "-pk" if order.startswith("-") else "pk")


def detail_json(campaign: Campaign, run_status: str | None, request: Request) -> dict[str, Any]:
    return campaign_json(
        campaign,
        run_status=run_status,
        progress=progress.percent_done({campaign.pk: run_status})[campaign.pk],
        voice=voice_id_of(campaign.voice),
        request=request,
    )


def _with_recording(sent: Mapping[str, Any]) -> dict[str, Any]:
    """An uploaded recording becomes the campaign's, and what it plays."""
    plan = dict(sent)
    uploaded = plan.pop("recording", None)
    if uploaded is not None:
        plan |= {"audio": recordings.store_upload(uploaded), "source": Source.AUDIO}
    return plan


def _what_is_said(campaign: Campaign) -> Source:
    """The message or the recording, as the campaign's `category` shows: v0 can have left both. Raises InvalidInput
    where that one is missing.
    """
    service = Service(campaign.service)
    if service is Service.SURVEY:
        return Source.MESSAGE  # its steps are looked at when it is begun
    if not service.calls:
        if not (campaign.sms_message or campaign.message):
            raise InvalidInput(
                "There is nothing to send: give the campaign an sms_message.",
                errors=[_missing("sms_message")],
            )
        return Source.MESSAGE
    source = source_of(campaign)
    if source is Source.AUDIO and campaign.audio_id is None:
        raise InvalidInput(
            "There is nothing to play: upload an audio_file to this campaign's message.",
            errors=[_missing("audio_file")],
        )
    if source is Source.MESSAGE and not campaign.message:
        raise InvalidInput(
            "There is nothing to say: give the campaign a message.", errors=[_missing("message")]
        )
    return source


def _missing(field: str) -> dict[str, str]:
    return {"field": field, "message": "This is missing."}
