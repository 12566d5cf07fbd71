"""Serializer fields of phone numbers, voices and messages, for both dialects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from iris.api.fields import Text, errors_for_this_field, sent_value
from iris.api.lists import Many
from telephony import numbering, speech
from telephony.placeholders import read_placeholders
from telephony.speech.legacy_fonts import legacy_first


class Message(Text):
    """A message with optional tags. Unclosed tags are rejected, because recipients would hear the braces."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        with errors_for_this_field(), legacy_first(text):
            return read_placeholders(text)


class VoiceName(Text):
    """The name of a voice; returns the voice's internal name."""

    def to_internal_value(self, data: Any) -> str:
        with errors_for_this_field():
            return speech.resolve(super().to_internal_value(data))


class AnyNumber(serializers.Field[Any, Any, Any, Any]):
    """A phone number as it was sent, valid or not. For lists: invalid numbers are skipped later."""

    json_schema = {
        "type": ["string", "integer"],
        "description": "A phone number, such as 9841000001 or +9779841000001.",
    }
    default_error_messages = {"required": "This field is missing: it must be a phone number."}

    def to_internal_value(self, data: Any) -> Any:
        return data


class Number(AnyNumber):
    """A valid phone number as it was sent. `telephony.numbering` rejects invalid ones."""

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        return sent_value(dictionary, self.field_name)

    def to_internal_value(self, data: Any) -> Any:
        with errors_for_this_field():
            numbering.parse(data)
        return data


class Numbers(Many):
    """A list of phone numbers."""

    json_schema = {"type": "array", "items": AnyNumber.json_schema, "minItems": 1}
    advice = "Send the others in further requests, or upload a sheet."
