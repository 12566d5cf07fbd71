"""Create endpoints and events for tests."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.models import Account
from webhooks import outbox, sender, signing
from webhooks.events import Event
from webhooks.models import Endpoint, MessageState, OutboxMessage


def make_endpoint(owner: Account, *, url: str = "https://hooks.example.com/in", **fields: Any) -> Endpoint:
    return Endpoint.objects.create(owner=owner, url=url, **{"secret": signing.new_secret(), **fields})


def publish(owner: Account, *subjects: str, event: Event = Event.SMS_RECEIVED) -> None:
    """Publish one event for each of these objects."""
    for subject in subjects:
        outbox.publish(
            event, rows="SELECT %s::bigint, %s, json_build_object('id', 1)", parameters=[owner.pk, subject]
        )


def bodies(owner: Account) -> list[dict[str, Any]]:
    """Return the bodies of all events for this account, in their order."""
    rows = OutboxMessage.objects.filter(endpoint__owner=owner).order_by("pk")
    return [json.loads(row.body) for row in rows]


def send_until_finished(*, rounds: int = 100) -> None:
    """Send all events, without waiting for the times of their next attempts."""
    for _ in range(rounds):
        waiting = OutboxMessage.objects.filter(state=MessageState.PENDING, endpoint__is_enabled=True)
        if not waiting.exists():
            return
        waiting.update(due_at=timezone.now() - timedelta(seconds=1))
        sender.send_due(budget=0.2)
    raise AssertionError("There are still events that wait.")
