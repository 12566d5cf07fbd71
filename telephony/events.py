"""What carriers report, matched to our deliveries and applied in sets."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial

from telephony import lifecycle
from telephony.carriers import get_carrier
from telephony.carriers.base import CarrierEvent
from telephony.lifecycle import Report
from telephony.models import Delivery

log = logging.getLogger(__name__)

IDLE = 0.1  # seconds between two polls of a carrier that has nothing new


def record(alias: str, events: Sequence[CarrierEvent]) -> int:
    """Apply a carrier's events; how many deliveries changed. Doubled, late and unknown ones change nothing."""
    refs = [event.ref for event in events if not event.key]
    by_ref: dict[str, int] = {}
    if refs:
        by_ref = dict(Delivery.objects.filter(trunk__alias=alias, ref__in=refs).values_list("ref", "id"))
    reports = []
    for event in events:
        pk = int(event.key) if event.key else by_ref.get(event.ref)
        if pk is None:
            log.warning("%s reports %s on %r, which is none of ours", alias, event.status.name, event.ref)
            continue
        reports.append(
            Report(
                id=pk,
                status=event.status,
                at=event.at,
                cause=event.cause,
                seconds=event.seconds,
                playback=event.playback,
                text=event.text,
            )
        )
    return lifecycle.apply(reports)


def poll(alias: str, *, budget: float) -> bool:
    """Ask a carrier for news until nothing is in flight there or `budget` seconds are over; whether some still is."""
    carrier = get_carrier(alias)
    end = time.monotonic() + budget
    while time.monotonic() < end:
        if carrier.poll(partial(record, alias)):
            continue
        if not in_flight(alias):
            return False
        time.sleep(IDLE)
    return True


def in_flight(alias: str) -> bool:
    """Whether any delivery of this trunk is with the carrier."""
    return Delivery.objects.filter(
        trunk__alias=alias, status__gt=lifecycle.QUEUED, status__lt=lifecycle.END
    ).exists()


def look_up_unknown(alias: str) -> int:
    """Ask a carrier that can tell whether it took the deliveries we are unsure of; how many were settled.

    Those it has not taken are queued again: surely nobody was called. Asked only when the `valid_until` of their
    submission is well past, so that no slow process can still submit one.
    """
    carrier = get_carrier(alias)
    if not carrier.looks_up:
        return 0
    keys = [str(pk) for pk in lifecycle.unknown_since_lease(alias)]
    if not keys:
        return 0
    taken = carrier.look_up(keys)
    lifecycle.settle_unknown(
        taken=[int(k) for k in keys if taken.get(k)], report_timeout=carrier.report_timeout()
    )
    absent = [int(key) for key in keys if taken.get(key) is False]
    lifecycle.requeue(
        ids=absent, seconds=[0.0] * len(absent), texts=["The carrier has not got it."] * len(absent)
    )
    return len(taken)
