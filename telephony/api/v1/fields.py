"""Serializer fields of v1 that several apps use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from iris.errors import InvalidInput
from telephony import speech
from telephony.api.v1.voices import voice_with_id


class Optional(serializers.Field[Any, Any, Any, Any]):
    """A field that counts as omitted if it is null or an empty string."""

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = dictionary.get(self.field_name, empty)
        return empty if value is None or value == "" else value


class ChosenVoice(Optional):
    """A voice: its id, its v1 internal name, or the object that describes it. Returns the voice's own name in iris."""

    json_schema = {
        "type": ["integer", "string", "object"],
        "description": "A voice: its id, its internal name, or the object that the list of voices has.",
    }
    default_error_messages = {
        "invalid": "Choose a voice by its id, such as 1. The list of voices has all ids."
    }

    def to_internal_value(self, data: Any) -> str:
        try:
            return self._name(data)
        except InvalidInput as error:
            raise serializers.ValidationError(str(error)) from error

    def _name(self, data: Any) -> str:
        if isinstance(data, Mapping):
            if data.get("id") not in (None, ""):
                return self._name(data["id"])
            return self._called(data.get("voice_internal_name"), premium=data.get("is_premium") is True)
        if isinstance(data, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", data):
            data = int(data)
        if isinstance(data, int) and not isinstance(data, bool):
            return voice_with_id(data).name
        return self._called(data, premium=False)

    def _called(self, name: Any, *, premium: bool) -> str:
        if not isinstance(name, str) or not name.strip():
            self.fail("invalid")
        for voice in speech.catalogue().values():
            if (voice.api_name, voice.is_premium) == (name.strip().lower(), premium):
                return voice.name
        return speech.resolve(name)
