"""Deliveries that wait where nobody takes them: for the operator, who alone can do something about it."""

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

WARN_SECONDS = 60.0  # between two warnings of one process

_warned_at = -WARN_SECONDS


@dataclass(frozen=True, slots=True)
class Stranded:
    """So many deliveries are queued on a trunk that takes none, and `why`."""

    alias: str
    queued: int
    why: str


def stranded() -> list[Stranded]:
    """The trunks on which deliveries wait for the operator, by alias."""
    found = []
    for trunk in Trunk.objects.order_by("alias"):
        why = _why(trunk)
        if why:
            queued = Delivery.objects.filter(trunk=trunk, status=QUEUED).aggregate(n=Count("pk"))["n"]
            if queued:
                found.append(Stranded(trunk.alias, queued, why))
    return found


def _why(trunk: Trunk) -> str:
    if trunk.alias not in settings.CARRIERS:
        return "it is not configured any more, and no other trunk has its route"
    if trunk.pause_reason and trunk.paused_until is None:
        return f"it is paused until an operator clears it: {trunk.pause_reason}"
    if not trunk_queues.is_served(trunk.alias):
        return f"no worker serves it: celery --app iris worker --queues {trunk_queues.PREFIX}{trunk.alias}"
    return ""


def warn() -> None:
    """Log what waits in vain, once a minute."""
    global _warned_at
    if time.monotonic() - _warned_at < WARN_SECONDS:
        return
    found = stranded()
    if found:
        _warned_at = time.monotonic()
    for one in found:
        log.warning("%d deliveries wait on the trunk %s: %s", one.queued, one.alias, one.why)
