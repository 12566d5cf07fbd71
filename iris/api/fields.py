"""Serializer fields that parse values from JSON, forms and multipart bodies in the same way.

`json_schema` is what a field accepts, as JSON Schema, for the schema of the API. Fields accept more spellings than it says.

Null and empty text are treated as an omitted field, because a form cannot express "omitted" otherwise. An empty *list*
is refused: a client whose filter selects no recipients must not reach all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from reprlib import Repr
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils import timezone
from rest_framework import serializers
from rest_framework.fields import empty

from iris.api.json_text import json_value
from iris.errors import InvalidInput, TooLarge
from iris.storable import is_storable

BIKRAM_SAMBAT = range(2070, 2090)  # current years in the calendar of Nepal
MAX_MOMENT_CHARACTERS = 100
MAX_TAGS = 256  # for one phone number
# The maximum length of a tag's name. Unicode normalization takes quadratic time for many combining marks.
MAX_TAG_CHARACTERS = 400

_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict = 3, 5, 5


class Text(serializers.CharField):
    """Text. A number is converted to text. With `allow_blank`, empty text is a value and not an omitted field."""

    default_error_messages = {
        "required": "This is missing.",
        "invalid": "This must be text.",
        "max_length": "This is too long: it can have at most {max_length} characters.",
    }

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        if self.allow_blank:
            value = dictionary.get(self.field_name, empty)
            return empty if value is None else value
        value = sent_value(dictionary, self.field_name)
        return empty if isinstance(value, str) and not value.strip() else value


@contextmanager
def errors_for_this_field() -> Iterator[None]:
    """Turn an InvalidInput of the `with` block into a validation error of this field.

    So the response lists it together with the errors of other fields.
    """
    try:
        yield
    except InvalidInput as error:
        raise serializers.ValidationError(error.message) from error


class Word(serializers.Field[Any, Any, str, Any]):
    """One of a few documented words, case-insensitive, converted to its internal value."""

    default_error_messages = {
        "required": "This is missing: it must be one of {words}.",
        "unknown": "{value} is not known here: it must be one of {words}.",
    }

    def __init__(self, words: Mapping[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.words = {word.lower(): meaning for word, meaning in words.items()}
        self.shown = ", ".join(words)
        self.json_schema = {"type": "string", "enum": list(words)}
        self.error_messages["required"] = self.error_messages["required"].format(words=self.shown)

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        return sent_value(dictionary, self.field_name)

    def to_internal_value(self, data: Any) -> Any:
        word = data.strip().lower() if isinstance(data, str) else None
        if word not in self.words:
            self.fail("unknown", value=quoted(data), words=self.shown)
        return self.words[word]


class Id(serializers.Field[Any, Any, Any, Any]):
    """The id of an object: a whole number from 1, or the same as text."""

    json_schema: dict[str, Any] = {"type": "integer", "minimum": 1}
    default_error_messages = {
        "required": "This is missing: it must be an id, which is a whole number.",
        "invalid": "{value} is not an id: it must be a whole number from 1.",
    }

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        return sent_value(dictionary, self.field_name)

    def to_internal_value(self, data: Any) -> int:
        text = data.strip() if isinstance(data, str) else str(data) if type(data) is int else ""
        if not re.fullmatch("[0-9]{1,18}", text, re.ASCII) or int(text) == 0:
            self.fail("invalid", value=quoted(data))
        return int(text)


class Upload(serializers.Field[Any, Any, Any, Any]):
    """An uploaded file. Its name and type are not trusted: the code that opens the file determines the format."""

    json_schema: dict[str, Any] = {"type": "string", "format": "binary"}
    default_error_messages = {
        "name": "A file cannot be sent as {value}: upload it, with the request as multipart/form-data.",
        "empty": "The uploaded file is empty.",
    }

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        return sent_value(dictionary, self.field_name)

    def to_internal_value(self, data: Any) -> UploadedFile[Any]:
        if not isinstance(data, UploadedFile):
            self.fail("name", value=quoted(data))
        if not data.size:
            self.fail("empty")
        if data.size > settings.IRIS_MAX_UPLOAD_BYTES:
            raise TooLarge(
                f"The uploaded file is too large: at most {settings.IRIS_MAX_UPLOAD_BYTES:,} bytes are allowed.",
                code="file_too_large",
            )
        return data


class Moment(serializers.Field[datetime, Any, Any, datetime]):
    """A future date and time. Without a time zone, it is in that of the account."""

    json_schema: dict[str, Any] = {
        "type": "string",
        "description": "A future time, such as 2026-11-08T17:07. Without a time zone, it is in that of the account.",
    }
    default_error_messages = {
        "unreadable": "{value} is not a date and time: write it as 2023-05-09T17:07, in {zone} time.",
        "bikram_sambat": "{value} looks like a Bikram Sambat date. Convert it to the Gregorian calendar (AD) "
        "first, and write it as 2023-05-09T17:07.",
        "past": "{value} is in the past. Choose a time in the future, or omit this field to begin at once.",
    }

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        return sent_value(dictionary, self.field_name)

    def to_internal_value(self, data: Any) -> datetime:
        moment = self._read(data)
        if moment.year in BIKRAM_SAMBAT:
            self.fail("bikram_sambat", value=quoted(data))
        # Clients send whole minutes, so "now" is already some seconds in the past when it arrives.
        if moment < timezone.now() - timedelta(minutes=1):
            self.fail("past", value=quoted(data))
        return moment

    def _read(self, data: Any) -> datetime:
        zone = timezone.get_current_timezone()
        try:
            # A date without a time would mean midnight, when nobody wants to be called.
            if (
                not isinstance(data, str)
                or len(data) > MAX_MOMENT_CHARACTERS
                or not re.fullmatch(r"\s*\d{4}-\d\d-\d\d[T ]\s*\d.*", data, re.IGNORECASE)
            ):
                raise ValueError
            moment = datetime.fromisoformat(re.sub(r"\s*([+-])\s*", r"\1", data.strip()).upper())
            if timezone.is_naive(moment):
                moment = moment.replace(tzinfo=zone)
            return moment.astimezone(zone)
        except (ValueError, OverflowError):
            self.fail("unreadable", value=quoted(data), zone=timezone.get_current_timezone_name())


class Day(serializers.Field[Any, Any, Any, Any]):
    """The beginning of a period: a day (its midnight), or a Unix time in seconds."""

    json_schema: dict[str, Any] = {
        "type": "string",
        "description": "The first day, such as 2026-01-31, or a Unix time in seconds.",
    }
    default_error_messages = {
        "invalid": "This must be a date such as 2026-01-31, or a Unix time: whole seconds since 1970, such as 1767225600."
    }

    def to_internal_value(self, data: Any) -> datetime:
        text = str(data).strip()
        try:
            if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
                return timezone.make_aware(datetime.fromisoformat(text))
            return datetime.fromtimestamp(int(text), UTC)
        except (ValueError, OverflowError, OSError):
            self.fail("invalid")


class EndOfDay(Day):
    """The end of a period, inclusive: the end of the given day, or of the day of the given Unix time."""

    json_schema: dict[str, Any] = {
        "type": "string",
        "description": "The last day, such as 2026-01-31, or a Unix time in seconds.",
    }

    def to_internal_value(self, data: Any) -> datetime:
        moment = super().to_internal_value(data)
        try:
            midnight = timezone.localtime(moment).replace(hour=0, minute=0, second=0, microsecond=0)
            return midnight + timedelta(days=1)
        except OverflowError:  # 9999-12-31
            return moment


class Tags(serializers.Field[dict[str, Any], Any, Any, dict[str, Any]]):
    """An object of tags: JSON, JSON in a form field, or form fields such as `available_tags[tags_name]`."""

    json_schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "null"]},
        "maxProperties": MAX_TAGS,
        "description": "The values by the names of the tags.",
    }
    default_error_messages = {
        "many": "These are too many tags: one number can have {most}.",
        "no_object": 'This must be an object of tags, such as {{"tags_name": "Sita", "tags_age": 25}}.',
        "value": "The value of {tag} must be text or a number.",
        "unstorable": "{tag} has a character that cannot be stored.",
    }

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = sent_value(dictionary, self.field_name)
        if value is empty and isinstance(dictionary, QueryDict):
            prefix = f"{self.field_name}["
            pairs = {
                key[len(prefix) : -1]: dictionary[key]
                for key in dictionary
                if key.startswith(prefix) and key[-1] == "]"
            }
            return pairs or empty
        return value

    def to_internal_value(self, data: Any) -> dict[str, str | int | float]:
        if isinstance(data, str):
            data = json_or_none(data)
        if not isinstance(data, dict):
            self.fail("no_object")
        if len(data) > MAX_TAGS:
            self.fail("many", most=MAX_TAGS)
        return {tag: self._value(tag, value) for tag, value in data.items()}

    def _value(self, tag: str, value: Any) -> str | int | float:
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.fail("value", tag=quoted(tag))
        if not is_storable(tag) or (isinstance(value, str) and not is_storable(value)):
            self.fail("unstorable", tag=quoted(tag))
        return value


def validated(serializer: serializers.BaseSerializer[Any]) -> dict[str, Any]:
    """Return the validated data of the serializer. Raises ValidationError with all errors."""
    serializer.is_valid(raise_exception=True)
    sent: Mapping[str, Any] = serializer.validated_data
    return dict(sent)


def words_of(meanings: Iterable[Any], table: Mapping[Any, str]) -> dict[str, Any]:
    """Return `{word: meaning}` for the given meanings. `table` is `{meaning: word}` of all documented words."""
    return {table[meaning]: meaning for meaning in meanings}


def sent_value(dictionary: Mapping[Any, Any], name: str | None) -> Any:
    value = dictionary.get(name, empty)
    return empty if value is None or value == "" else value


def json_or_none(text: str) -> Any:
    """Parse JSON in a form field. Return None if the text is not valid JSON."""
    try:
        return json_value(text)
    except InvalidInput:
        return None


def quoted(value: Any) -> str:
    """Format a value for an error message: shortened, in quotation marks, without unprintable characters."""
    if isinstance(value, UploadedFile):
        text = "a file"
    else:
        # Large and nested values are shortened before they are formatted.
        text = value if isinstance(value, str) else _SHORT.repr(value)
    text = "".join(character if character.isprintable() else " " for character in text[:60])
    return f"“{text}…”" if isinstance(value, str) and len(value) > 60 else f"“{text}”"
