"""The v0 serializers of phone numbers and voice trials."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from iris.api.fields import Text
from telephony.api.fields import VoiceName
from telephony.api.trials import TrialText
from telephony.models import PhoneNumber


class ChosenNumber(serializers.Serializer[Any]):
    """The phone number to buy or release."""

    phone_sid = Text(max_length=32)


class VoiceSample(serializers.Serializer[Any]):
    """A text to try a voice with, and the voice."""

    message = TrialText()
    voice_input = VoiceName(required=False, max_length=50)


def phone_number_json(number: PhoneNumber) -> dict[str, Any]:
    """Return a phone number as v0 shows it. The fields of incoming calls are empty, because iris accepts no calls."""
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
