"""Serializer fields for the values that v1 clients really send.

More fields are in `telephony.api.fields` and `telephony.api.v1.fields`.

Clients send back whole objects that they received, so each field also reads its own output. Null means “none” for optional
values; for all others it means that the field was not sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from rest_framework import serializers
from rest_framework.fields import SkipField, empty

from campaigns.api.v1.words import CATEGORIES
from campaigns.messages import to_tag_name
from iris.api.fields import MAX_TAG_CHARACTERS, Moment, Tags, Upload, Word
from iris.api.json_text import json_value
from iris.api.lists import Ids, Words
from iris.errors import InvalidInput
from telephony import speech
from telephony.api.v1.fields import Optional


class _OptionalValue(serializers.Field[Any, Any, Any, Any]):
    """A field with an optional value. Null and empty text mean “none”."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_null": True, **options})

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = dictionary.get(self.field_name, empty)
        return None if value == "" else value


class Flag(Optional):
    json_schema: dict[str, Any] = {"type": "boolean"}
    default_error_messages = {"invalid": "This must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        word = str(data).strip().lower()
        if word not in ("true", "false", "1", "0"):
            self.fail("invalid")
        return word in ("true", "1")


class Services(Word):
    """SMS, calls or both. The documentation writes both in either order."""

    def to_internal_value(self, data: Any) -> Any:
        swapped = isinstance(data, str) and data.strip().upper() == "PHONE & SMS"
        return super().to_internal_value("SMS & PHONE" if swapped else data)


class Category(Optional):
    """Whether the message is spoken or the recording is played. Unknown texts, as in TingTing's examples, are ignored."""

    json_schema: dict[str, Any] = {"type": "string", "enum": list(CATEGORIES.values())}

    def to_internal_value(self, data: Any) -> Any:
        for meaning, word in CATEGORIES.items():
            if str(data).strip().lower() == word.lower():
                return meaning
        raise SkipField


class Recording(Optional, Upload):
    """An uploaded file. Text is ignored: clients send back the URL of the existing recording."""

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = dictionary.get(self.field_name)
        return value if isinstance(value, UploadedFile) else empty


class Schedule(_OptionalValue, Moment):
    """The start time. A date alone means its first minute."""

    json_schema: dict[str, Any] = {
        "type": ["string", "null"],
        "description": "The start time, such as 2026-11-08T17:07. Null starts the campaign as soon as it is run.",
    }
    default_error_messages = {"past": "Cannot schedule past dates."}

    def to_internal_value(self, data: Any) -> datetime:
        if isinstance(data, str) and re.fullmatch(r"\s*\d{4}-\d\d-\d\d\s*", data):
            data = f"{data.strip()}T00:00"
        stored = getattr(getattr(self.parent, "instance", None), "schedule_at", None)
        if stored is not None and self._is_sent_back(data, stored):
            return cast(datetime, stored)
        return super().to_internal_value(data)

    def _is_sent_back(self, data: Any, stored: datetime) -> bool:
        """Return whether this is the stored time, which may be in the past.

        The published client replaces the zone of the time by Z. Without this check, the time would move by hours whenever
        the client changes another field.
        """
        moment = self._read(data)
        local = timezone.localtime(stored)
        try:
            in_utc = moment.astimezone(UTC)
        except OverflowError:  # in the first hours of the year 1
            return False
        same_clock = in_utc.replace(tzinfo=None) - local.replace(tzinfo=None)
        return abs((moment - stored).total_seconds()) < 0.001 or (
            str(data).strip().upper().endswith("Z") and abs(same_clock.total_seconds()) < 0.001
        )


class LengthFactor(Optional):
    """The duration of speech relative to normal. Converted to the speed, which is its inverse."""

    json_schema: dict[str, Any] = {
        "type": ["number", "string"],
        "description": "The duration of speech relative to normal, such as 1.2.",
    }
    default_error_messages = {
        "invalid": "This must be a number from {shortest:g} to {longest:g}, such as 1.2."
    }

    def to_internal_value(self, data: Any) -> Decimal:
        shortest, longest = 1 / speech.MAX_SPEED, 1 / speech.MIN_SPEED
        try:
            factor = Decimal(str(data).strip())
        except InvalidOperation:
            factor = Decimal(0)
        if isinstance(data, bool) or not (factor.is_finite() and shortest <= factor <= longest):
            self.fail("invalid", shortest=shortest, longest=longest)
        return (1 / factor).quantize(Decimal("0.0001"))


class CreditLimit(_OptionalValue):
    """Credits. 0 means no limit: the published client sends 0 for that, and a campaign with a limit of 0 could never run."""

    json_schema: dict[str, Any] = {
        "type": ["number", "null"],
        "minimum": 0,
        "description": "Null and 0 mean no limit.",
    }
    default_error_messages = {"invalid": "This must be a number of credits above 0, or null for no limit."}
    largest = Decimal(10) ** 8

    def to_internal_value(self, data: Any) -> Decimal | None:
        try:
            limit = Decimal(str(data).strip())
        except InvalidOperation:
            limit = Decimal(-1)
        if isinstance(data, bool) or not (limit.is_finite() and 0 <= limit < self.largest):
            self.fail("invalid")
        return limit.quantize(Decimal("0.01")) or None


class Dialers(Ids):
    """A list of ids of the account's phone numbers. It can be empty."""

    json_schema: dict[str, Any] = {"type": "array", "items": {"type": "integer", "minimum": 1}}
    most = 1_000

    def to_internal_value(self, data: Any) -> list[int]:
        return [] if data == [] else super().to_internal_value(data)


class FailoverTargets(Words):
    """A list of statuses. It can be empty."""

    def __init__(self, words: Mapping[str, Any], **options: Any) -> None:
        super().__init__(words, **options)
        del self.json_schema["minItems"]

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list):
            data = [word for word in data if word is not None]
        return [] if data == [] else list(dict.fromkeys(super().to_internal_value(data)))


class Variables(Tags):
    """The attributes of a contact by name, read as tags.

    Text that is not JSON is ignored: in a form, the published client sends the names without the values. Text that begins
    like an object was meant to be one, and is refused if it is not.
    """

    default_error_messages = {
        "nameless": "“{name}” cannot be the name of a variable. Use letters, digits and _."
    }

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = super().get_value(dictionary)
        if isinstance(value, str):
            try:
                value = json_value(value)
            except InvalidInput:
                return value if value.lstrip().startswith("{") else empty
            return value if isinstance(value, dict) else empty
        return value

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        tags = {}
        for name, value in super().to_internal_value(data).items():
            tag = to_tag_name(name[:MAX_TAG_CHARACTERS])
            if not tag:
                self.fail("nameless", name=name[:40])
            tags[tag] = value
        return tags
