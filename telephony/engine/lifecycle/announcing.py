"""Capture the credits of changed deliveries and announce the changes, in the transaction that made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accounts.credits import Capture, capture_many
from telephony.engine.signals import deliveries_changed
from telephony.models import FINAL, Channel, DeliveryStatus, Purpose
from webhooks import outbox


@dataclass(frozen=True, slots=True)
class Changed:
    """The new state of a delivery. `credits` is the amount that it captures.

    `has_endpoint` means that its owner wants to be told by webhooks.
    `is_late` means that the delivery had ended as lost, and a late report has corrected it. Its end was already announced.
    """

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
    try_number: int = 1
    has_endpoint: bool = False
    is_late: bool = False

    @property
    def is_final(self) -> bool:
        return self.status >= FINAL


# The columns that a statement must return for `announce`.
CHANGED = f"""d.id, d.purpose, d.batch, d.item, d.channel, d.status, d.cause, d.credits, d.seconds, d.playback, d.hold_id,
    d.try_number, {outbox.has_endpoint("d.owner_id")}"""


def announce(rows: Sequence[tuple[Any, ...]]) -> None:
    """Capture the credits of these deliveries and send `deliveries_changed`. Call it in the transaction that changed them.

    `rows` have the columns CHANGED.
    """
    if rows:
        tell(capture(rows))


def capture(rows: Sequence[tuple[Any, ...]]) -> list[Changed]:
    """Capture the credits of these deliveries, and return their new states. `rows` have the columns CHANGED."""
    changed = [changed_from(row) for row in rows]
    capture_many(
        captures=[
            Capture(hold_id=delivery.hold_id, amount=delivery.credits, cause=f"delivery:{delivery.id}")
            for delivery in changed
            if delivery.hold_id is not None and delivery.credits
        ]
    )
    return changed


def tell(changed: Sequence[Changed]) -> None:
    """Send `deliveries_changed`.

    Call it once for all changes of a transaction, so that receivers lock their rows in one order.
    """
    deliveries_changed.send(sender=Changed, changed=changed)


def changed_from(row: tuple[Any, ...]) -> Changed:
    """Return the state in a row with the columns CHANGED."""
    pk, purpose, batch, item, channel, status, *rest = row
    return Changed(pk, Purpose(purpose), batch, item, Channel(channel), DeliveryStatus(status), *rest)
