"""The body limits and throttles of a ViewSet's action apply to that action only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from rest_framework import decorators
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from iris.api import parsers
from iris.api.envelope import success
from iris.api.views import with_and_without_slash
from iris.api.viewsets import V0ViewSet, reads
from tests.v0 import assert_refusal


class Never(BaseThrottle):
    def allow_request(self, request: Any, view: Any) -> bool:
        return False

    def wait(self) -> float:
        return 7


def _length(request: Request) -> int:
    data: Any = request.data
    return len(data["a"])


class ThingViewSet(V0ViewSet):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    def create(self, request: Request) -> Response:
        return success({"read": _length(request)})

    @reads(parsers.LIST)
    def create_many(self, request: Request) -> Response:
        return success({"read": _length(request)})

    @decorators.throttle_classes([Never])
    def call(self, request: Request) -> Response:
        return success()


urlpatterns = [
    *with_and_without_slash(
        "api/things", ThingViewSet.as_view({"post": "create", "put": "create_many"}), "things"
    ),
    *with_and_without_slash("api/call", ThingViewSet.as_view({"post": "call", "get": "create"}), "call"),
]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def send(client: Client, method: str, path: str, size: int = 1) -> Any:
    return client.generic(method, path, json.dumps({"a": "x" * size}), content_type="application/json")


def test_each_action_has_its_own_body_limit(client: Client, settings: Settings) -> None:
    settings.IRIS_MAX_BODY_BYTES = 200_000
    small = parsers.SMALL.body
    assert send(client, "POST", "/api/things", small - 100).status_code == 200
    assert send(client, "POST", "/api/things", small).status_code == 413
    assert send(client, "PUT", "/api/things/", small).json()["data"] == {"read": small}
    assert send(client, "PUT", "/api/things/", 200_000).status_code == 413


def test_an_action_without_a_limit_has_the_default_limit_after_a_call_of_an_action_with_a_limit(
    client: Client, settings: Settings
) -> None:
    settings.IRIS_MAX_BODY_BYTES = 200_000
    for _ in range(2):
        assert send(client, "PUT", "/api/things/", 100_000).status_code == 200
        assert send(client, "POST", "/api/things/", 100_000).status_code == 413


def test_throttles_of_an_action_do_not_affect_other_actions(client: Client) -> None:
    answer = send(client, "POST", "/api/call")
    assert (answer.status_code, answer["Retry-After"]) == (429, "7")
    assert send(client, "POST", "/api/things").status_code == 200


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_method_without_an_action_is_a_405(client: Client, slash: str) -> None:
    for method in ("GET", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        answer = send(client, method, f"/api/things{slash}")
        assert answer.status_code == 405, method
        assert set(answer["Allow"].split(", ")) >= {"POST", "PUT"}
        if method != "HEAD":
            assert_refusal(answer.json(), 405)
