"""Create senders and trunks that need them, for tests."""

from __future__ import annotations

from typing import Any

from accounts.models import Account
from telephony.models import Sender, SenderStatus

SANDBOX = {"BACKEND": "telephony.carriers.sandbox.SandboxCarrier", "CPS": None, "CHANNELS": None}
NTC, NCELL, SMART, OTHER = "+9779841000001", "+9779801000002", "+9779611000003", "+97714412345"


def make_sender(
    address: str,
    *,
    owner: Account | None = None,
    operator: str = "",
    trunk: str = "",
    status: SenderStatus = SenderStatus.APPROVED,
) -> Sender:
    return Sender.objects.create(owner=owner, address=address, operator=operator, trunk=trunk, status=status)


def use_trunks(settings: Any, **needs: bool) -> None:
    """Configure sandbox trunks, in the order of the route of SMS. The values say whether they need senders."""
    settings.CARRIERS = {
        **{alias: {**SANDBOX, "NEEDS_SENDER": needed} for alias, needed in needs.items()},
        settings.TWIN_TRUNK: SANDBOX,
    }
    settings.ROUTES = {"call": list(needs), "sms": list(needs)}
