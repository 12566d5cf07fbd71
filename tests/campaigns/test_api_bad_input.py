"""v0: the response to any invalid input says what is wrong, and nothing has changed. A 500 is a bug.

These tests send the same to all endpoints under /api/system, not only to those of campaigns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.models import Campaign
from telephony.models import DeliveryStatus
from tests.factories import make_account, make_empty_campaign, make_phone_number, make_recipient
from tests.scale import at_scale, spread
from tests.v0 import Caller, assert_refusal, row_counts_and_balances

CHOSEN = 10**12  # an id that no sequence reaches
LONG = "x" * 60_000  # within the limit of every endpoint
GOOD: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/system/phone_numbers/"): {"phone_sid": "0f3c9a5be17d42c68a90b1c2d3e4f506"},
    ("DELETE", "/api/system/phone_numbers/"): {"phone_sid": "1f3c9a5be17d42c68a90b1c2d3e4f506"},
    ("POST", "/api/system/campaigns/"): {
        "name": "Notice",
        "services": "SMS",
        "individual_number": [9800000001],
        "description": "What it is about",
    },
    ("PUT", "/api/system/campaigns/{campaign}/update/"): {
        "name": "New",
        "services": "PHONE",
        "description": "New",
    },
    ("POST", "/api/system/test/voice/"): {"message": "नमस्कार", "voice_input": "np_rija"},
    ("POST", "/api/system/campaigns/{campaign}/begin/"): {
        "message": "Namaste",
        "voice_input": "np_rija",
        "schedule_date": "2050-05-09T17:07",
        "status": ["failed"],
        "individual": [CHOSEN],
        "priority": "message",
        "aud_file": "",
        "audio": "",
    },
    ("POST", "/api/system/campaigns/number/{campaign}/"): {
        "number": 9800000002,
        "available_tags": {"tags_name": "Sita"},
    },
    ("PUT", "/api/system/number/{number}/"): {"number": 9800000002, "available_tags": {"tags_name": "Sita"}},
    ("POST", "/api/system/send/otp/"): {
        "number": "9800000034",
        "message": "Your OTP is {otp}",
        "sms_send_options": "text",
        "otp_options": "personnel",
        "otp": "12345",
        "otp_length": 6,
        "voice_input": "np_rija",
    },
}

# (method, path, field, value): a valid request with one field set to an invalid value.
NO_TEXT: list[Any] = [[], {}, ["a"], {"a": "b"}, True, [[["a"]]], LONG]
BAD: list[tuple[str, str, str, Any]] = [
    *[("POST", "/api/system/campaigns/", "name", value) for value in (*NO_TEXT, None, "", " ", "x" * 201)],
    *[
        ("POST", "/api/system/campaigns/", "services", value)
        for value in (*NO_TEXT, None, "", "FAX", 1, "SMS & PHONE")
    ],
    *[("POST", "/api/system/campaigns/", "description", value) for value in NO_TEXT],
    *[
        ("POST", "/api/system/campaigns/", "individual_number", value)
        for value in (
            None,
            "",
            [],
            {},
            True,
            False,
            "abc",
            [[]],
            [{}],
            [None],
            0,
            -9800000001,
            1.5,
            10**400,
            LONG,
            "[",
            "[]",
        )
    ],
    *[
        ("POST", "/api/system/campaigns/", "send_to_number_file", value)
        for value in ("numbers.xlsx", ["a"], {}, 1, True)
    ],
    *[("PUT", "/api/system/campaigns/{campaign}/update/", "name", value) for value in (*NO_TEXT, "x" * 201)],
    *[
        ("PUT", "/api/system/campaigns/{campaign}/update/", "services", value)
        for value in (*NO_TEXT, "FAX", 1)
    ],
    *[("PUT", "/api/system/campaigns/{campaign}/update/", "description", value) for value in NO_TEXT],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "message", value)
        for value in (*NO_TEXT, "{tags_x}")
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "aud_file", value)
        for value in ("a.mp3", ["a"], {}, 1, True)
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "audio", value)
        for value in ("a.mp3", ["a"], {}, 1, True)
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "voice_input", value)
        for value in (*NO_TEXT, "robot", 1)
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "schedule_date", value)
        for value in (*NO_TEXT, 1, "now")
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "status", value)
        for value in (*NO_TEXT, 1, 1.5, [None])
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "individual", value)
        for value in (
            [],
            {},
            "x",
            True,
            [True],
            [1.5],
            [None],
            [[1]],
            [{}],
            0,
            -1,
            [2**63],
            10**400,
            ["1; DROP"],
            LONG,
        )
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "priority", value)
        for value in (*NO_TEXT, "sms", 1)
    ],
    *[
        ("POST", "/api/system/campaigns/number/{campaign}/", "number", value)
        for value in (
            None,
            "",
            [],
            {},
            True,
            "abc",
            "123",
            123,
            1.5,
            -9800000001,
            10**400,
            [9800000001],
            LONG,
            "+",
            "9 8",
        )
    ],
    *[
        ("POST", "/api/system/campaigns/number/{campaign}/", "available_tags", value)
        for value in (
            [],
            True,
            1,
            "x",
            "[]",
            ["tags_name"],
            {"tags_x": 1},
            {"name": 1},
            {"tags_name": []},
            {"tags_name": {}},
            {"tags_name": True},
            {"tags_name": LONG},
            {"": 1},
            '{"tags_name": "\\u0000"}',
            '{"tags_name": "\\ud800"}',
            '{"tags_name": NaN}',
            '{"tags_name": Infinity}',
            '{"tags_name": ' + "[" * 100_000,
        )
    ],
    *[
        ("PUT", "/api/system/number/{number}/", "number", value)
        for value in ([], {}, True, "abc", 123, 1.5, 10**400, [9800000001], LONG)
    ],
    *[
        ("PUT", "/api/system/number/{number}/", "available_tags", value)
        for value in ([], 1, {"tags_x": 1}, {"tags_name": []})
    ],
    *[("POST", "/api/system/phone_numbers/", "phone_sid", value) for value in (*NO_TEXT, None, "")],
    *[("DELETE", "/api/system/phone_numbers/", "phone_sid", value) for value in (*NO_TEXT, None, "")],
    *[("POST", "/api/system/test/voice/", "message", value) for value in (*NO_TEXT, None, "")],
    *[("POST", "/api/system/send/otp/", "number", value) for value in (*NO_TEXT, None, "", 10**400)],
    *[("POST", "/api/system/send/otp/", "message", value) for value in (*NO_TEXT, None, "")],
    *[("POST", "/api/system/send/otp/", "sms_send_options", value) for value in (*NO_TEXT, None, "", 1)],
    *[("POST", "/api/system/send/otp/", "otp_options", value) for value in (*NO_TEXT, 1)],
    *[("POST", "/api/system/send/otp/", "otp", value) for value in (*NO_TEXT, None, "", "12 45")],
    *[("POST", "/api/system/send/otp/", "otp_length", value) for value in (*NO_TEXT, 1.5, "six")],
]


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


def filled(path: str, campaign: Campaign) -> str:
    return path.format(campaign=campaign.pk, number=campaign.recipients.get().pk)


@pytest.mark.parametrize(("method", "path"), GOOD)
def test_the_unmodified_requests_succeed(caller: Caller, campaign: Campaign, method: str, path: str) -> None:
    assert caller.call(method, filled(path, campaign), GOOD[method, path])["success"] is True


@pytest.mark.parametrize(
    ("method", "path", "field", "value"),
    [pytest.param(*case, id=f"{case[0]} {case[1]} {case[2]}={_shown(case[3])}") for case in BAD],
)
def test_an_invalid_field_is_refused_with_its_name(
    caller: Caller, campaign: Campaign, method: str, path: str, field: str, value: Any
) -> None:
    before = row_counts_and_balances()
    sent = GOOD[method, path] | {field: value}
    if field == "send_to_number_file":
        del sent["individual_number"]
    caller.fails(method, filled(path, campaign), sent, status=400)
    assert row_counts_and_balances() == before


ANYTHING: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e300, 2**31, 2**63, 10**400, "", " ", "0", "abc", "💥", "नमस्ते", "\\",
    "'", '"', "%s", "{", "}", "{}", "{otp}", "{tags_name}", "{0}", "[", "[[1]]", '{"a": 1}', "null", "NaN",
    "1e9", "-1", "1,2,,3", ",", "\n", "\u202e", [], [[]], [None], [True], [0], ["x"], ["", ""], [1, [2]], {},
    {"": ""}, {"a": {"b": []}}, {"tags_name": None}, "9" * 5000, "2026-13-45T99:99", "0000-00-00T00:00",
    "9999-12-31T23:59", "<script>", "a" * 5000,
]  # fmt: skip


@pytest.mark.field
@pytest.mark.parametrize(("method", "path"), GOOD)
def test_no_value_of_a_field_causes_a_500(caller: Caller, campaign: Campaign, method: str, path: str) -> None:
    before, target = row_counts_and_balances(), filled(path, campaign)
    for part, field in enumerate(GOOD[method, path], start=len(path)):
        for value in spread(ANYTHING, part=part):
            with _undone():
                _is_no_bug(caller, method, target, {**GOOD[method, path], field: value}, before)


IN_FORMS = [
    "",
    " ",
    "0",
    "-1",
    "abc",
    "💥",
    "[1",
    "[[1]]",
    '{"a": 1}',
    "null",
    "1,2,,3",
    "\u202e",
    "9" * 5000,
    "{tags_name}",
]
FILES = [b"", b"text", b"PK\x03\x04", b"\xff\xfb\x90\x00" * 50, b"RIFF\x00\x00\x00\x00WAVE", b"<html>" * 99]


@pytest.mark.field
@pytest.mark.parametrize(("method", "path"), GOOD)
def test_no_form_causes_a_500(caller: Caller, campaign: Campaign, method: str, path: str) -> None:
    before, target = row_counts_and_balances(), filled(path, campaign)
    good = {key: str(value) for key, value in GOOD[method, path].items()}
    for part, field in enumerate(good, start=len(path)):
        odd = [(f"{field}[]", "a"), (f"{field}[a]", "a"), (f"{field}[a][b]", "a"), (f"{field}[0", "a")]
        files = [(field, SimpleUploadedFile("file", content)) for content in FILES]
        sent = [*[(field, text) for text in IN_FORMS], *odd, *files]
        for name, value in spread(sent, part=part):
            with _undone():
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
    max_examples=at_scale(8, 500),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_json_body_causes_a_500(
    caller: Caller, campaign: Campaign, method: str, path: str, data: st.DataObject
) -> None:
    good = GOOD[method, path]
    changes = data.draw(st.dictionaries(st.sampled_from(sorted(good)), json_values, min_size=1, max_size=3))
    before = row_counts_and_balances()
    with _undone():
        _is_no_bug(caller, method, filled(path, campaign), good | changes, before)


@contextmanager
def _undone() -> Iterator[None]:
    """Roll back all changes made in this context."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _is_no_bug(
    caller: Caller, method: str, path: str, sent: dict[str, Any], before: dict[str, Any], format: str = "json"
) -> None:
    answer = caller.call(method, path, sent, format=format)
    assert answer["status"] in {200, 201, 204, 400, 404, 409}, (sent, answer)
    if answer["status"] >= 400:
        assert_refusal(answer, answer["status"])
        assert row_counts_and_balances() == before, sent


