"""The account's defaults for campaigns, where a request leaves a field out."""

from __future__ import annotations

from typing import Any

from accounts.models import Account
from campaigns.models import Service


def with_default_services(fields: dict[str, Any], *, account: Account | None) -> dict[str, Any]:
    """Let the account's default services stand for those that a request does not send, if it has chosen some."""
    if account is not None and account.default_services:
        fields["services"].required = False
        fields["services"].default = Service(account.default_services)
    return fields
