"""The base ViewSets. A ViewSet has one action for each operation; `urls.py` maps the documented paths to the actions:

    *with_and_without_slash("campaigns", CampaignViewSet.as_view({"get": "list", "post": "create"}), name="v0-campaigns")

Decorators state how an action differs from its class: `@reads(…)` sets the maximum length of its body, `@retries(…)`
how it obeys `Idempotency-Key`, and REST framework's `@throttle_classes([…])` its throttles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpRequest
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.viewsets import ViewSetMixin

from iris.api.filters import FilterBackend
from iris.api.idempotency import RetryRule
from iris.api.parsers import BodyLimit
from iris.api.views import ApiView, V0View, V1View

Action = TypeVar("Action", bound=Callable[..., Any])


def reads(limit: BodyLimit) -> Callable[[Action], Action]:
    """Set the maximum length of the body of an action. The default is that of the class."""

    def decorate(action: Action) -> Action:
        action.reads = limit  # type: ignore[attr-defined]
        return action

    return decorate


def retries(rule: RetryRule) -> Callable[[Action], Action]:
    """Set how an action obeys the header `Idempotency-Key`. The default is that of the class."""

    def decorate(action: Action) -> Action:
        action.retries = rule  # type: ignore[attr-defined]
        return action

    return decorate


class ActionsView(ViewSetMixin, ApiView, GenericAPIView[Any]):
    """The base of the ViewSets of all dialects. `filter_queryset` filters a list by the `filterset_class`."""

    filter_backends = (FilterBackend,)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        initialized = super().initialize_request(request, *args, **kwargs)
        # There is no action if the path does not support the request's method. Then the response is a 405.
        action = getattr(self, self.action or "", None)
        self.reads = getattr(action, "reads", self.reads)
        self.retries = getattr(action, "retries", self.retries)
        self.throttle_classes = getattr(action, "throttle_classes", self.throttle_classes)
        return initialized


class V0ViewSet(ActionsView, V0View):
    """Base of every ViewSet under /api/system."""


class V1ViewSet(ActionsView, V1View):
    """Base of every ViewSet under /api/v1."""
