"""The settings of an account. TingTing's API has none; this is an addition of iris.

A new setting needs its field in `Account`, a line in `accounts.account_settings` and one in `SettingChanges`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import actors
from accounts.account_settings import SETTINGS, change_settings, settings_of
from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.permissions import Permission
from iris.api.envelope import success
from iris.api.fields import quoted, validated
from iris.api.viewsets import V0ViewSet
from iris.errors import InvalidInput

OFF = ("off", "none", "null")


class Count(serializers.Field[Any, Any, Any, Any]):
    """A whole number, or the same as text. With `can_be_off`, null and the words in `OFF` are read as None.

    In other fields, null means that the field was omitted. Here it is a value, because clients must be able to switch a
    setting off.
    """

    default_error_messages = {
        "invalid": "{value} is not a whole number.",
        "off": "{value} is not a whole number. Send null or “off” to switch this off.",
    }

    def __init__(self, *, can_be_off: bool = False, **options: Any) -> None:
        super().__init__(required=False, **options)
        self._can_be_off = can_be_off

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = dictionary.get(self.field_name, empty)
        if value is None and self._can_be_off:
            return OFF[0]
        return empty if value is None or value == "" else value

    def to_internal_value(self, data: Any) -> int | None:
        text = data.strip().lower() if isinstance(data, str) else str(data) if type(data) is int else ""
        if self._can_be_off and text in OFF:
            return None
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(text) <= 18):
            self.fail("off" if self._can_be_off else "invalid", value=quoted(data))
        return int(text)


class SettingChanges(serializers.Serializer[Any]):
    """The settings to change. A request can contain any of them."""

    approval_above = Count(can_be_off=True)
    approval_hours = Count()

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and not set(data) & set(self.fields):
            raise InvalidInput(f"None of the sent fields is a setting. Send some of: {', '.join(SETTINGS)}.")
        return super().to_internal_value(data)


class SettingsViewSet(V0ViewSet):
    @needs(Permission.VIEW)
    def retrieve(self, request: Request) -> Response:
        return success({"settings": settings_of(account_of(request))})

    @needs(Permission.MANAGE_ACCOUNT)
    def update(self, request: Request) -> Response:
        changes = validated(SettingChanges(data=request.data))
        account = change_settings(account=account_of(request), by=actors.current(), **changes)
        return success({"settings": settings_of(account)}, message="Settings changed.")
