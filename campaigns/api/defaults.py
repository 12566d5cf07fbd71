"""Use the account's defaults for campaigns if a request omits a field."""

from __future__ import annotations

from typing import Any

from accounts.models import Account
from campaigns.models import Service


def with_default_services(fields: dict[str, Any], *, account: Account | None) -> dict[str, Any]:
    """Use the account's default services, if it has chosen any, for a request that sends no services."""
    if account is not None and account.default_services:
        fields["services"].required = False
        fields["services"].default = Service(account.default_services)
    return fields
