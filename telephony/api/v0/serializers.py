"""What v0 reads and writes about phone numbers and voices."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from iris.api.fields import Text
from telephony.api.fields import VoiceName
from telephony.api.trials import TrialText
from telephony.models import PhoneNumber


class ChosenNumber(serializers.Serializer[Any]):
    """The phone number that is to be bought or released."""

    phone_sid = Text(max_length=32)


class VoiceSample(serializers.Serializer[Any]):
    """Something to be spoken by a voice, to hear how it sounds."""

    message = TrialText()
    voice_input = VoiceName(required=False, max_length=50)


def phone_number_json(number: PhoneNumber) -> dict[str, Any]:
    """A phone number as v0 shows it. The fields about incoming calls are always empty: iris takes none."""
    return {
        "phone_number": number.number,
        "rate": float(number.rate),
        "available_capabilities": number.capabilities,
        "phone_number_sid": number.sid,
        "friendly_name": number.friendly_name,
        "accept_incoming": None,
        "configure_with": "",
        "call_comes_in": None,
        "call_url": None,
        "http_request": None,
    }
