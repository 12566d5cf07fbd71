"""ViewSets: what can be done with one kind of thing, each in an action. `urls.py` maps the documented addresses to actions:

    *both("campaigns", CampaignViewSet.as_view({"get": "list", "post": "create"}), name="v0-campaigns")

What differs between the actions of a ViewSet stands above each of them: `@reads(…)` for how long a body may be, and REST
framework's own `@throttle_classes([…])`. An action without them has what the class says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpRequest
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.viewsets import ViewSetMixin

from iris.api.filters import FilterBackend
from iris.api.parsers import BodyLimit
from iris.api.views import ApiView, V0View, V1View

Action = TypeVar("Action", bound=Callable[..., Any])


def reads(limit: BodyLimit) -> Callable[[Action], Action]:
    """Say how long a body this action reads. Without it, an action reads little."""

    def decorate(action: Action) -> Action:
        action.reads = limit  # type: ignore[attr-defined]
        return action

    return decorate


class ActionsView(ViewSetMixin, ApiView, GenericAPIView[Any]):
    """What the ViewSets of all dialects have in common. `filter_queryset` narrows a list by the `filterset_class`."""

    filter_backends = (FilterBackend,)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        initialized = super().initialize_request(request, *args, **kwargs)
        # No action where the address does not know the method of this request: that is a 405.
        action = getattr(self, self.action or "", None)
        self.reads = getattr(action, "reads", self.reads)
        self.throttle_classes = getattr(action, "throttle_classes", self.throttle_classes)
        return initialized


class V0ViewSet(ActionsView, V0View):
    """Base of every ViewSet under /api/system."""


class V1ViewSet(ActionsView, V1View):
    """Base of every ViewSet under /api/v1."""
