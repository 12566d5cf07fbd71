"""A campaign with many recipients, and how often each of them was reached."""

from __future__ import annotations

from collections import Counter
from typing import Any

from campaigns.models import Campaign
from telephony.models import SandboxMessage
from tests.factories import make_campaign


def sent() -> Counter[str]:
    return Counter(SandboxMessage.objects.values_list("to", flat=True))


def make_big_campaign(count: int = 30, **fields: Any) -> Campaign:
    return make_campaign(numbers=range(9841000001, 9841000001 + count), **fields)


def everybody_once(campaign: Campaign) -> dict[str, int]:
    return dict.fromkeys(campaign.recipients.values_list("to", flat=True), 1)
