"""v0: the response to any invalid input says what is wrong, and nothing has changed. A 500 is a bug.

These tests send the same to all endpoints under /api/system, not only to those of campaigns.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.models import Campaign
from telephony.models import DeliveryStatus
from tests.campaigns.bad_input import ANYTHING, BAD, CHOSEN, FILES, GOOD, IN_FORMS, RAW, filled
from tests.factories import make_account, make_empty_campaign, make_phone_number, make_recipient
from tests.scale import at_scale, spread
from tests.v0 import Caller, assert_refusal, row_counts_and_balances, undone


def _shown(value: Any) -> str:
    return f"{json.dumps(value):.40}"


@pytest.fixture
def campaign(db: None) -> Campaign:
    """A campaign with everything that the valid requests refer to."""
    account = make_account(email="sita@example.com", credits=100)
    made = make_empty_campaign(owner=account, tags=["tags_name"])
    make_recipient(campaign=made, id=CHOSEN, status=DeliveryStatus.FAILED)
    make_phone_number(sid="0f3c9a5be17d42c68a90b1c2d3e4f506")
    make_phone_number(number="9800000102", sid="1f3c9a5be17d42c68a90b1c2d3e4f506", owner=account)
    return made


@pytest.fixture
def caller(campaign: Campaign) -> Caller:
    return Caller(campaign.owner)


@pytest.mark.parametrize(("method", "path"), GOOD)
def test_the_unmodified_requests_succeed(caller: Caller, campaign: Campaign, method: str, path: str) -> None:
    assert caller.call(method, filled(path, campaign), GOOD[method, path])["success"] is True


@pytest.mark.parametrize(("method", "path"), GOOD)
def test_an_invalid_field_is_refused_with_its_name(
    caller: Caller, campaign: Campaign, subtests: pytest.Subtests, method: str, path: str
) -> None:
    before, target = row_counts_and_balances(), filled(path, campaign)
    for field, value in [case[2:] for case in BAD if case[:2] == (method, path)]:
        sent = GOOD[method, path] | {field: value}
        if field == "send_to_number_file":
            del sent["individual_number"]
        with subtests.test(f"{field}={_shown(value)}"), undone():
            caller.fails(method, target, sent, status=400)
            assert row_counts_and_balances() == before


@pytest.mark.field
@pytest.mark.parametrize(("method", "path"), GOOD)
def test_no_value_of_a_field_causes_a_500(caller: Caller, campaign: Campaign, method: str, path: str) -> None:
    before, target = row_counts_and_balances(), filled(path, campaign)
    for part, field in enumerate(GOOD[method, path], start=len(path)):
        for value in spread(ANYTHING, part=part, of=6):
            with undone():
                _is_no_bug(caller, method, target, {**GOOD[method, path], field: value}, before)


@pytest.mark.field
@pytest.mark.parametrize(("method", "path"), GOOD)
def test_no_form_causes_a_500(caller: Caller, campaign: Campaign, method: str, path: str) -> None:
    before, target = row_counts_and_balances(), filled(path, campaign)
    good = {key: str(value) for key, value in GOOD[method, path].items()}
    for part, field in enumerate(good, start=len(path)):
        odd = [(f"{field}[]", "a"), (f"{field}[a]", "a"), (f"{field}[a][b]", "a"), (f"{field}[0", "a")]
        files = [(field, SimpleUploadedFile("file", content)) for content in FILES]
        sent = [*[(field, text) for text in IN_FORMS], *odd, *files]
        for name, value in spread(sent, part=part, of=6):
            with undone():
                _is_no_bug(caller, method, target, good | {name: value}, before, format="multipart")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.field
@pytest.mark.parametrize(("method", "path"), GOOD)
@given(data=st.data())
@settings(
    max_examples=at_scale(5, 500),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_json_body_causes_a_500(
    caller: Caller, campaign: Campaign, method: str, path: str, data: st.DataObject
) -> None:
    good = GOOD[method, path]
    changes = data.draw(st.dictionaries(st.sampled_from(sorted(good)), json_values, min_size=1, max_size=3))
    before = row_counts_and_balances()
    with undone():
        _is_no_bug(caller, method, filled(path, campaign), good | changes, before)


def _is_no_bug(
    caller: Caller, method: str, path: str, sent: dict[str, Any], before: dict[str, Any], format: str = "json"
) -> None:
    answer = caller.call(method, path, sent, format=format)
    assert answer["status"] in {200, 201, 204, 400, 404, 409}, (sent, answer)
    if answer["status"] >= 400:
        assert_refusal(answer, answer["status"])
        assert row_counts_and_balances() == before, sent


@pytest.mark.parametrize(("method", "path"), GOOD)
def test_an_unreadable_body_is_refused(
    caller: Caller, campaign: Campaign, subtests: pytest.Subtests, method: str, path: str
) -> None:
    before, target = row_counts_and_balances(), filled(path, campaign)
    for what, (body, content_type, status) in RAW.items():
        with subtests.test(what), undone():
            answer = caller.call(method, target, body, content_type=content_type)
            if answer["status"] == 200:  # no field is required there, and this body has no known fields
                assert content_type.startswith(("multipart", "application/json; charset"))
                assert (method, path) in {
                    ("PUT", "/api/system/campaigns/{campaign}/update/"),
                    ("PUT", "/api/system/number/{number}/"),
                }
            else:
                assert_refusal(answer, answer["status"])
                assert answer["status"] == status
            assert row_counts_and_balances() == before


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_above_the_global_limit_is_refused(caller: Caller, settings: Any, kind: str) -> None:
    settings.IRIS_MAX_BODY_BYTES = 1000
    body = json.dumps({"message": "x" * 2000}) if kind == "application/json" else "message=" + "x" * 2000
    caller.fails("POST", "/api/system/test/voice/", body, content_type=kind, status=413)


def test_a_body_above_the_limit_of_its_endpoint_is_refused(caller: Caller) -> None:
    for path in ("/api/system/test/voice/", "/api/system/send/otp/", "/api/accounts/login/"):
        caller.fails("POST", path, {"message": "x" * 70_000}, status=413)


@pytest.mark.parametrize(
    "query",
    ["page=%00", "page=%ff", "name=%00", "page=１", "page_size=1e3", "page=" + "9" * 5000, "services=%ff"],
)
def test_an_invalid_query_is_refused(caller: Caller, query: str) -> None:
    caller.fails("GET", f"/api/system/campaigns?{query}", status=400)


@pytest.fixture(autouse=True)
def _no_throttle(settings: Any) -> None:
    settings.IRIS_OTP_THROTTLE = settings.IRIS_API_THROTTLE = "1000000/minute"
