"""The requests and the JSON of campaigns and contacts in the v1 dialect."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.utils import dateformat, timezone
from rest_framework import serializers
from rest_framework.request import Request

from accounts.api.amounts import credits_json
from campaigns.api.approval import awaiting_json
from campaigns.api.defaults import with_default_services
from campaigns.api.rules import Cap, Duplicates, Hours, Retry, Waves, reach_json, waiting_wave_json
from campaigns.api.v1.fields import (
    Category,
    CreditLimit,
    Dialers,
    FailoverTargets,
    Flag,
    LengthFactor,
    Recording,
    Schedule,
    Services,
    Variables,
)
from campaigns.api.v1.steps import Steps
from campaigns.api.v1.words import CAMPAIGN_STATUSES, CARRIERS, CATEGORIES, FAILOVER_TARGETS, OFFERED
from campaigns.api.words import RECIPIENT_STATUSES, SERVICES, notice_json, pause_reason_json
from campaigns.messages import MAX_CHARACTERS, PREFIX
from campaigns.models import Campaign, Recipient, Service, Source, SurveyTemplate
from campaigns.recipients.editing import ERRORS_SHOWN
from campaigns.reports.states import RecipientState
from iris.api.fields import Text, Upload
from iris.api.lists import MAX_LISTED
from telephony.api.fields import AnyNumber, Message, Number
from telephony.api.trials import TrialText
from telephony.api.v1.fields import ChosenVoice
from telephony.api.v1.voices import voice_id_of
from telephony.media import audio_url
from telephony.models import DeliveryStatus
from telephony.numbering import operator_of

TARGETS = {meaning: word for word, meaning in FAILOVER_TARGETS.items()}


class MessageChanges(serializers.Serializer[Any]):
    """The fields of a campaign's message. A request can contain any of them. Unknown and read-only fields are ignored."""

    voice = ChosenVoice(required=False)
    message = Message(required=False, allow_blank=True, max_length=MAX_CHARACTERS)
    sms_message = Message(required=False, allow_blank=True, max_length=MAX_CHARACTERS)
    category = Category(required=False, source="source")
    audio_file = Recording(required=False, source="recording")
    length_factor = LengthFactor(required=False, source="speed")
    draft = Flag(required=False)


class CampaignChanges(MessageChanges):
    """The fields of a campaign that can be changed. A request can contain any of them."""

    name = Text(required=False, max_length=200)
    services = Services(OFFERED, required=False, source="service")
    description = Text(required=False, allow_blank=True, max_length=10_000)
    schedule = Schedule(required=False, source="schedule_at")
    user_phone = Dialers(required=False, source="caller_ids")
    credit_limit = CreditLimit(required=False, source="spending_limit")
    failover_target = FailoverTargets(FAILOVER_TARGETS, required=False, source="failover_statuses")
    retry = Retry(null=None)
    calling_hours = Hours(null=None)
    duplicates = Duplicates(null=None)
    frequency_cap = Cap(null=None)
    waves = Waves(null=None)


class NewCampaign(CampaignChanges):
    """A new campaign without contacts."""

    name = Text(max_length=200)
    services = Services(OFFERED, source="service")
    steps = Steps(required=False)

    def get_fields(self) -> dict[str, Any]:
        return with_default_services(super().get_fields(), account=self.context.get("account"))


class ContactChanges(serializers.Serializer[Any]):
    """The fields of a contact that can be changed. A request can contain any of them."""

    number = Number(required=False)
    other_variables = Variables(required=False, source="tags")


class NewContact(ContactChanges):
    """A new contact."""

    number = Number()


class ListedContact(serializers.Serializer[Any]):
    """One contact of a list. It is skipped if its number is invalid."""

    number = AnyNumber(allow_null=True)
    other_variables = Variables(required=False, source="tags")


class Listed(serializers.Field[Any, Any, Any, Any]):
    """A list of contacts. Its length is checked before any contact is examined."""

    json_schema = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"number": AnyNumber.json_schema, "other_variables": Variables.json_schema},
            "required": ["number"],
        },
        "minItems": 1,
    }
    default_error_messages = {
        "not_a_list": 'This must be a list of contacts, such as [{{"number": "9841234567"}}].',
        "empty": "This list is empty: send at least one contact.",
        "many": "There are {count:,} contacts; one request may add {most:,}. Send the others in further requests, or upload "
        "a sheet.",
    }

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        if not isinstance(data, list):
            self.fail("not_a_list")
        if not data:
            self.fail("empty")
        if len(data) > MAX_LISTED:
            self.fail("many", count=len(data), most=MAX_LISTED)
        one = ListedContact()
        listed, errors = [], {}
        for place, sent in enumerate(data):
            try:
                listed.append(one.run_validation(sent))
            except serializers.ValidationError as error:
                errors[str(place)] = error.detail
                if len(errors) == ERRORS_SHOWN:
                    break
        if errors:
            raise serializers.ValidationError(errors)
        return listed


class NewContacts(serializers.Serializer[Any]):
    """A request that adds a list of contacts."""

    contacts = Listed()


class Sheet(serializers.Serializer[Any]):
    """A request that uploads a sheet of contacts."""

    bulk_file = Upload(
        source="file",
        error_messages={"required": "This is missing: upload an .xlsx or .csv file as multipart/form-data."},
    )
    number_column = Text(required=False, max_length=200)


