"""Choose which of the calls that the hopper has prepared for an alert are queued now."""

from __future__ import annotations

from collections.abc import Sequence

from campaigns.models import Run
from campaigns.runs import alerts, recipient_statuses
from campaigns.runs.delivery_requests import Addressee
from telephony.engine.enqueue import DeliveryRequest


def only_called(
    run: Run,
    requests: Sequence[DeliveryRequest],
    chosen: alerts.Chosen | None,
    again: Sequence[Addressee],
) -> list[DeliveryRequest]:
    """Store which recipients of an alert are called now, and return the requests for them. Call it with the run locked.

    Since the requests were made, others of their households may have heard.
    """
    if chosen is None:
        called = alerts.mark_called(run, [one.pk for one in again])
    else:
        called, spared = alerts.add(run, chosen)
        recipient_statuses.terminate(spared, run=run)
    return [request for request in requests if request.item in called]
