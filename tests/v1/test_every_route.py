"""What holds for every route of v1, those still to come included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from campaigns.models import Campaign, SurveyTemplate
from iris.dialects import V1View
from tests.factories import make_campaign, make_phone_number, make_user
from tests.surveys.surveying import make_survey, make_template
from tests.test_every_route import Route
from tests.v0 import everything
from tests.v1.caller import Caller, assert_refusal

OPEN = {"auths/login", "auths/login/refresh"}

# The endpoints with the methods that real clients use.
DOCUMENTED = [
    ("POST", "auths/login/"),
    ("POST", "auths/login/refresh/"),
    ("POST", "auths/generate-api-keys/"),
    ("GET", "auths/get-api-keys/"),
    ("GET", "auths/user-profile/"),
    ("POST", "auths/send/otp/"),
    ("GET", "auths/list/send-otps/"),
    ("GET", "active-broker-phone/"),
    ("GET", "phone-number/active/"),
    ("DELETE", "phone-numbers/1/"),
    ("GET", "voice-models/"),
    ("GET", "campaign/"),
    ("POST", "campaign/create/"),
    ("GET", "campaign/1/"),
    ("PATCH POST PUT DELETE", "campaign/1/"),
    ("PATCH PUT POST", "campaign/create/1/message/"),
    ("PATCH POST PUT", "campaign/create/1/detail/"),
    ("POST", "campaign/1/add-contact/"),
    ("GET", "campaign-detail/1/"),
    ("GET", "campaign/1/contacts/"),
    ("GET PATCH", "campaign/1/attributes/"),
    ("PATCH", "phone-number/update/1/"),
    ("DELETE GET", "phone-number/delete/1/"),
    ("POST", "run-campaign/1/"),
    ("POST", "demo-call/1/"),
    ("POST", "campaign/emergency-stop/1/"),
    ("POST", "test-speak/riri/1/"),
    ("GET POST", "download/report/1/"),
    ("GET POST", "campaign/create/1/survey/"),
    ("POST", "run-survey/1/"),
    ("POST", "test-survey/1/"),
    ("GET", "download/survey/1/report/"),
    ("GET POST", "survey-templates/"),
    ("PATCH", "survey-templates/1/"),
    ("POST", "survey-templates/1/apply-to-campaign/"),
    ("GET", "dashboard/"),
]


def _routes(patterns: list[Any], prefix: str = "") -> Iterator[Route]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern) and prefix.startswith("^/?api/v1/"):
            path = f"{prefix}{pattern.pattern}".removeprefix("^/?api/v1/")
            yield Route(f"/api/v1/{path}", getattr(pattern.callback, "cls", object))


ROUTES = list(_routes(get_resolver().url_patterns))
CALLS = [
    pytest.param(route, method, id=f"{method} {route.path}") for route in ROUTES for method in route.methods
]


def _is_open(route: Route) -> bool:
    return route.path.removeprefix("/api/v1/").rstrip("/") in OPEN


PRIVATE = [call for call in CALLS if not _is_open(call.values[0])]  # type: ignore[arg-type]
# Both spellings of an address have the same view: once a slash is enough from here on.
ONCE = [call for call in CALLS if call.values[0].path.endswith("/")]  # type: ignore[union-attr]
WITH_IDS = [call for call in ONCE if call.values[0].ids]  # type: ignore[union-attr]
WRITING = [call for call in ONCE if call.values[1] != "GET" and "report" not in call.values[0].path]  # type: ignore[union-attr]


def test_every_route_is_served_with_and_without_a_slash() -> None:
    paths = {route.path for route in ROUTES}
    assert {path.rstrip("/") for path in paths} == {path for path in paths if not path.endswith("/")}
    assert {f"{path.rstrip('/')}/" for path in paths} == {path for path in paths if path.endswith("/")}


def test_every_route_has_the_base_view_of_its_dialect() -> None:
    assert [route.path for route in ROUTES if not issubclass(route.view, V1View)] == []


@pytest.mark.parametrize(("methods", "path"), DOCUMENTED)
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_documented_endpoint_is_there(methods: str, path: str, slash: str) -> None:
    for start in ("/api/v1/", "//api/v1/"):
        view = resolve(start + path.rstrip("/") + slash).func
        for method in methods.split():
            assert hasattr(view.cls, method.lower())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "token", [None, "", "Bearer nonsense", "Bearer", "Token abc", "Bearer a.b.c", "Basic c2l0YTpzZWNyZXQ="]
)
@pytest.mark.django_db
def test_without_a_token_nothing_is_told(token: str | None) -> None:
    caller = Caller(None)
    if token is not None:
        caller.client.credentials(HTTP_AUTHORIZATION=token)
    for call in PRIVATE:
        route, method = call.values
        assert isinstance(route, Route)
        path = route.filled(**dict.fromkeys(route.ids, 1))
        caller.fails(str(method), path, {}, status=401)


@pytest.mark.parametrize(("route", "method"), WITH_IDS)
@pytest.mark.django_db
def test_what_is_somebody_elses_is_not_there(route: Route, method: str) -> None:
    owner = make_user(email="owner@example.com", credits=100)
    campaign = make_campaign(owner=owner, message="Namaste")
    number = make_phone_number(owner=owner)
    ids = {
        "campaign_id": campaign.pk,
        "contact_id": campaign.recipients.latest("pk").pk,
        "phone_id": number.pk,
        "survey_id": make_survey(owner=owner).survey.pk,
        "template_id": make_template(owner=owner).pk,
    }
    caller = Caller(make_user(email="stranger@example.com", credits=100))
    caller.get("auths/get-api-keys/")  # whatever asking itself changes
    before = everything()
    full = {"message": "Namaste", "number": 9800000001, "name": "Mine now", "services": "SMS"}
    for body in ({}, full, {"contacts": [{"number": 9800000001}]}):
        caller.fails(method, route.filled(**ids), body, status=404)
    assert everything() == before
    campaign.refresh_from_db()
    number.refresh_from_db()
    assert (campaign.name, campaign.deleted_at, number.owner) == ("Sample", None, owner)


@pytest.fixture
def caller(db: None) -> Caller:
    return Caller(make_user(email="sita@example.com"))


@pytest.mark.parametrize(("route", "method"), WITH_IDS)
def test_an_id_that_is_none_is_not_there(route: Route, method: str, caller: Caller) -> None:
    for written in (
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
        "None",
        "💥",
    ):
        caller.fails(method, re.sub(r"<id:\w+>", written, route.path), {}, status=404)


@pytest.mark.parametrize(
    "route", [pytest.param(route, id=route.path) for route in ROUTES if route.path.endswith("/")]
)
def test_a_method_that_is_none_of_its_own(caller: Caller, route: Route) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(route.methods):
        path = route.filled(**dict.fromkeys(route.ids, 1))
        assert_refusal(caller.call(method, path, {}, status=405))


@pytest.mark.parametrize(
    "path", ["", "nothing", "campaign/1/2", "run-campaign/", "campaign/run/1/", "x/y/z/"]
)
def test_an_address_where_nothing_is(caller: Caller, path: str) -> None:
    caller.fails("GET", f"/api/v1/{path}", status=404)


BAD_BODIES = [
    b"{",
    b"[1]",
    b'"text"',
    b'{"name": "\\u0000", "number": "\\u0000", "message": "\\u0000", "other_variables": {"\\u0000": "\\ud800"}}',
    b'{"name": NaN}',
    b"\xff\xfe",
    b'{"name": ' + b"[" * 5000,
]
ODD_VALUES: list[Any] = [
    None,
    "",
    [],
    {},
    0,
    -1,
    True,
    "💥",
    "x" * 20_000,
    [None],
    {"id": {}},
    [[1]],
    10**30,
    1.5,
]
FIELDS = (
    *(
        "name",
        "services",
        "message",
        "sms_message",
        "description",
        "schedule",
        "voice",
        "category",
        "user_phone",
    ),
    *("credit_limit", "failover_target", "length_factor", "draft", "audio_file", "number", "other_variables"),
    *(
        "contacts",
        "bulk_file",
        "voice_input",
        "otp",
        "otp_length",
        "sms_send_options",
        "company_name",
        "refresh",
    ),
    *("email", "password", "steps", "content", "campaign_id"),
)


@pytest.mark.parametrize(("route", "method"), WRITING)
@pytest.mark.django_db
def test_whatever_is_sent_is_answered_with_sense(route: Route, method: str) -> None:
    """Never a 500: what cannot be read, and every field with every odd value at once."""
    user = make_user(email="sita@example.com", credits=100)
    caller = Caller(user)

    def call(body: Any, **how: Any) -> None:
        campaign = Campaign.objects.filter(owner=user, deleted_at=None).first() or make_campaign(owner=user)
        contact = campaign.recipients.first() or make_campaign(owner=user).recipients.first()
        assert contact is not None
        template = SurveyTemplate.objects.filter(owner=user).first() or make_template(owner=user)
        path = route.filled(
            campaign_id=campaign.pk, contact_id=contact.pk, phone_id=1, survey_id=1, template_id=template.pk
        )
        answer = caller.call(method, path, body, **how)
        if isinstance(answer, dict) and "code" in answer:
            assert_refusal(answer)
            assert answer["code"] != "error", (body, answer)

    for raw in BAD_BODIES:
        call(raw, content_type="application/json")
    for value in ODD_VALUES:
        call(dict.fromkeys(FIELDS, value))
    call(
        b"&".join(f"{field}=%F0%9F%92%A5".encode() for field in FIELDS),
        content_type="application/x-www-form-urlencoded",
    )