class VoiceTry(serializers.Serializer[Any]):
    """A request to listen to a text."""

    voice_input = ChosenVoice(required=False)
    message = TrialText(required=False)


def campaign_json(
    campaign: Campaign,
    *,
    run_status: str | None,
    progress: int,
    voice: object,
    request: Request,
) -> dict[str, Any]:
    """Return a campaign in v1's JSON. The caller passes `voice`, because it is an object in lists and an id elsewhere."""
    return {
        "id": campaign.pk,
        "name": campaign.name,
        "services": SERVICES[Service(campaign.service)],
        "status": CAMPAIGN_STATUSES[run_status],
        "sms_message": campaign.sms_message,
        "message": campaign.message,
        "description": campaign.description,
        "schedule": moment_json(campaign.schedule_at),
        "audio_file": None if campaign.audio is None else audio_url(campaign.audio, request._request),
        "bulk_file": None,  # iris does not keep sheets
        "category": CATEGORIES[source_of(campaign)],
        "user_phone": campaign.caller_ids,
        "campaign_action_count": campaign.number_count,
        "progress_percent": progress,
        "updated_at": moment_json(campaign.updated_at),
        "credit_limit": None if campaign.spending_limit is None else credits_json(campaign.spending_limit),
        "voice": voice,
        "draft": campaign.draft,
        "failover_target": [TARGETS[DeliveryStatus(status)] for status in campaign.failover_statuses],
        "length_factor": length_factor_of(campaign),
        **pause_reason_json(campaign),
        **notice_json(campaign),
        **awaiting_json(run_status),
        **waiting_wave_json(campaign),
    }


def message_json(campaign: Campaign) -> dict[str, Any]:
    return {
        "voice": voice_id_of(campaign.voice),
        "sms_message": campaign.sms_message,
        "message": campaign.message,
        "category": CATEGORIES[source_of(campaign)],
        "draft": campaign.draft,
        "length_factor": length_factor_of(campaign),
    }


def source_of(campaign: Campaign) -> Source:
    """Return the source that `category` shows: the stored one, otherwise the message unless only a recording exists."""
    plays = campaign.audio_id is not None and not campaign.message
    return Source(campaign.source or (Source.AUDIO if plays else Source.MESSAGE))


def length_factor_of(campaign: Campaign | SurveyTemplate) -> str:
    return f"{1 / Decimal(campaign.speed):.2f}"


def contact_json(state: RecipientState, *, changed_at: datetime) -> dict[str, Any]:
    """Return a contact in the JSON of lists and single contacts."""
    recipient = state.recipient
    return {
        "id": recipient.pk,
        "number": recipient.number,
        "status": RECIPIENT_STATUSES[state.status],
        "updated_at": moment_json(changed_at),
        "call_duration": f"{round(state.seconds or 0)}s",
        "playback": "" if state.playback is None else str(state.playback),
        "credit_consumed": credits_json(state.credits - recipient.sms_credits),
        "credit_consumed_SMS": credits_json(recipient.sms_credits),
        "carrier": CARRIERS[operator_of(recipient.to)],
        **reach_json(state),
    }


def attributes_json(recipient: Recipient, *, campaign: Campaign) -> dict[str, Any]:
    """Return the attributes of a contact by the names with which they were sent, in the campaign's order."""
    return {tag.removeprefix(PREFIX): recipient.tags[tag] for tag in campaign.tags if tag in recipient.tags}


def added_contacts_json(recipients: Iterable[Recipient], *, campaign: Campaign) -> list[dict[str, Any]]:
    order = {tag: place for place, tag in enumerate(campaign.tags)}
    return [_added_contact_json(recipient, order=order) for recipient in recipients]


def _added_contact_json(recipient: Recipient, *, order: Mapping[str, int]) -> dict[str, Any]:
    """Return a contact in the JSON of the response to an added list, which differs from that of other lists.

    It has only the attributes that were sent with the contact, because a campaign can have many tags.
    """
    updated_at, created_at = _moments_of_many(recipient.updated_at, timezone.get_current_timezone())
    return {
        "id": recipient.pk,
        "updated_at": updated_at,
        "created_at": created_at,
        "deleted_at": None,
        "number": recipient.number,
        "status": RECIPIENT_STATUSES[None],
        "other_variables": {
            tag.removeprefix(PREFIX): recipient.tags[tag]
            for tag in sorted(recipient.tags, key=order.__getitem__)
        },
        "credit_consumed": 0,
        "credit_consumed_SMS": 0,
        "duration": "",
        "playback": "",
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"iris contact {recipient.pk}")),
        "failover_sms_sent": False,
        "campaing": recipient.campaign_id,  # sic
    }


@lru_cache(maxsize=16)
def _moments_of_many(moment: datetime, zone: tzinfo) -> tuple[str, str | None]:
    """Return a time as documented for added contacts (not ISO 8601), and as everywhere else.

    The cache helps because all contacts of a request were added at the same time.
    """
    local = timezone.localtime(moment, zone)
    return dateformat.format(local, "N j, Y, h:i A"), moment_json(moment)


def moment_json(moment: datetime | None) -> str | None:
    """Return a time as ISO 8601 in the account's zone, with 6 or no decimals, because old Python versions need that."""
    return None if moment is None else timezone.localtime(moment).isoformat()
