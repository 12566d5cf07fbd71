"""A filter that is misspelt, or in the wrong place, must not mean everyone.

In v0, leaving all fields out of a beginning means all numbers, and out of a change that nothing changes. So a request that
does send something, of which nothing is known here, is refused.
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
    """Raise InvalidInput for fields in the address, where nothing reads them."""
    if names := list(request.query_params):
        raise InvalidInput(
            f"{_listed(names)} stands in the address, where it is not read. Send it in the body.",
            code="unknown_fields",
        )


class KnownFields(serializers.Serializer[Any]):
    """Reads names that resemble a field of its own (`statuses`, `Status`, `status[a]`), and refuses a body without any."""

    refuses_empty: tuple[str, ...] = ()  # fields whose empty text in JSON is a mistake, and not left out

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and data:
            data = self._with_own_names(data)
            if not any(self._is_own(key) for key in data):
                sentence = f"Nothing that was sent is known here: {_listed(list(data))}. Known are {', '.join(self.fields)}."
                raise serializers.ValidationError({"non_field_errors": [sentence]})
            if not isinstance(data, QueryDict):
                self._refuse_empty(data)
        return super().to_internal_value(data)

    def _is_own(self, key: object) -> bool:
        # A form may index a list or name the keys of an object.
        return isinstance(key, str) and key.partition("[")[0] in self.fields

    def _with_own_names(self, data: Mapping[Any, Any]) -> Mapping[Any, Any]:
        """Return the data with names that resemble a field written as the field's name."""
        # An object has its keys in brackets in a form, so nothing that resembles it is read as it.
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
        """Return whether a field reads this name by itself: its own, or an item of a list (`status[0]`)."""
        return key in self.fields or _ITEM.sub("", key) in self.fields

    def _refuse_empty(self, data: Mapping[Any, Any]) -> None:
        empty = [name for name in self.refuses_empty if name in self.fields and data.get(name) == ""]
        if empty:
            raise serializers.ValidationError(
                dict.fromkeys(empty, "This is empty. Leave it out if it is not to be changed.")
            )


def _singular(name: str) -> str:
    """Return a name in small letters and the singular, to compare it with others: Statuses → status."""
    name = name.lower()
    if name.endswith("uses"):
        return name[:-2]
    return name if name.endswith("us") else name.removesuffix("s")


def _listed(names: list[Any]) -> str:
    shown = [str(name)[:40] for name in names[:_LISTED]]
    return ", ".join(shown) + (" and others" if len(names) > _LISTED else "")
