"""The settings of an account. TingTing's API has none; this is an addition of iris.

A new setting needs its field in `Account`, a line in `accounts.account_settings` and one in `SettingChanges`, and the
trigger of the audit log must know it (`accounts.audit_triggers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import actors
from accounts.account_settings import SETTINGS, change_settings, settings_of
from accounts.api.account import account_of
from accounts.api.amounts import credits_json
from accounts.api.permissions import needs
from accounts.api.v0.setting_fields import Choice, Count, Credits, Flag, Name, Rule
from accounts.models import Account, Retention
from accounts.models.accounts import Duplicates, Language
from accounts.permissions import Permission
from iris.api.envelope import success
from iris.api.fields import validated
from iris.api.viewsets import V0ViewSet
from iris.errors import InvalidInput

# The published words for services, and how `Account.default_services` stores them.
SERVICES = {"PHONE": "call", "SMS": "sms", "SMS & PHONE": "both"}
_WORDS = {stored: word for word, stored in SERVICES.items()}


class SettingChanges(serializers.Serializer[Any]):
    """The settings to change. A request can contain any of them."""

    time_zone = Name()
    language = Choice({one.value: one.value for one in Language}, off=Language.NEPALI.value)
    default_voice = Name()
    default_caller = Name()
    default_services = Choice(SERVICES)
    default_spending_limit = Credits(off=None)
    low_credit_level = Credits(off=None)
    approval_above = Count(can_be_off=True)
    approval_hours = Count()
    retry = Rule()
    calling_hours = Rule()
    duplicates = Choice({one.value: one.value for one in Duplicates}, off=Duplicates.KEEP.value)
    frequency_cap = Rule()
    waves = Rule()
    opt_out_words = Rule()
    opt_out_key = Flag()
    announce_recording = Flag()
    alerts_past_opt_outs = Flag()
    keep_messages_days = Count(can_be_off=True)
    keep_recordings_days = Count(can_be_off=True)
    keep_recipients_days = Count(can_be_off=True)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and not set(data) & set(self.fields):
            raise InvalidInput(
                f"None of the sent fields is a setting. Send some of: {', '.join(SETTINGS)}.",
                code="unknown_settings",
            )
        return super().to_internal_value(data)


class SettingsViewSet(V0ViewSet):
    @needs(Permission.VIEW)
    def retrieve(self, request: Request) -> Response:
        return success({"settings": settings_json(account_of(request))})

    @needs(Permission.MANAGE_ACCOUNT)
    def update(self, request: Request) -> Response:
        changes = validated(SettingChanges(data=request.data))
        account = change_settings(account=account_of(request), by=actors.current(), **changes)
        return success({"settings": settings_json(account)}, message="Settings changed.")


def settings_json(account: Account) -> dict[str, Any]:
    """Return all settings in the words of the API. Settings that are switched off are null."""
    shown = {name: None if value == "" else value for name, value in settings_of(account).items()}
    shown["default_services"] = _WORDS.get(account.default_services)
    for name in ("default_spending_limit", "low_credit_level"):
        amount = getattr(account, name)
        shown[name] = None if amount is None else credits_json(amount)
    shown["erased"] = _erased_json(account)
    return shown


def _erased_json(account: Account) -> dict[str, Any] | None:
    """Return the counts of data that passes of retention erased, on the last day on which they erased any."""
    last = Retention.objects.filter(account=account, erased_at__isnull=False).first()
    if last is None or last.erased_at is None:
        return None
    return {"at": timezone.localtime(last.erased_at).isoformat(), **last.counts}
