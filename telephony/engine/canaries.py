"""Try paused trunks with one delivery each: the canary.

`pacing.claim` claims the canary. It is the first due delivery of the trunk, or, if all have moved to other trunks, one that
is borrowed from them. It was never submitted, so no carrier can have it. If the trunk accepts it, the trunk is resumed.
Otherwise the delivery is queued again, and moves to the next trunk of its route.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from telephony.engine import circuit_breaker, lifecycle, routing, trunk_queues
from telephony.models import FINAL, Channel, Delivery, DeliveryStatus, PauseCause, Trunk
from telephony.models.statuses import QUEUED
from telephony.senders.choosing import SenderChoice

CANDIDATES = 100  # queued deliveries that are examined, in search of one whose route has the paused trunk
MAX_WAIT = timedelta(minutes=1)  # until a borrowed delivery that nobody claims is given back
ACCEPTED = (
    DeliveryStatus.SUBMITTED, DeliveryStatus.RINGING, DeliveryStatus.ANSWERED, DeliveryStatus.COMPLETED,
    DeliveryStatus.HUNGUP, DeliveryStatus.UNANSWERED,
)  # fmt: skip


def tend() -> None:
    """Look at the canaries of all paused trunks, and choose new ones where they are due. Each tick calls this."""
    for trunk in Trunk.objects.filter(alias__in=settings.CARRIERS, paused_until=None).exclude(
        pause_reason=""
    ):
        if trunk.pause_cause == PauseCause.SILENCE and _has_reported_again(trunk):
            circuit_breaker.resume(trunk.alias, reason="Its reports come again.")
        elif trunk.canary is not None:
            _look_at(trunk, trunk.canary)
        elif trunk.probe_at is not None and trunk.probe_at <= timezone.now():
            _borrow(trunk)


def _has_reported_again(trunk: Trunk) -> bool:
    return (
        trunk.reported_at is not None and trunk.paused_at is not None and trunk.reported_at > trunk.paused_at
    )


def _look_at(trunk: Trunk, canary: int) -> None:
    """Resume the trunk if it has accepted the canary. Forget a canary that has failed, so that it can move on."""
    delivery = Delivery.objects.filter(pk=canary, trunk=trunk).only("status", "ref").first()
    # A claim moves `probe_at` to the time of the next canary.
    was_tried = trunk.probe_at is None or trunk.probe_at > timezone.now()
    if delivery is None:
        _forget(trunk, canary)
    elif _is_accepted(delivery) and trunk.pause_cause != PauseCause.SILENCE:
        circuit_breaker.resume(trunk.alias, reason="It has accepted the canary.")
    elif delivery.status == DeliveryStatus.QUEUED:
        if was_tried or (trunk.probe_at is not None and trunk.probe_at < timezone.now() - MAX_WAIT):
            _forget(trunk, canary)
    elif not was_tried or delivery.status >= FINAL:  # the next canary is due, or this one was refused
        _forget(trunk, canary)


def _is_accepted(delivery: Delivery) -> bool:
    return delivery.status in ACCEPTED or (delivery.status == DeliveryStatus.FAILED and bool(delivery.ref))


def _forget(trunk: Trunk, canary: int) -> None:
    """Forget the canary. One that nobody claimed is tried again later."""
    due = timezone.now() + timedelta(seconds=circuit_breaker.probe_seconds(PauseCause(trunk.pause_cause), 0))
    rows = Trunk.objects.filter(pk=trunk.pk, canary=canary).exclude(pause_reason="")
    if trunk.probe_at is not None and trunk.probe_at < timezone.now() - MAX_WAIT:
        rows.update(canary=None, probe_at=due)
    else:
        rows.update(canary=None)


@transaction.atomic
def _borrow(trunk: Trunk) -> None:
    """Move a queued delivery of another trunk to this one, if its route has both and this one has none of its own."""
    if trunk.alias == settings.TWIN_TRUNK or not trunk_queues.is_served(trunk.alias):
        return
    if Delivery.objects.filter(trunk=trunk, status=QUEUED).exists():
        return
    locked = (
        Trunk.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(pk=trunk.pk, canary=None, probe_at__lte=timezone.now(), paused_until=None)
        .exclude(pause_reason="")
        .first()
    )
    if locked is None:
        return
    for channel in Channel:
        others = routing.trunks_beside(trunk.alias, channel)
        candidates = (
            Delivery.objects.select_for_update(no_key=True, skip_locked=True)
            .filter(
                trunk__in=Trunk.objects.filter(alias__in=others), status=QUEUED, channel=channel,
                pinned_since=None, not_before__lte=timezone.now(),
            )
            .order_by("-priority", "attempts", "not_before", "pk")  # OTPs last
            .only("to", "owner_id")
        )[:CANDIDATES]  # fmt: skip
        senders = SenderChoice({delivery.owner_id for delivery in candidates})
        for delivery in candidates:
            if trunk.alias not in routing.preferences_of(delivery.to, channel):
                continue
            if (
                channel is Channel.CALL
                or senders.pick(delivery.owner_id, trunk.alias, delivery.to) is not None
            ):
                lifecycle.move(delivery.pk, trunk_id=trunk.pk)
                Trunk.objects.filter(pk=trunk.pk).update(canary=delivery.pk)
                trunk_queues.wake(trunk.alias)
                return
