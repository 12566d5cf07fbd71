"""Refuse requests whose fields are all unknown, because a misspelt filter must not call everybody.

In v0, a begin request without fields means all numbers, and a change without fields changes nothing. So if a request has
fields, but iris knows none of them, it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.request import Request

from iris.api.fields import Tags
from iris.errors import InvalidInput

_INDEX = re.compile(r"\[[^\[\]]*\]\Z")
_ITEM = re.compile(r"\[[0-9]*\]\Z")
_MAX_NAME_CHARACTERS = 60  # longer names resemble no field
_LISTED = 10


def refuse_query(request: Request) -> None:
    """Raise InvalidInput for fields in the query string, which iris does not read here."""
    if names := list(request.query_params):
        raise InvalidInput(
            f"{_listed(names)} is in the query string, where iris does not read it. Send it in the body.",
            code="unknown_fields",
        )


class KnownFields(serializers.Serializer[Any]):
    """Accepts names that resemble a field (`statuses`, `Status`, `status[a]`), and refuses a body of unknown names."""

    refuses_empty: tuple[
        str, ...
    ] = ()  # fields for which empty text in JSON is an error and does not count as omitted

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and data:
            data = self._with_own_names(data)
            if not any(self._is_own(key) for key in data):
                sentence = f"None of these fields is known here: {_listed(list(data))}. Known are {', '.join(self.fields)}."
                raise serializers.ValidationError({"non_field_errors": [sentence]})
            if not isinstance(data, QueryDict):
                self._refuse_empty(data)
        return super().to_internal_value(data)

    def _is_own(self, key: object) -> bool:
        # A form may index a list or name the keys of an object.
        return isinstance(key, str) and key.partition("[")[0] in self.fields

    def _with_own_names(self, data: Mapping[Any, Any]) -> Mapping[Any, Any]:
        """Return the data, with the field's own name in place of each name that resembles it."""
        # In a form, an object is sent as several fields, each with a key in brackets (`tags[name]`). So a similar name is
        # not corrected for fields that are objects (Tags).
        by_singular = {
            _singular(own): own for own, field in self.fields.items() if not isinstance(field, Tags)
        }
        alike: dict[str, str] = {}
        for key in data:
            if not isinstance(key, str) or len(key) > _MAX_NAME_CHARACTERS or self._is_read_as_it_is(key):
                continue
            own = by_singular.get(_singular(_INDEX.sub("", key)))
            if own is None:
                continue
            if own in data or own in alike.values():
                sentence = f"This was sent twice: as {own} and as {key}. Send it once, as {own}."
                raise serializers.ValidationError({own: sentence})
            alike[key] = own
        if not alike:
            return data
        if isinstance(data, QueryDict):
            renamed = data.copy()
            for key, own in alike.items():
                renamed.setlist(own, renamed.pop(key))
            return renamed
        return {alike.get(key, key): value for key, value in data.items()}

    def _is_read_as_it_is(self, key: str) -> bool:
        """Return whether a field reads this name uncorrected: its own name, or an item of a list (`status[0]`)."""
        return key in self.fields or _ITEM.sub("", key) in self.fields

    def _refuse_empty(self, data: Mapping[Any, Any]) -> None:
        empty = [name for name in self.refuses_empty if name in self.fields and data.get(name) == ""]
        if empty:
            raise serializers.ValidationError(
                dict.fromkeys(empty, "This field is empty. Omit it if you do not want to change it.")
            )


def _singular(name: str) -> str:
    """Return a name in lower case and in the singular, for comparisons: Statuses → status."""
    name = name.lower()
    if name.endswith("uses"):
        return name[:-2]
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    return name if name.endswith("us") else name.removesuffix("s")


def _listed(names: list[Any]) -> str:
    shown = [str(name)[:40] for name in names[:_LISTED]]
    return ", ".join(shown) + (" and others" if len(names) > _LISTED else "")
