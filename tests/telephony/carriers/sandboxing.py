"""Send campaigns to the sandbox, for the tests of what its recipients do."""

from __future__ import annotations

from campaigns import runs
from campaigns.models import Campaign
from telephony.models import Delivery, SandboxMessage
from tests import engine

MAX_LOOPS = 50


def sent(campaign: Campaign) -> list[SandboxMessage]:
    """Begin the campaign, submit everything, and return what has arrived in the sandbox of its account."""
    runs.begin(campaign=campaign)
    for _ in range(MAX_LOOPS):  # several, if other runs are filled first
        engine.run_all_loops_once()
        keys = Delivery.objects.filter(owner=campaign.owner).values_list("pk", flat=True)
        arrived = SandboxMessage.objects.filter(delivery_key__in=map(str, keys)).order_by("to")
        if arrived.count() >= campaign.number_count:
            return list(arrived)
    raise AssertionError("Not everything has arrived in the sandbox.")
