"""Fields that read what v1 callers really send, beside those of `telephony.api.fields` and `telephony.api.v1.fields`.

Clients send back whole objects that they were given, so each field also reads what it wrote. Null means “none” where
there can be none, and leaving the field out where there cannot.
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
from iris.api.lists import Ids, Words
from iris.api.parsers import json_value
from iris.errors import InvalidInput
from telephony import speech
from telephony.api.v1.fields import Optional


class _OrNone(serializers.Field[Any, Any, Any, Any]):
    """Null and empty text mean “none”, which is a value of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_null": True, **options})

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = dictionary.get(self.field_name, empty)
        return None if value == "" else value


class Flag(Optional):
    default_error_messages = {"invalid": "This must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        word = str(data).strip().lower()
        if word not in ("true", "false", "1", "0"):
            self.fail("invalid")
        return word in ("true", "1")


class Services(Word):
    """SMS, calls or both; the documentation has both in either order."""

    def to_internal_value(self, data: Any) -> Any:
        swapped = isinstance(data, str) and data.strip().upper() == "PHONE & SMS"
        return super().to_internal_value("SMS & PHONE" if swapped else data)


class Category(Optional):
    """Whether a message is read out or a recording played. TingTing's examples have all sorts of text here."""

    def to_internal_value(self, data: Any) -> Any:
        for meaning, word in CATEGORIES.items():
            if str(data).strip().lower() == word.lower():
                return meaning
        raise SkipField


class Recording(Optional, Upload):
    """An uploaded file. Text is the address of the one before, which a client sends back."""

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = dictionary.get(self.field_name)
        return value if isinstance(value, UploadedFile) else empty


class Schedule(_OrNone, Moment):
    """When to begin. A day alone is its first minute."""

    default_error_messages = {"past": "Cannot schedule past dates."}

    def to_internal_value(self, data: Any) -> datetime:
        if isinstance(data, str) and re.fullmatch(r"\s*\d{4}-\d\d-\d\d\s*", data):
            data = f"{data.strip()}T00:00"
        stored = getattr(getattr(self.parent, "instance", None), "schedule_at", None)
        if stored is not None and self._is_sent_back(data, stored):
            return cast(datetime, stored)
        return super().to_internal_value(data)

    def _is_sent_back(self, data: Any, stored: datetime) -> bool:
        """Whether this is the time that is stored, be it past. The published client drops its zone for a Z, so that
        it would move by hours whenever anything else is updated.
        """
        moment = self._read(data)
        nepali = timezone.localtime(stored, timezone.get_default_timezone())
        try:
            in_utc = moment.astimezone(UTC)
        except OverflowError:  # within hours of the year 1
            return False
        same_clock = in_utc.replace(tzinfo=None) - nepali.replace(tzinfo=None)
        return abs((moment - stored).total_seconds()) < 0.001 or (
            str(data).strip().upper().endswith("Z") and abs(same_clock.total_seconds()) < 0.001
        )


class LengthFactor(Optional):
    """How much longer than usual it takes to say the message; read as the speed, which is the inverse."""

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


class CreditLimit(_OrNone):
    """Credits. The published client sends 0 for none; a limit of 0 would only mean never to run."""

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
    """The ids of some of the account's numbers, or none of them."""

    most = 1_000

    def to_internal_value(self, data: Any) -> list[int]:
        return [] if data == [] else super().to_internal_value(data)


class FailoverTargets(Words):
    """Some statuses, or none of them."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list):
            data = [word for word in data if word is not None]
        return [] if data == [] else list(dict.fromkeys(super().to_internal_value(data)))


class Variables(Tags):
    """What is known of a contact, by name; read as tags. Text that is no JSON is left out: in a form the published client
    sends the names without the values.
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
                return empty
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
