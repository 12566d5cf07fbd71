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

from iris.errors import InvalidInput

_INDEX = re.compile(r"\[[^\[\]]*\]\Z")
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
        alike: dict[str, str] = {}
        for key in data:
            if isinstance(key, str) and key not in self.fields and (own := self._alike(key)) is not None:
                if own in data or own in alike.values():
                    raise serializers.ValidationError(
                        {own: f"This was sent twice: as {own} and as {key[:60]}."}
                    )
                alike[key] = own
        if not alike:
            return data
        if isinstance(data, QueryDict):
            renamed = data.copy()
            for key, own in alike.items():
                renamed.setlist(own, renamed.pop(key))
            return renamed
        return {alike.get(key, key): value for key, value in data.items()}

    def _alike(self, key: str) -> str | None:
        """The field that a name resembles: in another case, in the plural or the singular, or with an index."""
        written = _INDEX.sub("", key)
        if (
            written == key.partition("[")[0]
            and written in self.fields
            and re.fullmatch(r"\[\d*\]", key[len(written) :])
        ):
            return None  # a list in a form, which its field reads by itself
        name = _singular(written)
        own_names: list[str] = list(map(str, self.fields))
        found = [own for own in own_names if _singular(own) == name and own != key]
        return found[0] if len(found) == 1 and not self._is_object(found[0]) else None

    def _is_object(self, own: str) -> bool:
        return own == "available_tags"  # its keys stand in brackets

    def _refuse_empty(self, data: Mapping[Any, Any]) -> None:
        empty = [name for name in self.refuses_empty if name in self.fields and data.get(name) == ""]
        if empty:
            raise serializers.ValidationError(
                dict.fromkeys(empty, "This is empty. Leave it out if it is not to be changed.")
            )


def _singular(name: str) -> str:
    name = name.strip().lower().replace("-", "_")
    return (
        name[:-2]
        if name.endswith(("ses", "xes"))
        else name.removesuffix("s")
        if not name.endswith("us")
        else name
    )


def _listed(names: list[Any]) -> str:
    shown = [str(name)[:40] for name in names[:_LISTED]]
    return ", ".join(shown) + (" and others" if len(names) > _LISTED else "")
