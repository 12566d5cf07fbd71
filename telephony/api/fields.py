"""Fields of phone numbers, voices and messages, as callers of either dialect really send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from iris.api.fields import Text, sent_value, told_of_this_field
from iris.api.lists import Many
from telephony import numbering, speech
from telephony.placeholders import read_placeholders


class Message(Text):
    """What is to be said or texted, perhaps with tags. One that is not closed would be read out as it stands."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        with told_of_this_field():
            return read_placeholders(text)


class VoiceName(Text):
    """A voice by its name, read as our name for it."""

    def to_internal_value(self, data: Any) -> str:
        with told_of_this_field():
            return speech.resolve(super().to_internal_value(data))


class AnyNumber(serializers.Field[Any, Any, Any, Any]):
    """A phone number as it was sent, good or bad: one among many, of which the bad ones are left out."""

    default_error_messages = {"required": "This is missing: a phone number is needed."}

    def to_internal_value(self, data: Any) -> Any:
        return data


class Number(AnyNumber):
    """A phone number as it was sent. `telephony.numbering` says what is wrong with it."""

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        return sent_value(dictionary, self.field_name)

    def to_internal_value(self, data: Any) -> Any:
        with told_of_this_field():
            numbering.parse(data)
        return data


class Numbers(Many):
    """A list of phone numbers."""

    advice = "Send the rest in further requests, or upload a sheet."
