"""The v0 serializers of OTPs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from iris.api.fields import Text, Word, errors_for_this_field
from iris.errors import InvalidInput
from otp.models import Origin, Otp
from otp.services import DEFAULT_LENGTH, LENGTHS, check_code, check_length, reachable, rendered, spaced
from telephony.api.fields import Message, VoiceName
from telephony.models import Channel

CHANNELS = {"text": Channel.SMS, "voice": Channel.CALL}
ORIGINS = {"personnel": Origin.OWNER, "generated": Origin.GENERATED}  # sic
WORDS = {meaning: word for word, meaning in {**CHANNELS, **ORIGINS}.items()}


class Length(serializers.Field[int, Any, Any, int]):
    """A whole number, as a number or as text."""

    json_schema = {"type": "integer", "minimum": LENGTHS[0], "maximum": LENGTHS[-1]}
    default_error_messages = {"invalid": "This must be a whole number, such as 6."}

    def get_value(self, dictionary: Any) -> Any:
        value = dictionary.get(self.field_name)
        return serializers.empty if value is None or value == "" else value

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and re.fullmatch(r"\s*[0-9]{1,3}\s*", data):
            return int(data)
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


class Recipient(Text):
    """The number to which the password is sent."""

    def to_internal_value(self, data: Any) -> str:
        number = super().to_internal_value(data)
        with errors_for_this_field():
            reachable(number)
        return number


class ChosenChannel(Word):
    """The channel, `text` or `voice`. The documentation has two names for this field, with and without an s."""

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = super().get_value(dictionary)
        if value is serializers.empty:
            value = dictionary.get("sms_send_option") or value
        return value


class NewOtp(serializers.Serializer[Any]):
    """A request to send an OTP."""

    number = Recipient(max_length=40)
    message = Message(max_length=1_000)
    sms_send_options = ChosenChannel(CHANNELS)
    otp_options = Word(ORIGINS, required=False)
    otp = Text(required=False, max_length=40)
    otp_length = Length(required=False)
    voice_input = VoiceName(required=False, max_length=50)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        # A client that sends a password without `otp_options` expects this password to be sent.
        origin = attrs.get("otp_options") or (Origin.OWNER if "otp" in attrs else Origin.GENERATED)
        if origin == Origin.OWNER and "otp" not in attrs:
            raise serializers.ValidationError(
                {"otp": f"This is missing: with otp_options {WORDS[origin]}, send the OTP yourself."}
            )
        length = attrs.get("otp_length", DEFAULT_LENGTH)
        try:
            check_code(attrs["otp"]) if origin == Origin.OWNER else check_length(length)
        except InvalidInput as error:
            field = "otp" if origin == Origin.OWNER else "otp_length"
            raise serializers.ValidationError({field: error.message}) from error
        return {
            "number": attrs["number"],
            "message": attrs["message"],
            "channel": attrs["sms_send_options"],
            "code": attrs["otp"] if origin == Origin.OWNER else None,
            "length": length,
            "voice": attrs.get("voice_input"),
        }


def otp_json(otp: Otp, *, message: str) -> dict[str, Any]:
    """Return an OTP as v0 shows it. The digits in its message are spaced in both channels, as documented."""
    return {
        "number": otp.number,
        "otp_options": WORDS[Origin(otp.origin)],
        "message": rendered(message, spaced(otp.code)),
        "otp": otp.code,
        "sms_send_options": WORDS[Channel(otp.channel)],
    }
