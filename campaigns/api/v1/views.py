"""Campaigns in the v1 dialect: making and changing them, running and stopping them, and how they sound."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import nepali_datetime
from django.db import transaction
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from rest_framework.decorators import throttle_classes
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.throttles import TrialThrottle, UserThrottle
from campaigns import runs, services
from campaigns.api.v1.filters import LATEST_FIRST, CampaignFilter
from campaigns.api.v1.lookups import campaign_of
from campaigns.api.v1.reports import report_of
from campaigns.api.v1.serializers import (
    CampaignChanges,
    MessageChanges,
    NewCampaign,
    VoiceTry,
    campaign_json,
    message_json,
    source_of,
)
from campaigns.api.v1.steps import plans_of
from campaigns.messages import parse_message
from campaigns.models import Campaign, RunStatus, Service, Source
from campaigns.reports import progress
from campaigns.surveys.steps import set_steps
from iris.api import parsers
from iris.api.fields import valid
from iris.api.pagination import window
from iris.api.viewsets import V1ViewSet, reads
from iris.errors import Conflict, InvalidInput
from telephony import speech
from telephony.api.v1.voices import voice_id_of, voice_json
from telephony.media import audio_url
from telephony.speech import audio as recordings
from telephony.speech import trials


class CampaignViewSet(V1ViewSet):
    filterset_class = CampaignFilter

    def get_queryset(self) -> QuerySet[Any]:
        campaigns = Campaign.objects.owned_by(account_of(self.request)).with_status().select_related("audio")
        return campaigns.order_by(LATEST_FIRST, "-pk")

    def list(self, request: Request) -> Response:
        page = window(request, self.filter_queryset(self.get_queryset()))
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

    @reads(parsers.LIST_AND_FILES)
    def create(self, request: Request) -> Response:
        new = _with_recording(valid(NewCampaign(data=request.data)))
        asked = new.pop("steps", [])
        steps = plans_of(asked, renumbered=True) if new["service"] is Service.SURVEY else []
        with transaction.atomic():
            campaign = services.create_campaign(owner=account_of(request), **new).campaign
            if steps:
                set_steps(campaign=campaign, steps=steps)
        return Response(detail_json(campaign, None, request), status=201)

    def retrieve(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        return Response(detail_json(campaign, campaign.run_status, request))

    @reads(parsers.TEXTS_AND_FILE)
    def update(self, request: Request, campaign_id: int) -> Response:
        """Changes what is sent, whatever the method: clients use PATCH, PUT and POST.

        POST is never a deletion, although the published client sends one so: it looks just like its update.
        """
        campaign = campaign_of(request, campaign_id)
        changes = valid(CampaignChanges(campaign, data=request.data, partial=True))
        services.update_campaign(campaign=campaign, **_with_recording(changes))
        return self.retrieve(request, campaign_id)

    @reads(parsers.TEXTS_AND_FILE)
    def destroy(self, request: Request, campaign_id: int) -> Response:
        services.delete_campaign(campaign=campaign_of(request, campaign_id))
        return Response({"message": "Successfully Deleted."})

    @reads(parsers.TEXTS_AND_FILE)
    def message(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        changes = valid(MessageChanges(campaign, data=request.data, partial=True))
        campaign = services.update_campaign(campaign=campaign, **_with_recording(changes))
        return Response(message_json(campaign))

    @reads(parsers.TEXTS)
    def run(self, request: Request, campaign_id: int) -> Response:
        return run_campaign(campaign_of(request, campaign_id))

    @reads(parsers.TEXTS)
    def stop(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        try:
            runs.stop(campaign=campaign)
        except Conflict:
            # Whoever stops in an emergency may do so twice, or a moment after the end.
            return Response({"message": "This campaign is not running: nothing is being sent."})
        return Response({"message": "Campaign is stopped: nothing more will be sent."})

    @reads(parsers.TEXTS)
    @throttle_classes([UserThrottle, TrialThrottle])
    def test_speak(self, request: Request, campaign_id: int) -> Response:
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

    @reads(parsers.TEXTS)
    def report(self, request: Request, campaign_id: int) -> StreamingHttpResponse:
        return report_of(campaign_of(request, campaign_id))


def run_campaign(campaign: Any) -> Response:
    """Begin the campaign, or schedule it, and answer when it is said to begin."""
    source = what_is_said(campaign)
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


def _in_nepal(moment: datetime) -> str:
    """The day in Bikram Sambat, the calendar of Nepal, and the time. The Gregorian day from 2044 on."""
    day: object = moment.date()
    with suppress(ValueError, OverflowError):  # no calendar was made for so late a year
        day = nepali_datetime.date.from_datetime_date(moment.date())
    return f"{day} at {moment:%H:%M:%S}"


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


def what_is_said(campaign: Campaign) -> Source:
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
