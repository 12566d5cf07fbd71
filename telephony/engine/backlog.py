"""Find queued deliveries on blocked trunks: trunks that submit nothing until the operator acts."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count

from telephony.engine import trunk_queues
from telephony.models import Delivery, Trunk
from telephony.models.statuses import QUEUED

log = logging.getLogger(__name__)

WARN_SECONDS = 60.0  # seconds between two warnings of one process

_warned_at = -WARN_SECONDS


@dataclass(frozen=True, slots=True)
class BlockedQueue:
    """The number of deliveries that are queued on a blocked trunk, and the reason."""

    alias: str
    queued: int
    reason: str


def blocked_queues() -> list[BlockedQueue]:
    """Return the blocked trunks that have queued deliveries, in the order of their aliases."""
    blocked = []
    for trunk in Trunk.objects.order_by("alias"):
        reason = _reason(trunk)
        if reason:
            queued = Delivery.objects.filter(trunk=trunk, status=QUEUED).aggregate(n=Count("pk"))["n"]
            if queued:
                blocked.append(BlockedQueue(trunk.alias, queued, reason))
    return blocked


def _reason(trunk: Trunk) -> str:
    """Return why a trunk submits nothing until the operator acts; an empty string if it submits deliveries."""
    if trunk.alias not in settings.CARRIERS:
        return "it is no longer configured, and no other trunk serves its route"
    if trunk.is_paused and trunk.probe_at is None:
        return f"it is paused until an operator resumes it: {trunk.pause_reason}"
    if trunk.is_paused:
        return f"it is paused: {trunk.pause_reason}"
    if not trunk_queues.is_served(trunk.alias):
        return f"no worker serves it: celery --app iris worker --queues {trunk_queues.PREFIX}{trunk.alias}"
    return ""


def warn() -> None:
    """Log a warning for each blocked queue, at most once a minute."""
    global _warned_at
    if time.monotonic() - _warned_at < WARN_SECONDS:
        return
    blocked = blocked_queues()
    if blocked:
        _warned_at = time.monotonic()
    for queue in blocked:
        log.warning("%d deliveries wait on the trunk %s: %s", queue.queued, queue.alias, queue.reason)