RAW = [
    pytest.param(b"{", "application/json", 400, id="truncated"),
    pytest.param(b"nonsense", "application/json", 400, id="no JSON"),
    pytest.param(b"[1, 2]", "application/json", 400, id="a list"),
    pytest.param(b'"text"', "application/json", 400, id="a string"),
    pytest.param(b"7", "application/json", 400, id="a number"),
    pytest.param(b"null", "application/json", 400, id="null"),
    pytest.param(b'{"message": NaN}', "application/json", 400, id="NaN"),
    pytest.param(b'{"message": 1e999}', "application/json", 400, id="infinity"),
    pytest.param(b'{"number": ' + b"9" * 5000 + b"}", "application/json", 400, id="5000 digits"),
    pytest.param(b"[" * 50_000, "application/json", 400, id="nested"),
    pytest.param(b'{"a":' * 10_000, "application/json", 400, id="nested objects"),
    pytest.param(b'{"message": "\xff\xfe"}', "application/json", 400, id="no UTF-8"),
    pytest.param(b'{"message": "a\\u0000b", "name": "\\u0000"}', "application/json", 400, id="NUL"),
    pytest.param(b'{"message": "\\ud800"}', "application/json", 400, id="half a character"),
    pytest.param(b"message=%00", "application/x-www-form-urlencoded", 400, id="NUL in a form"),
    pytest.param(b"message=%ff%fe", "application/x-www-form-urlencoded", 400, id="no UTF-8 in a form"),
    pytest.param(b"&".join([b"a="] * 20_000), "application/x-www-form-urlencoded", 400, id="20,000 fields"),
    pytest.param(b"no parts", "multipart/form-data", 400, id="multipart without a boundary"),
    pytest.param(b"--x\r\n", "multipart/form-data; boundary=x", 400, id="multipart cut off"),
    pytest.param(b"<xml/>", "text/xml", 415, id="XML"),
    pytest.param(b"message=hello", "text/plain", 415, id="text"),
    pytest.param(b"{}", "application/json; charset=no-such-charset", 400, id="a charset that is none"),
]


@pytest.mark.parametrize(("body", "content_type", "status"), RAW)
@pytest.mark.parametrize(("method", "path"), GOOD)
def test_an_unreadable_body_is_refused(
    caller: Caller, campaign: Campaign, method: str, path: str, body: bytes, content_type: str, status: int
) -> None:
    before = row_counts_and_balances()
    answer = caller.call(method, filled(path, campaign), body, content_type=content_type)
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
