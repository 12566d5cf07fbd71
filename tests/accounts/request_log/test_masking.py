"""What the log of API requests hides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.request_log.masking import MAX_BODY_BYTES, MAX_PATH_CHARACTERS, masked_address, masked_body
from tests.cpu import cpu_at_most

SECRET = "zebra-umbrella"


@pytest.mark.parametrize(
    "name",
    [
        "password", "new_password", "newPassword", "token", "access", "refresh", "api_key", "apiKey", "secret", "otp",
        "code", "message", "sms_message", "text", "text_or_url", "body", "reason", "Authorization", "OTP",
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", ["text", "list", "object", "nested"])
def test_fields_are_hidden_by_their_names(name: str, shape: str) -> None:
    values: dict[str, Any] = {"text": SECRET, "list": [SECRET], "object": {"a": SECRET}, "nested": [[SECRET]]}
    shown = masked_body({"first": 1, name: values[shape]})
    assert SECRET not in shown
    assert json.loads(shown)["first"] == 1


@pytest.mark.parametrize("name", ["messages", "tokens", "passwords"])
def test_lists_of_hidden_texts_are_hidden(name: str) -> None:
    assert SECRET not in masked_body({name: [SECRET, [SECRET], {"message": SECRET}]})
    assert SECRET not in masked_body({name: json.dumps([SECRET])})


def test_lists_of_objects_are_shown_without_their_hidden_fields() -> None:
    body = {"keys": [{"id": 12345678901, "name": "shop", "token": SECRET}], "key_id": 7, "message": ""}
    assert json.loads(masked_body(body)) == {
        "keys": [{"id": 12345678901, "name": "shop", "token": "***"}],
        "key_id": 7,
        "message": "",
    }


@pytest.mark.parametrize(
    "number",
    [
        "9841000017", "+9779841000017", "984-100 0017", "(+977) 98410.00017", "९८४१००००१७", "call 9841000017 now",
        "9841-00-00 017", "0 1 4 1 0 0 0 1 7", 9841000017, 9841000017.0, "x9841000017y",
    ],
)  # fmt: skip
def test_of_phone_numbers_two_digits_remain(number: Any) -> None:
    for shown in (
        masked_body({"number": number}),
        masked_body({"x": [{"y": number}]}),
        masked_body({str(number): 1}),
        masked_body({"x": json.dumps([{"number": number}])}),
        masked_body({"message": number}, is_error=True),
        masked_address(f"/api/system/number/{number}/why/", f"q={number}"),
    ):
        digits = [int(one) for one in shown if one.isdigit()]
        assert len(digits) <= 5, shown  # the two digits of each place, and our own 1


def test_number_that_is_cut_is_not_shown() -> None:
    for length in range(MAX_BODY_BYTES - 60, MAX_BODY_BYTES + 10):
        shown = masked_body({"x": "a" * length + "9841000017" * 3})
        assert "98" not in shown


@pytest.mark.parametrize("moment", ["2026-01-31", "2026-01-31T08:30:12.345678+05:45", "2026-01-31T08:30:12Z"])
def test_times_and_small_numbers_are_shown(moment: str) -> None:
    assert json.loads(masked_body({"at": moment, "n": 99.5, "id": 123456})) == {
        "at": moment,
        "n": 99.5,
        "id": 123456,
    }


@pytest.mark.parametrize(
    "token",
    [
        "whsec_ZXhhbXBsZSBzZWNyZXQgb2YgMjQgYnl0",
        "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoxMjM0fQ.c2lnbmF0dXJl",
        "0123456789abcdef" * 4,
        "Bearer abcdefghijkl",
    ],
)
def test_tokens_are_hidden_wherever_they_are(token: str) -> None:
    for shown in (masked_body({"name": f"It is {token}."}), masked_address(f"/api/{token}/", f"q={token}")):
        assert token.removeprefix("Bearer ") not in shown


def test_queries_are_hidden_by_their_names_and_in_addresses() -> None:
    assert masked_address("/api/system/x/", "token=abc&page=2") == "/api/system/x/?token=***&page=2"
    assert SECRET not in masked_body({"url": f"https://hooks.example.com/in?sig={SECRET}"})
    assert len(masked_address("/api/" + "x/" * 500, "y=" + "z" * 5_000)) == MAX_PATH_CHARACTERS


def test_own_words_of_a_response_are_shown() -> None:
    body = {"status": 200, "success": True, "message": "Saved.", "errors": [], "data": {"message": SECRET}}
    shown = json.loads(masked_body(body, own_words=("message", "errors")))
    assert list(shown) == list(body)
    assert (shown["message"], shown["data"]) == ("Saved.", {"message": "***"})
    assert "Too long" in masked_body({"message": "Too long.", "sms_message": ["Too long."]}, is_error=True)


@pytest.mark.parametrize(
    "text",
    ["a" * 10**6, "1" * 10**6, "1 " * 10**5, "http://" * 10**5, "token " * 10**5, "a.b-" * 10**5, "-" * 10**6,
     "2026-01-1" * 10**4, "0123456789." * 10**4, "[" * 10**5, '{"a":' * 10**4, "\x00\ud800" * 10**4],
)  # fmt: skip
def test_worst_texts_are_short_and_cheap(text: str) -> None:
    deep: Any = text
    for _ in range(1_000):
        deep = {"a": deep}
    with cpu_at_most(0.5):
        for body in ({"x": text}, {text: 1}, {"x": [text] * 1_000}, deep, {"x": [[1] * 10**5] * 1_000}):
            assert len(masked_body(body).encode()) <= MAX_BODY_BYTES
        assert len(masked_address(text, text)) <= MAX_PATH_CHARACTERS


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -float("inf"), 10**400, -(10**30), True, None, object()],
    ids=["nan", "inf", "-inf", "huge", "negative", "true", "null", "object"],
)
def test_odd_values_are_no_errors(value: Any) -> None:
    assert masked_body({"x": value, "id": value, "token": value})
