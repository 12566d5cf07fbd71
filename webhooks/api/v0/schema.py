"""The operations of webhooks in v0, for the schema."""

from __future__ import annotations

from iris.api.openapi.operations import V0_PAGES, Area, Operation
from iris.api.openapi.shapes import (
    BOOL,
    INT,
    MOMENT,
    NUMBER,
    TEXT,
    V0_PAGINATION,
    Shape,
    enveloped,
    named,
    nullable,
    words,
)
from webhooks.api.v0.serializers import STATES, NewWebhook, Replay, WebhookChanges
from webhooks.api.v0.views import DeliveryFilter
from webhooks.events import TEST, Event

_ENDPOINT: dict[str, Shape] = {
    "id": INT,
    "name": TEXT,
    "url": TEXT,
    "events": [words(Event)],
    "enabled": BOOL,
    "disabled_reason": nullable(TEXT),
    "failing_since": nullable(MOMENT),
    "last_error": nullable(TEXT),
    "old_secret_until": nullable(MOMENT),
    "created_at": MOMENT,
}
ENDPOINT = named("V0Webhook", _ENDPOINT)
WITH_SECRET = named(
    "V0WebhookWithSecret", {**_ENDPOINT, "secret": TEXT}, about="The secret is shown only once."
)
DELIVERY = named(
    "V0WebhookDelivery",
    {
        "id": TEXT,
        "event": words((*Event, TEST)),
        "status": words(STATES),
        "created_at": MOMENT,
        "next_attempt_at": nullable(MOMENT),
        "attempts": [{"at": MOMENT, "code": nullable(INT), "error": nullable(TEXT), "seconds": NUMBER}],
        "body": TEXT,
    },
)

WEBHOOKS = Area(
    "v0 webhooks",
    "Endpoints to which iris posts events, and what was posted.",
    {
        "GET v0-webhooks": Operation(
            id="v0_list_webhooks",
            summary="List the endpoints of the account",
            answers={200: enveloped({"webhooks": [ENDPOINT]})},
        ),
        "POST v0-webhooks": Operation(
            id="v0_create_webhook",
            summary="Add an endpoint, and get its secret",
            body=NewWebhook,
            answers={201: enveloped({"webhook": WITH_SECRET})},
            refuses=(409,),
        ),
        "GET v0-webhook": Operation(
            id="v0_get_webhook",
            summary="Show an endpoint",
            answers={200: enveloped({"webhook": ENDPOINT})},
        ),
        "PUT POST PATCH v0-webhook": Operation(
            id="v0_update_webhook",
            summary="Change an endpoint, or switch it off or on",
            body=WebhookChanges,
            answers={200: enveloped({"webhook": ENDPOINT})},
        ),
        "DELETE v0-webhook": Operation(
            id="v0_delete_webhook",
            summary="Delete an endpoint",
            answers={200: enveloped({"id": INT})},
        ),
        "POST v0-webhook-rotate": Operation(
            id="v0_rotate_webhook_secret",
            summary="Get a new secret; for a day, requests are signed with the old one, too",
            answers={200: enveloped({"webhook": WITH_SECRET})},
        ),
        "POST v0-webhook-test": Operation(
            id="v0_test_webhook",
            summary="Send a test event",
            answers={201: enveloped({"delivery": DELIVERY})},
            refuses=(409,),
        ),
        "GET v0-webhook-deliveries": Operation(
            id="v0_list_webhook_deliveries",
            summary="List the events of an endpoint with their attempts, newest first",
            filters=DeliveryFilter,
            pages=V0_PAGES,
            answers={200: enveloped({"pagination": V0_PAGINATION, "deliveries": [DELIVERY]})},
        ),
        "POST v0-webhook-replay": Operation(
            id="v0_replay_webhook_events",
            summary="Send one event again, or those of a time",
            body=Replay,
            answers={200: enveloped({"replayed": INT})},
            refuses=(409,),
        ),
    },
)

AREAS = [WEBHOOKS]
