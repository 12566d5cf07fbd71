"""The published words, the requests and the JSON of campaigns in the v0 dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils import timezone
from rest_framework import serializers

from accounts.api.amounts import credits_json
from campaigns.api.approval import awaiting_json
from campaigns.api.defaults import with_default_services
from campaigns.api.rules import Cap, Duplicates, Hours, Retry, Urgent, Waves, reach_json, waiting_wave_json
from campaigns.api.v0.known_fields import KnownFields
from campaigns.api.v0.misspellings import NUMBERS_CAMPAIGN
from campaigns.api.words import RECIPIENT_STATUSES, SERVICES, notice_json, pause_reason_json
from campaigns.messages import MAX_CHARACTERS
from campaigns.models import Campaign, Run, RunStatus, Service, Source
from campaigns.reports.states import RecipientState
from campaigns.runs.rules import RULES
from iris.api.fields import Id, Moment, Tags, Text, Upload, Word, words_of
from iris.api.lists import Ids, Words
from telephony.api.fields import Message, Number, Numbers, VoiceName
from telephony.models import DeliveryStatus

OFFERED = words_of((Service.CALL, Service.SMS), SERVICES)

CAMPAIGN_STATUSES: Mapping[str | None, str] = {
    None: "Not Started",
    RunStatus.AWAITING: "Scheduled",  # the documented word for a run that has not started; `approval` says why
    RunStatus.SCHEDULED: "Scheduled",
    RunStatus.RUNNING: "Running",
    RunStatus.PAUSED: "Paused",
    RunStatus.STOPPING: "Terminated",
    RunStatus.COMPLETED: "Completed",
    RunStatus.TERMINATED: "Terminated",
}

RERUN_STATUSES = words_of(
    (
        DeliveryStatus.HUNGUP,
        DeliveryStatus.UNANSWERED,
        DeliveryStatus.FAILED,
        DeliveryStatus.TERMINATED,
        DeliveryStatus.COMPLETED,
    ),
    RECIPIENT_STATUSES,
)

SOURCES = {"message": Source.MESSAGE, "audio": Source.AUDIO}


class CampaignChanges(KnownFields):
    """The fields of a campaign that can be changed. A request can contain any of them."""

    refuses_empty = ("name", "services")

    name = Text(required=False, max_length=200)
    services = Word(OFFERED, required=False, source="service")
    description = Text(required=False, allow_blank=True, max_length=10_000)


class NewCampaign(CampaignChanges):
    """A new campaign, with its numbers in the request or in a sheet."""

    name = Text(max_length=200)
    services = Word(OFFERED, source="service")
    individual_number = Numbers(required=False, source="numbers")
    send_to_number_file = Upload(required=False, source="sheet")
    number_column = Text(required=False, max_length=200)
    list = Id(required=False, source="contact_list")

    def get_fields(self) -> dict[str, Any]:
        return with_default_services(super().get_fields(), account=self.context.get("account"))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        sources = [name for name in ("numbers", "sheet", "contact_list") if name in attrs]
        if len(sources) != 1:
            raise serializers.ValidationError(
                "Send either individual_number, a list of phone numbers, or send_to_number_file, an .xlsx or "
                ".csv file uploaded as multipart/form-data, or list, the id of a contact list"
                + (", only one of them." if sources else ".")
            )
        return attrs


class Beginning(KnownFields):
    """The fields of a begin request."""

    message = Message(required=False, max_length=MAX_CHARACTERS)
    aud_file = Upload(required=False)
    audio = Upload(required=False)  # the documentation uses both names
    voice_input = VoiceName(required=False, max_length=50)
    schedule_date = Moment(required=False)
    status = Words(RERUN_STATUSES, required=False)
    individual = Ids(required=False)
    priority = Word(SOURCES, required=False)
    retry = Retry()
    calling_hours = Hours()
    duplicates = Duplicates()
    frequency_cap = Cap()
    waves = Waves()
    urgent = Urgent()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "aud_file" in attrs and "audio" in attrs:
            raise serializers.ValidationError({"audio": "Send the recording once, as aud_file or as audio."})
        return {
            "message": attrs.get("message"),
            "recording": attrs.get("aud_file") or attrs.get("audio"),
            "voice": attrs.get("voice_input"),
            "starts_at": attrs.get("schedule_date"),
            "statuses": attrs.get("status"),
            "individual": attrs.get("individual"),
            "source": attrs.get("priority"),
            "urgent": attrs.get("urgent"),
            **{name: attrs[name] for name in RULES if name in attrs},
        }


class Approval(KnownFields):
    """A request that approves a run. It names the run, so that nobody approves a run that they have not seen."""

    run = Id(
        error_messages={
            "required": "Send the id of the run that you approve. The campaign's details have it, under approval."
        }
    )


class Rejection(KnownFields):
    """A request that rejects a run. Without its id, it rejects the run that waits at the moment."""

    refuses_empty = ("run",)

    run = Id(required=False)
    reason = Text(required=False, max_length=300)


class NumberChanges(KnownFields):
    """The fields of a number that can be changed. A request can contain any of them."""

    refuses_empty = ("number",)

    number = Number(required=False)
    available_tags = Tags(required=False, source="tags")


class NewNumber(NumberChanges):
    """A new number for a campaign."""

    number = Number()


def campaign_json(campaign: Campaign, *, run_status: str | None, usable_tags: bool = True) -> dict[str, Any]:
    """Return a campaign in v0's JSON. `status` and `number_count` are not documented, but clients read them."""
    shown: dict[str, Any] = {
        "id": campaign.pk,
        "name": campaign.name,
        "user_phone": [],
        "services": SERVICES[Service(campaign.service)],
        "description": campaign.description,
    }
    if usable_tags:
        shown["usable_tags"] = campaign.tags
    shown["status"] = CAMPAIGN_STATUSES[run_status]
    shown["number_count"] = campaign.number_count
    shown |= pause_reason_json(campaign) | notice_json(campaign) | awaiting_json(run_status)
    return shown | waiting_wave_json(campaign)


