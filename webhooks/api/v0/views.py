"""Webhooks in the v0 dialect: endpoints, their secrets, and the events that were sent to them."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.permissions import Permission
from iris.api.envelope import success
from iris.api.fields import validated
from iris.api.filters import FilterSet, SentFilter
from iris.api.lists import Words
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet, retries
from webhooks import endpoints
from webhooks.api.retries import CREATED_SECRET
from webhooks.api.v0.serializers import (
    EVENTS,
    STATES,
    NewWebhook,
    Replay,
    WebhookChanges,
    delivery_json,
    webhook_json,
)
from webhooks.events import TEST
from webhooks.models import OutboxMessage

ONCE = "It is shown only now, so store it safely."


class DeliveryFilter(FilterSet):
    """Filters the events of an endpoint by status and by kind."""

    status = SentFilter(Words(STATES), field_name="state", lookup_expr="in")
    event = SentFilter(Words({**EVENTS, TEST: TEST}), field_name="event", lookup_expr="in")


class WebhookViewSet(V0ViewSet):
    filterset_class = DeliveryFilter

    @needs(Permission.MANAGE_ACCOUNT)
    def list(self, request: Request) -> Response:
        shown = [webhook_json(one) for one in endpoints.endpoints_of(account_of(request))]
        return success({"webhooks": shown})

    @retries(CREATED_SECRET)  # a repeated request does not get the secret again
    @needs(Permission.MANAGE_ACCOUNT)
    def create(self, request: Request) -> Response:
        new = validated(NewWebhook(data=request.data))
        endpoint = endpoints.create(account=account_of(request), **new)
        shown = webhook_json(endpoint, secret=endpoint.secret)
        return success({"webhook": shown}, message=f"Webhook created with a secret. {ONCE}", status=201)

    @needs(Permission.MANAGE_ACCOUNT)
    def retrieve(self, request: Request, webhook_id: int) -> Response:
        endpoint = endpoints.find(account=account_of(request), endpoint_id=webhook_id)
        return success({"webhook": webhook_json(endpoint)})

    @needs(Permission.MANAGE_ACCOUNT)
    def update(self, request: Request, webhook_id: int) -> Response:
        endpoints.find(account=account_of(request), endpoint_id=webhook_id)
        changes = validated(WebhookChanges(data=request.data))
        endpoint = endpoints.change(account=account_of(request), endpoint_id=webhook_id, **changes)
        return success({"webhook": webhook_json(endpoint)}, message="Webhook changed.")

    @needs(Permission.MANAGE_ACCOUNT)
    def destroy(self, request: Request, webhook_id: int) -> Response:
        endpoint = endpoints.delete(account=account_of(request), endpoint_id=webhook_id)
        return success({"id": endpoint.pk}, message="Webhook deleted.")

    @retries(CREATED_SECRET)
    @needs(Permission.MANAGE_ACCOUNT)
    def rotate(self, request: Request, webhook_id: int) -> Response:
        endpoint = endpoints.rotate(account=account_of(request), endpoint_id=webhook_id)
        return success(
            {"webhook": webhook_json(endpoint, secret=endpoint.secret)},
            message=f"The webhook has a new secret. {ONCE} Until tomorrow, requests are signed with the old one, too.",
        )

    @needs(Permission.MANAGE_ACCOUNT)
    def test(self, request: Request, webhook_id: int) -> Response:
        message = endpoints.send_test(account=account_of(request), endpoint_id=webhook_id)
        return success({"delivery": delivery_json(message)}, message="A test event will be sent.", status=201)

    @needs(Permission.MANAGE_ACCOUNT)
    def deliveries(self, request: Request, webhook_id: int) -> Response:
        endpoint = endpoints.find(account=account_of(request), endpoint_id=webhook_id)
        rows: QuerySet[OutboxMessage] = self.filter_queryset(endpoints.messages_of(endpoint))
        page = paginate(request, rows)
        return success(
            {"pagination": page.pagination, "deliveries": [delivery_json(one) for one in page.items]}
        )

    @needs(Permission.MANAGE_ACCOUNT)
    def replay(self, request: Request, webhook_id: int) -> Response:
        account = account_of(request)
        endpoints.find(account=account, endpoint_id=webhook_id)
        chosen = validated(Replay(data=request.data))
        count = endpoints.replay(account=account, endpoint_id=webhook_id, **chosen)
        return success(
            {"replayed": count}, message=f"{count:,} event{'' if count == 1 else 's'} will be sent again."
        )
