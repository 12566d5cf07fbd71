"""Send campaigns to the sandbox, for the tests of what its recipients do."""

from __future__ import annotations

from campaigns import runs
from campaigns.models import Campaign
from telephony.models import Delivery, SandboxMessage
from tests import engine


def sent(campaign: Campaign) -> list[SandboxMessage]:
    """Begin the campaign, submit everything, and return what arrived in the sandbox."""
    runs.begin(campaign=campaign)
    engine.run_all_loops_once()
    keys = Delivery.objects.filter(owner=campaign.owner).values_list("pk", flat=True)
    return list(SandboxMessage.objects.filter(delivery_key__in=map(str, keys)).order_by("to"))
