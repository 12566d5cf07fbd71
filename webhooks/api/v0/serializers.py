"""The v0 serializers of webhooks. TingTing's API has no webhooks; they are an addition of iris."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers
from rest_framework.fields import empty

from iris.api.fields import Moment, Text, sent_value
from iris.api.lists import Words
from webhooks.endpoints import MAX_NAME_CHARACTERS
from webhooks.events import Event
from webhooks.models import MAX_URL_CHARACTERS, Endpoint, MessageState, OutboxMessage

EVENTS = {event.value: event for event in Event}
# The words for the states of events.
STATES = {
    "waiting": MessageState.PENDING,
    "delivered": MessageState.DELIVERED,
    "given up": MessageState.GIVEN_UP,
}
_STATE_WORDS = {state: word for word, state in STATES.items()}


class Events(Words):
    """A list of events. The empty list, and the word `all`, stand for all events."""

    def __init__(self, **options: Any) -> None:
        super().__init__({**EVENTS, "all": None}, **options)

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = dictionary.get(self.field_name) if isinstance(dictionary, dict) else empty
        return value if value == [] else super().get_value(dictionary)

    def to_internal_value(self, data: Any) -> list[Event]:
        chosen = [] if data == [] else super().to_internal_value(data)
        return [] if None in chosen else chosen


class Flag(serializers.BooleanField):
    json_schema: ClassVar[dict[str, Any]] = {"type": "boolean"}
    default_error_messages = {"invalid": "Send true or false."}

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        return sent_value(dictionary, self.field_name)


class PastMoment(Moment):
    """A date and time in the past. Without a time zone, it is in that of the account."""

    def to_internal_value(self, data: Any) -> datetime:
        return self._read(data)


class NewWebhook(serializers.Serializer[Any]):
    url = Text(
        max_length=MAX_URL_CHARACTERS,
        error_messages={"required": "Send the address to which events are posted. It begins with https://."},
    )
    name = Text(required=False, max_length=MAX_NAME_CHARACTERS)
    events = Events(required=False)


class WebhookChanges(NewWebhook):
    url = Text(required=False, max_length=MAX_URL_CHARACTERS)
    enabled = Flag(required=False, source="is_enabled")


class Replay(serializers.Serializer[Any]):
    """One event, or the events of a time."""

    event = Text(required=False, max_length=60, source="webhook_id")
    to = PastMoment(required=False, source="until")
    # Added to the namespace of the class in this way, because `from` is a keyword.
    locals()["from"] = PastMoment(required=False, source="since")


def webhook_json(endpoint: Endpoint, *, secret: str | None = None) -> dict[str, Any]:
    """Return an endpoint. Only the responses that create a secret contain it."""
    return {
        "id": endpoint.pk,
        "name": endpoint.name,
        "url": endpoint.url,
        "events": endpoint.events,
        "enabled": endpoint.is_enabled,
        "disabled_reason": endpoint.disabled_reason or None,
        "failing_since": _shown(endpoint.failing_since),
        "last_error": endpoint.last_error if endpoint.failing_since else None,
        "old_secret_until": _shown(endpoint.old_secret_until),
        "created_at": _shown(endpoint.created_at),
        **({} if secret is None else {"secret": secret}),
    }


def delivery_json(message: OutboxMessage) -> dict[str, Any]:
    """Return an event with its attempts, the oldest first."""
    is_pending = message.state == MessageState.PENDING
    return {
        "id": message.webhook_id,
        "event": message.event,
        "status": _STATE_WORDS[MessageState(message.state)],
        "created_at": _shown(message.created_at),
        "next_attempt_at": _shown(message.due_at) if is_pending else None,
        "attempts": [
            {
                "at": _shown(datetime.fromisoformat(one["at"])),
                "code": one["code"],
                "error": one["error"] or None,
                "seconds": one["seconds"],
            }
            for one in message.attempts
        ],
        "body": message.body,
    }


def _shown(moment: datetime | None) -> str | None:
    return None if moment is None else timezone.localtime(moment).isoformat()
