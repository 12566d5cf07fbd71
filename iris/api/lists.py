"""Serializer fields that parse lists in all spellings that clients send. The length is checked before the items."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.fields import empty

from iris.api.fields import json_or_none, quoted, sent_value

LARGEST_ID = 2**63 - 1
MAX_LISTED = 10_000  # numbers, contacts or ids in one request
MAX_WORDS = 100


class Many(serializers.Field[Any, Any, Any, Any]):
    """A list: as JSON, a single value, comma-separated text, JSON in a form field, or repeated form fields.

    Repeated form fields are named `x`, `x[]` or `x[0]`. Text is split at commas and trimmed; other items are unchanged.
    """

    json_schema: Any = {"type": "array", "items": {}}
    default_error_messages = {
        "required": "This field is missing: it must be a list.",
        "nothing": "This list is empty. Omit it if you do not want to choose anything.",
        "object": "This must be a list.",
        "many": "This list is too long: one request can have at most {most:,}. {advice}",
    }
    most = MAX_LISTED
    advice = "Send the other items in further requests."

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        if not isinstance(dictionary, QueryDict):
            return sent_value(dictionary, self.field_name)
        name = re.compile(re.escape(self.field_name or "") + r"(\[\d*\])?")
        sent = [item for key, items in dictionary.lists() if name.fullmatch(key) for item in items]
        return [item for item in sent if not isinstance(item, str) or item.strip()] or empty

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, Mapping):
            self.fail("object")
        listed = data if isinstance(data, list) else [data]
        items: list[Any] = []
        # Count the items before validating them, and count the commas of a text before splitting it.
        self._count(len(listed))
        for item in listed:
            if isinstance(item, str):
                self._count(len(items) + 1 + item.count(",") + item.count("\n"))
                items.extend(_split(item))
            else:
                items.append(item)
            self._count(len(items))
        if not items:
            self.fail("nothing")
        return items

    def _count(self, count: int) -> None:
        if count > self.most:
            self.fail("many", most=self.most, advice=self.advice)


class Ids(Many):
    """A list of ids."""

    json_schema = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1}
    default_error_messages = {"no_id": "{value} is not an id: ids are whole numbers above 0."}

    def to_internal_value(self, data: Any) -> list[int]:
        return [self._id(item) for item in super().to_internal_value(data)]

    def _id(self, item: Any) -> int:
        number = int(item) if isinstance(item, str) and re.fullmatch(r"[0-9]{1,19}", item) else item
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= LARGEST_ID:
            self.fail("no_id", value=quoted(item))
        return number


class Words(Many):
    """A list of documented words, case-insensitive, converted to their internal values."""

    default_error_messages = {"unknown": "{value} is not known here: use {words}."}
    most = MAX_WORDS
    advice = "Name each once."

    def __init__(self, words: Mapping[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.words = words
        self.shown = ", ".join(words)
        self.json_schema = {"type": "array", "items": {"type": "string", "enum": list(words)}, "minItems": 1}

    def to_internal_value(self, data: Any) -> list[Any]:
        return [self._meaning(item) for item in super().to_internal_value(data)]

    def _meaning(self, item: Any) -> Any:
        word = item.lower() if isinstance(item, str) else ""
        if word not in self.words:
            self.fail("unknown", value=quoted(item), words=self.shown)
        return self.words[word]


def _split(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        listed = json_or_none(text)
        if isinstance(listed, list):
            return listed
    return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]
