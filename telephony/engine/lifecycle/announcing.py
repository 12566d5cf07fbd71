"""Capture the credits of changed deliveries and announce the changes, in the transaction that made them."""

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
    """The new state of a delivery. `credits` is the amount that it captures."""

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


# The columns that a statement must return for `announce`.
CHANGED = "d.id, d.purpose, d.batch, d.item, d.channel, d.status, d.cause, d.credits, d.seconds, d.playback, d.hold_id"


def announce(rows: Sequence[tuple[Any, ...]]) -> None:
    """Capture the credits of these deliveries and send `deliveries_changed`. Call it in the transaction that changed them.

    `rows` have the columns CHANGED.
    """
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
