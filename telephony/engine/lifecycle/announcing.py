"""Telling what became of deliveries: what they cost is booked, and whoever ordered them hears of it, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accounts.credits import Capture, capture_many
from telephony.engine.signals import deliveries_changed
from telephony.models import FINAL, Channel, DeliveryStatus, Purpose


@dataclass(frozen=True, slots=True)
class Changed:
    """What a delivery has just become. `credits` is what it has captured."""

    id: int
    purpose: Purpose
    batch: int
    item: int
    channel: Channel
    status: DeliveryStatus
    cause: str
    credits: Decimal
    seconds: float | None
    playback: int | None
    hold_id: int | None

    @property
    def is_final(self) -> bool:
        return self.status >= FINAL


# What a statement returns for `announce`.
CHANGED = "d.id, d.purpose, d.batch, d.item, d.channel, d.status, d.cause, d.credits, d.seconds, d.playback, d.hold_id"


def announce(rows: Sequence[tuple[Any, ...]]) -> None:
    """Book what these deliveries cost and tell whoever listens, all in the transaction that changed them."""
    if not rows:
        return
    changed = [
        Changed(pk, Purpose(purpose), batch, item, Channel(channel), DeliveryStatus(status), *rest)
        for pk, purpose, batch, item, channel, status, *rest in rows
    ]
    capture_many(
        captures=[
            Capture(hold_id=delivery.hold_id, amount=delivery.credits, cause=f"delivery:{delivery.id}")
            for delivery in changed
            if delivery.hold_id is not None and delivery.credits
        ]
    )
    deliveries_changed.send(sender=Changed, changed=changed)
