"""What holds for every route of the API, those still to come included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from iris.dialects import V0View
from tests.factories import make_campaign, make_phone_number, make_user
from tests.v0 import Caller, everything

V0 = ("/api/accounts/", "/api/system/")
OPEN = {"/api/accounts/login", "/api/accounts/token/refresh"}

# The twenty endpoints, spelt as the documentation prints them.
DOCUMENTED = [
    ("POST", "/api/accounts/login/"),
    ("GET", "/api/accounts/user_details/"),
    ("POST", "/api/accounts/token/refresh/"),
    ("GET", "/api/system/owned/phone_numbers"),
    ("GET", "/api/system/phone_numbers"),
    ("POST", "/api/system/phone_numbers/"),
    ("DELETE", "/api/system/phone_numbers"),
    ("GET", "/api/system/campaigns"),
    ("POST", "/api/system/campaigns/"),
    ("PUT", "/api/system/campaigns/10/update"),
    ("DELETE", "/api/system/campaigns/10/delete"),
    ("GET", "/api/system/campaigns/10/details"),
    ("POST", "/api/system/test/voice/"),
    ("POST", "/api/system/campaigns/10/begin/"),
    ("GET", "/api/system/campaigns/number/10"),
    ("POST", "/api/system/campaigns/number/10/"),
    ("DELETE", "/api/system/campaigns/number/10/delete/"),
    ("GET", "/api/system/number/10/"),
    ("PUT", "/api/system/number/10/"),
    ("POST", "/api/system/send/otp/"),
]


@dataclass(frozen=True)
class Route:
    """One spelling of one address, with `<id:campaign_id>` and the like where ids go."""

    path: str
    view: type[Any]

    @property
    def methods(self) -> list[str]:
        return [
            name.upper()
            for name in self.view.http_method_names
            if name != "options" and hasattr(self.view, name)
        ]

    @property
    def ids(self) -> list[str]:
        return re.findall(r"<id:(\w+)>", self.path)

    def filled(self, **ids: int) -> str:
        return re.sub(r"<id:(\w+)>", lambda found: str(ids[found[1]]), self.path)


def _routes(patterns: list[Any], prefix: str = "/") -> Iterator[Route]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and path.startswith(V0):
            yield Route(path, getattr(pattern.callback, "cls", object))


ROUTES = list(_routes(get_resolver().url_patterns))
CALLS = [
    pytest.param(route, method, id=f"{method} {route.path}") for route in ROUTES for method in route.methods
]
PRIVATE = [call for call in CALLS if call.values[0].path.rstrip("/") not in OPEN]  # type: ignore[union-attr]
WITH_IDS = [call for call in PRIVATE if call.values[0].ids]  # type: ignore[union-attr]


def test_every_route_is_served_with_and_without_a_slash() -> None:
    paths = {route.path for route in ROUTES}
    assert {path.rstrip("/") for path in paths} == {path for path in paths if not path.endswith("/")}
    assert {f"{path.rstrip('/')}/" for path in paths} == {path for path in paths if path.endswith("/")}


def test_every_route_has_the_base_view_of_its_dialect() -> None:
    assert [route.path for route in ROUTES if not issubclass(route.view, V0View)] == []


@pytest.mark.parametrize(("method", "path"), DOCUMENTED)
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_documented_endpoint_is_there(method: str, path: str, slash: str) -> None:
    view = resolve(path.rstrip("/") + slash).func
    assert hasattr(view.cls, method.lower())  # type: ignore[attr-defined]


@pytest.mark.parametrize(("route", "method"), PRIVATE)
@pytest.mark.parametrize("token", [None, "Bearer nonsense", "Bearer", "Token abc", "Basic c2l0YTpzZWNyZXQ="])
@pytest.mark.django_db
def test_without_a_token_nothing_is_told(route: Route, method: str, token: str | None) -> None:
    caller = Caller(None)
    if token is not None:
        caller.client.credentials(HTTP_AUTHORIZATION=token)
    caller.fails(method, route.filled(campaign_id=1, number_id=1), {}, status=401)


@pytest.mark.parametrize(("route", "method"), WITH_IDS)
@pytest.mark.django_db
def test_what_is_somebody_elses_is_not_there(route: Route, method: str) -> None:
    owner = make_user(email="owner@example.com", credits=100)
    campaign = make_campaign(owner=owner)
    ids = {"campaign_id": campaign.pk, "number_id": campaign.recipients.latest("pk").pk}
    caller = Caller(make_user(email="stranger@example.com", credits=100))
    before = everything()
    # Whatever the body: it is not even looked at.
    caller.fails(method, route.filled(**ids), {}, status=404)
    full = {"message": "Namaste", "number": 9800000001, "name": "Mine now", "services": "SMS"}
    caller.fails(method, route.filled(**ids), full, status=404)
    assert everything() == before
    campaign.refresh_from_db()
    assert (campaign.name, campaign.deleted_at) == ("Sample", None)


@pytest.mark.parametrize(("route", "method"), WITH_IDS)
@pytest.mark.parametrize(
    "written",
    [
        "0",
        "-1",
        "abc",
        "1.5",
        "1e3",
        "%00",
        "%20",
        "１",
        "9" * 19,
        "9" * 20,
        "9" * 5000,
        "999999",
        "None",
        "💥",
    ],
)
@pytest.mark.django_db
def test_an_id_that_is_none_is_not_there(
    route: Route, method: str, written: str, user_caller: Caller
) -> None:
    user_caller.fails(method, re.sub(r"<id:\w+>", written, route.path), {}, status=404)


@pytest.fixture
def user_caller(db: None) -> Caller:
    return Caller(make_user(email="sita@example.com"))


@pytest.mark.parametrize(
    "path", ["/api/", "/api/system/", "/api/system/nothing", "/api/system/campaigns/1", "/api/x/y/z"]
)
def test_an_address_where_nothing_is(user_caller: Caller, path: str) -> None:
    user_caller.fails("GET", path, status=404)


@pytest.mark.parametrize("route", [pytest.param(route, id=route.path) for route in ROUTES])
def test_a_method_that_is_none_of_its_own(user_caller: Caller, route: Route) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(route.methods):
        user_caller.fails(method, route.filled(campaign_id=1, number_id=1), {}, status=405)


@pytest.mark.django_db
def test_somebody_elses_phone_number_is_not_there(user_caller: Caller) -> None:
    number = make_phone_number(owner=make_user(email="owner@example.com"))
    for method in ("POST", "DELETE"):
        for path in ("/api/system/phone_numbers", "/api/system/phone_numbers/"):
            user_caller.fails(method, path, {"phone_sid": number.sid}, status=404)
