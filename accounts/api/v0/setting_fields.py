"""Serializer fields of settings, which can be switched off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from accounts.api.amounts import Amount
from iris.api.fields import quoted
from iris.api.json_text import json_value
from iris.errors import InvalidInput

OFF = ("off", "none", "null")
MAX_NAME_CHARACTERS = 100


class Setting(serializers.Field[Any, Any, Any, Any]):
    """A setting that can be switched off. Null and the words `OFF` are `off`, and empty text is an omitted field.

    Elsewhere null is an omitted field. Here it is a value, because a setting must be switched off somehow.
    """

    def __init__(self, *, off: Any = "", **options: Any) -> None:
        super().__init__(required=False, **options)
        self._off = off

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = dictionary.get(self.field_name, empty)
        if value is None:
            return OFF[0]
        return empty if value == "" else value

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str) and data.strip().lower() in OFF:
            return self._off
        return self.read(data)

    def read(self, data: Any) -> Any:
        raise NotImplementedError


class Name(Setting):
    """The name of something, as text."""

    json_schema: dict[str, Any] = {"type": ["string", "null"]}
    default_error_messages = {"invalid": "This must be text, or null for none."}

    def read(self, data: Any) -> str:
        if isinstance(data, bool) or not isinstance(data, str | int):
            self.fail("invalid")
        return str(data).strip()[:MAX_NAME_CHARACTERS]


class Choice(Setting):
    """One of a few words, case-insensitive."""

    default_error_messages = {"unknown": "{value} is not known here: it must be one of {words}, or null."}

    def __init__(self, words: Mapping[str, str], **options: Any) -> None:
        super().__init__(**options)
        self._words, self._shown = {word.lower(): stored for word, stored in words.items()}, ", ".join(words)
        self.json_schema = {"enum": [*words, None]}

    def read(self, data: Any) -> str:
        word = data.strip().lower() if isinstance(data, str) else None
        if word not in self._words:
            self.fail("unknown", value=quoted(data), words=self._shown)
        return self._words[word]


class Credits(Setting, Amount):
    """An amount of credits. If it is switched off, it is None."""

    json_schema: dict[str, Any] = {"type": ["number", "null"], "minimum": 0.01}
    read = Amount.to_internal_value


class Count(Setting):
    """A whole number, or its digits as text. A setting that is switched off is None."""

    default_error_messages = {
        "invalid": "{value} is not a whole number.",
        "off": "{value} is not a whole number. Send null or “off” to switch this off.",
    }

    def __init__(self, *, can_be_off: bool = False, **options: Any) -> None:
        super().__init__(off=None, **options)
        self._can_be_off = can_be_off
        self.json_schema = {"type": ["integer", "null"] if can_be_off else "integer"}

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = super().get_value(dictionary)
        return empty if dictionary.get(self.field_name) is None and not self._can_be_off else value

    def to_internal_value(self, data: Any) -> int | None:
        return super().to_internal_value(data) if self._can_be_off else self.read(data)

    def read(self, data: Any) -> int:
        text = data.strip() if isinstance(data, str) else str(data) if type(data) is int else ""
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(text) <= 18):
            self.fail("off" if self._can_be_off else "invalid", value=quoted(data))
        return int(text)


class Rule(Setting):
    """An object, or the same as JSON text. If it is switched off, it is None. The app that knows the rule checks it."""

    json_schema: dict[str, Any] = {
        "type": ["object", "null"],
        "description": "The rule. Null switches it off.",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(off=None, **options)

    def read(self, data: Any) -> Any:
        try:
            return json_value(data) if isinstance(data, str) else data
        except InvalidInput as error:
            raise serializers.ValidationError(error.message) from error


class Flag(Setting):
    """True or false. The words `OFF` are false, and so are null and “no”; “on” and “yes” are true."""

    json_schema: dict[str, Any] = {"type": ["boolean", "null"]}
    default_error_messages = {"invalid": "{value} is neither true nor false."}

    def __init__(self, **options: Any) -> None:
        super().__init__(off=False, **options)

    def read(self, data: Any) -> bool:
        word = str(data).strip().lower() if isinstance(data, bool | int | str) else ""
        if word in ("true", "1", "on", "yes"):
            return True
        if word not in ("false", "0", "no"):
            self.fail("invalid", value=quoted(data))
        return False