def import_json(campaign: Campaign) -> dict[str, Any]:
    """Return the state of the latest background import; empty if there is no import.

    It is an addition to the documentation.
    """
    latest = campaign.imports.order_by("-pk").first()
    if latest is None:
        return {}
    shown = {"status": latest.status, "imported": latest.imported, "message": latest.message or None}
    return {"import": {**shown, "errors": latest.errors}}


def text_version_json(campaign: Campaign) -> dict[str, Any]:
    """Return the template from which the campaign got its words; empty if there is none. It is an addition."""
    version = campaign.text_version
    return {} if version is None else {"template": {"id": version.template_id, "version": version.number}}


def limit_json(campaign: Campaign) -> dict[str, Any]:
    """Return the most credits that a run may spend; empty without a limit. It is an addition to the documentation."""
    limit = campaign.spending_limit
    return {} if limit is None else {"credit_limit": credits_json(limit)}


def details(shown: dict[str, Any]) -> list[dict[str, Any]] | dict[str, Any]:
    """Return a campaign as the value of `details`: a list as documented, or the object that some clients need."""
    return shown if settings.IRIS_V0_DETAILS_OBJECT else [shown]


def number_json(state: RecipientState, *, campaign: Campaign) -> dict[str, Any]:
    """Return a recipient in v0's JSON. The v0 documentation calls recipients “numbers” or “actions”."""
    recipient = state.recipient
    return {
        "id": recipient.pk,
        "number": number_as_sent(recipient.number),
        NUMBERS_CAMPAIGN: campaign.name,
        "available_tags": {tag: recipient.tags[tag] for tag in campaign.tags if tag in recipient.tags},
        "status": RECIPIENT_STATUSES[state.status],
        "duration": None if state.seconds is None else round(state.seconds),
        "playback": state.playback,
        "credit_consumed": credits_json(state.credits),
        **reach_json(state),
    }


def number_as_sent(number: str) -> int | str:
    """Return a stored number as an int if it was sent as plain digits, otherwise as the text that was sent."""
    return int(number) if _is_written_as_int(number) else number


def begin_message(run: Run) -> str:
    """Return the message of the response to a begin request."""
    if run.status == RunStatus.AWAITING:
        return "Campaign awaits approval by another person"
    if run.status == RunStatus.SCHEDULED:
        starts_at = timezone.localtime(run.starts_at)
        return f"Campaign is scheduled for {starts_at:%Y-%m-%dT%H:%M}"
    return "Campaign is running" if run.individual is None else "Campaign is running!!"


def resume_message(run: Run) -> str:
    """Return the message of the response to a request that resumes or approves a run."""
    return "Campaign is running" if run.status == RunStatus.RUNNING else begin_message(run)


def hold_message(run: Run, *, campaign: Campaign) -> str:
    """Return the message that says how many credits a run holds."""
    held = credits_json(run.hold.amount)
    if run.individual is not None:
        return f"{held} credits on hold for Individual Number campaign."
    return f"{held} credit on hold for {campaign.name} campaign."  # sic


def _is_written_as_int(text: str) -> bool:
    """Return whether the number can be shown as an int without losing a character."""
    return text.isascii() and text.isdigit() and text[0] != "0"
