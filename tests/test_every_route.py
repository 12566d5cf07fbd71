"""Test what must hold for every route of both dialects. New routes are tested without changes here."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import resolve

from accounts.models import Account
from tests.campaigns.surveys.surveying import make_survey
from tests.factories import make_account, make_campaign, make_phone_number
from tests.route_ids import address_of
from tests.routes import DIALECTS, V0, Dialect, Route, methods_of
from tests.scale import spread
from tests.v0 import row_counts_and_balances, undone

EVERY_DIALECT = pytest.mark.parametrize("dialect", [pytest.param(it, id=it.name) for it in DIALECTS])
CALLS = [
    pytest.param(dialect, route, method, id=f"{method} {route.path}")
    for dialect in DIALECTS
    for route, method in dialect.calls
]
WITH_IDS = [call for call in CALLS if call.values[1].ids]  # type: ignore[union-attr]
# Requests for reports have no body, and their response is not JSON.
WRITING = [call for call in CALLS if call.values[2] != "GET" and "report" not in call.values[1].path]  # type: ignore[union-attr]
EVERY_CALL = pytest.mark.parametrize(("dialect", "route", "method"), CALLS)
EVERY_CALL_WITH_IDS = pytest.mark.parametrize(("dialect", "route", "method"), WITH_IDS)
EVERY_WRITING_CALL = pytest.mark.parametrize(("dialect", "route", "method"), WRITING)


@pytest.fixture
def sita(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@EVERY_DIALECT
def test_every_route_is_served_with_and_without_a_slash(dialect: Dialect) -> None:
    views = {route.path: (route.view, route.methods) for route in dialect.routes}
    bare = {path: view for path, view in views.items() if not path.endswith("/")}
    assert {f"{path}/": view for path, view in bare.items()} == {
        path: view for path, view in views.items() if path.endswith("/")
    }
    assert len(bare) > 15


@EVERY_DIALECT
def test_every_route_has_the_base_view_of_its_dialect(dialect: Dialect) -> None:
    assert [route.path for route in dialect.routes if not issubclass(route.view, dialect.view)] == []


@pytest.mark.parametrize(
    ("methods", "path"), [documented for dialect in DIALECTS for documented in dialect.documented]
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_documented_endpoint_is_routed(methods: str, path: str, slash: str) -> None:
    written = path.rstrip("/") + slash
    # Clients of v1 join a base URL that ends with a slash and a path that begins with one.
    for address in [written, f"/{written}"] if path.startswith("/api/v1/") else [written]:
        for method in methods.split():
            assert method in methods_of(resolve(address).func)


@EVERY_CALL
@pytest.mark.django_db
def test_request_without_a_valid_token_is_a_401(dialect: Dialect, route: Route, method: str) -> None:
    if route.path in dialect.public:
        return
    path = route.with_ids(**dict.fromkeys(route.ids, 1))
    for token in (
        None,
        "",
        "Bearer nonsense",
        "Bearer",
        "Token abc",
        "Bearer a.b.c",
        "Basic c2l0YTpzZWNyZXQ=",
    ):
        caller = dialect.caller(None)
        if token is not None:
            caller.client.credentials(HTTP_AUTHORIZATION=token)
        caller.fails(method, path, {}, status=401)


@EVERY_CALL_WITH_IDS
@pytest.mark.django_db
def test_object_of_another_account_is_a_404_and_stays_unchanged(
    dialect: Dialect, route: Route, method: str
) -> None:
    owner = make_account(email="owner@example.com", credits=100)
    campaign = make_campaign(owner=owner, message="Namaste")
    number = make_phone_number(owner=owner)
    path = address_of(route, campaign, phone_id=number.pk, survey_id=make_survey(owner=owner).survey.pk)
    caller = dialect.caller(make_account(email="stranger@example.com", credits=100))
    before = row_counts_and_balances()
    full = {"message": "Namaste", "number": 9800000001, "name": "Mine now", "services": "SMS"}
    # The 404 must not depend on the body.
    for body in ({}, full, {"contacts": [{"number": 9800000001}]}):
        caller.fails(method, path, body, status=404)
    assert row_counts_and_balances() == before
    campaign.refresh_from_db()
    number.refresh_from_db()
    assert (campaign.name, campaign.deleted_at, number.owner) == ("Sample", None, owner)


@pytest.mark.field
@EVERY_CALL_WITH_IDS
def test_malformed_or_unknown_id_is_a_404(dialect: Dialect, route: Route, method: str, sita: Account) -> None:
    caller = dialect.caller(sita)
    odd_ids = [
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
    ]
    for malformed in spread(odd_ids, part=len(route.path) + len(method)):
        caller.fails(method, re.sub(r"<id:\w+>", malformed, route.path), {}, status=404)


@EVERY_DIALECT
def test_unsupported_method_is_a_405(dialect: Dialect, sita: Account) -> None:
    caller = dialect.caller(sita)
    for route in dict(dialect.calls):  # each with a slash: the other spelling has the same view
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(route.methods):
            caller.fails(method, route.with_ids(**dict.fromkeys(route.ids, 1)), {}, status=405)


@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        *((0, path) for path in ("", "system/", "system/nothing", "system/campaigns/1", "x/y/z")),
        *(
            (1, f"v1/{path}")
            for path in ("", "nothing", "campaign/1/2", "run-campaign/", "campaign/run/1/", "x/y/")
        ),
    ],
)
def test_unknown_path_is_a_404(sita: Account, dialect: int, path: str) -> None:
    DIALECTS[dialect].caller(sita).fails("GET", f"/api/{path}", status=404)


def test_phone_number_of_another_account_is_a_404(sita: Account) -> None:
    number = make_phone_number(owner=make_account(email="owner@example.com"))
    for method in ("POST", "DELETE"):
        V0.caller(sita).fails(method, "/api/system/phone_numbers/", {"phone_sid": number.sid}, status=404)


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
    *(None, "", [], {}, 0, -1, True, "💥", "x" * 20_000, [None], {"id": {}}, [[1]], 10**30, 1.5),
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
    *("contacts", "bulk_file", "voice_input", "otp", "otp_length", "otp_options", "sms_send_options"),
    *("sms_send_option", "company_name", "refresh", "email", "password", "steps", "content", "campaign_id"),
    *(
        "phone_sid",
        "individual_number",
        "send_to_number_file",
        "aud_file",
        "audio",
        "schedule_date",
        "status",
    ),
    *(
        "individual",
        "priority",
        "available_tags",
        "scopes",
        "expires_at",
        "test",
        "amount",
        "direction",
        "note",
        "file",
        "list",
        "template",
        "version",
        "url",
        "events",
        "event",
        "enabled",
        "from",
        "to",
    ),
)


@pytest.mark.field
@EVERY_WRITING_CALL
def test_malformed_body_or_odd_field_value_never_causes_a_500(
    dialect: Dialect, route: Route, method: str, sita: Account
) -> None:
    """Send bodies that cannot be parsed, and odd values in all fields at once: with `make field`, all of them."""
    caller = dialect.caller(sita)
    path = address_of(route, make_campaign(owner=sita), phone_id=1, survey_id=1)

    def call(body: Any, **how: Any) -> None:
        with undone():
            answer = caller.call(method, path, body, **how)
        if isinstance(answer, dict):
            assert "which it has logged" not in str(answer.get("message")), (body, answer)

    for raw in spread(BAD_BODIES, part=len(route.path)):
        call(raw, content_type="application/json")
    for value in spread(ODD_VALUES, part=len(route.path)):
        call(dict.fromkeys(FIELDS, value))
    call(
        b"&".join(f"{field}=%F0%9F%92%A5".encode() for field in FIELDS),
        content_type="application/x-www-form-urlencoded",
    )
