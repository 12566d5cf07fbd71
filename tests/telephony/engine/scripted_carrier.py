"""A carrier whose results a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from telephony.carriers.base import Accepted, Carrier, Result, Submission
from telephony.models import Channel, Delivery, DeliveryStatus


class ScriptedCarrier(Carrier):
    """Return the results that the test chooses."""

    channels: ClassVar = frozenset(Channel)
    batch_size: ClassVar = 3
    answer: ClassVar[Callable[[Sequence[Submission]], list[Result]]]
    seen: ClassVar[list[list[Submission]]] = []

    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        self.seen.append(list(batch))
        return type(self).answer(batch)


def accept(batch: Sequence[Submission]) -> list[Result]:
    return [Accepted(key=one.key, ref=f"ref-{one.key}") for one in batch]


def raising(error: Exception) -> Callable[[Sequence[Submission]], list[Result]]:
    def answer(batch: Sequence[Submission]) -> list[Result]:
        raise error

    return answer


def statuses() -> list[DeliveryStatus]:
    return [
        DeliveryStatus(status) for status in Delivery.objects.order_by("pk").values_list("status", flat=True)
    ]
