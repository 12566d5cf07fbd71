"""Campaigns in the v1 dialect: create, change, run, stop, listen and report."""

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
from accounts.api.permissions import needs
from accounts.api.throttles import TrialThrottle, UserThrottle
from accounts.permissions import Permission
from campaigns import runs, services
from campaigns.api.approval import approval_json, begun_json
from campaigns.api.rules import rules_json
from campaigns.api.v1.filters import LATEST_FIRST, CampaignFilter
from campaigns.api.v1.lookups import campaign_of
from campaigns.api.v1.reports import note_export, report_of
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
from iris.api import idempotency, parsers
from iris.api.fields import validated
from iris.api.pagination import paginate_in_v1
from iris.api.viewsets import V1ViewSet, reads, retries
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

    @needs(Permission.VIEW)
    def list(self, request: Request) -> Response:
        page = paginate_in_v1(request, self.filter_queryset(self.get_queryset()))
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
    @needs(Permission.PREPARE)
    def create(self, request: Request) -> Response:
        account = account_of(request)
        new = _with_recording(validated(NewCampaign(data=request.data, context={"account": account})))
        asked = new.pop("steps", [])
        steps = plans_of(asked, renumbered=True) if new["service"] is Service.SURVEY else []
        with transaction.atomic():
            campaign = services.create_campaign(account=account, **new).campaign
            if steps:
                set_steps(campaign=campaign, steps=steps)
        return Response(detail_json(campaign, None, request) | rules_json(campaign), status=201)

    @needs(Permission.VIEW)
    def retrieve(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        shown = detail_json(campaign, campaign.run_status, request)
        return Response(shown | rules_json(campaign) | approval_json(campaign, request._request))

    @reads(parsers.TEXTS_AND_FILE)
    @needs(Permission.PREPARE)
    def update(self, request: Request, campaign_id: int) -> Response:
        """Change the sent fields. Clients use PATCH, PUT and POST for this.

        The published client also sends POST to delete a campaign, but that request looks like an update. Therefore POST
        never deletes.
        """
        campaign = campaign_of(request, campaign_id)
        changes = validated(CampaignChanges(campaign, data=request.data, partial=True))
        services.update_campaign(campaign=campaign, **_with_recording(changes))
        return self.retrieve(request, campaign_id)

    @reads(parsers.TEXTS_AND_FILE)
    @needs(Permission.PREPARE)
    def destroy(self, request: Request, campaign_id: int) -> Response:
        services.delete_campaign(campaign=campaign_of(request, campaign_id))
        return Response({"message": "Successfully Deleted."})

    @reads(parsers.TEXTS_AND_FILE)
    @needs(Permission.PREPARE)
    def message(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        changes = validated(MessageChanges(campaign, data=request.data, partial=True))
        campaign = services.update_campaign(campaign=campaign, **_with_recording(changes))
        return Response(message_json(campaign))

    @reads(parsers.TEXTS)
    @needs(Permission.SEND)
    def run(self, request: Request, campaign_id: int) -> Response:
        return run_campaign(campaign_of(request, campaign_id))

    @reads(parsers.TEXTS)
    @retries(idempotency.HARMLESS)
    @needs(Permission.PREPARE)
    def stop(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        try:
            runs.stop(campaign=campaign)
        except Conflict:
            # An emergency stop may be sent twice, or just after the campaign has ended. Neither is an error.
            return Response({"message": "This campaign is not running: nothing is being sent."})
        return Response({"message": "Campaign is stopped: nothing more will be sent."})

    @reads(parsers.TEXTS)
    @retries(idempotency.HARMLESS)  # an error must not undo what was counted against the daily quota
    @throttle_classes([UserThrottle, TrialThrottle])
    @needs(Permission.PREPARE)
    def test_speak(self, request: Request, campaign_id: int) -> Response:
        """Return the URL of the recording as a bare JSON string, as clients expect it."""
        campaign = campaign_of(request, campaign_id)
        asked = validated(VoiceTry(data=request.data))
        text = asked.get("message") or campaign.message
        if not text:
            raise InvalidInput(
                "There is nothing to say: send a message.",
                errors=[_missing("message")],
                code="nothing_to_say",
            )
        first = campaign.recipients.order_by("pk").first()
        said = parse_message(text).render({} if first is None else first.tags)
        audio = trials.speak(
            account=account_of(request),
            text=trials.beginning_of(said),
            voice=asked.get("voice_input") or campaign.voice or None,
            speed=float(campaign.speed),
        )
        return Response(audio_url(audio, request._request))

    @reads(parsers.TEXTS)
    @needs(Permission.VIEW)
    def report(self, request: Request, campaign_id: int) -> StreamingHttpResponse:
        campaign = campaign_of(request, campaign_id)
        note_export(campaign, what="contacts")
        return report_of(campaign)


def run_campaign(campaign: Any) -> Response:
    """Begin or schedule the campaign, and return the response, which says when it starts."""
    source = source_to_play(campaign)
    later = campaign.schedule_at is not None and campaign.schedule_at > timezone.now()
    # If the campaign is already scheduled or awaits approval, the request replaces that run, perhaps with another time.
    run = runs.begin(
        campaign=campaign,
        source=source,
        starts_at=campaign.schedule_at if later else None,
        replaces_pending=True,
    )
    if run.status == RunStatus.AWAITING:
        return Response({"message": "Campaign awaits approval by another person.", **begun_json(run)})
    if run.status != RunStatus.SCHEDULED:
        return Response({"message": "Campaign Began Successfully!!"})
    starts_at = timezone.localtime(run.starts_at)
    return Response({"message": f"Campaign Scheduled successfully for {_in_nepal(starts_at)}"})


def _in_nepal(moment: datetime) -> str:
    """Return the date in Bikram Sambat, the calendar of Nepal, and the time. From 2044 on the date is Gregorian."""
    day: object = moment.date()
    with suppress(ValueError, OverflowError):  # the library has no calendar for later years
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
    """Store an uploaded recording and make it the source of the campaign."""
    plan = dict(sent)
    uploaded = plan.pop("recording", None)
    if uploaded is not None:
        plan |= {"audio": recordings.store_upload(uploaded), "source": Source.AUDIO}
    return plan


def source_to_play(campaign: Campaign) -> Source:
    """Return whether the message or the recording is used, as the campaign's `category` shows.

    A campaign created through v0 can have both. Raises InvalidInput if the chosen one is missing.
    """
    service = Service(campaign.service)
    if service is Service.SURVEY:
        return Source.MESSAGE  # `begin` checks its steps
    if not service.calls:
        if not (campaign.sms_message or campaign.message):
            raise InvalidInput(
                "There is nothing to send: give the campaign an sms_message.",
                errors=[_missing("sms_message")],
                code="nothing_to_send",
            )
        return Source.MESSAGE
    source = source_of(campaign)
    if source is Source.AUDIO and campaign.audio_id is None:
        raise InvalidInput(
            "There is nothing to play: upload an audio_file to this campaign's message.",
            errors=[_missing("audio_file")],
            code="nothing_to_play",
        )
    if source is Source.MESSAGE and not campaign.message:
        raise InvalidInput(
            "There is nothing to say: give the campaign a message.",
            errors=[_missing("message")],
            code="nothing_to_say",
        )
    return source


def _missing(field: str) -> dict[str, str]:
    return {"field": field, "message": "This is missing."}
