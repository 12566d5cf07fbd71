"""Test one-time passwords where v1 differs from v0. tests/otp has all other tests."""

from __future__ import annotations

from typing import Any

import pytest

from otp.models import Otp
from telephony.models import Delivery
from tests.factories import make_account
from tests.v1.caller import Caller


def send(caller: Caller, **fields: Any) -> dict[str, Any]:
    body = {"number": "9841000001", "message": "Your code is {otp}", "sms_send_options": "text", **fields}
    details: dict[str, Any] = caller.post("auths/send/otp/", body)["data"]["details"]
    return details


def test_company_name_precedes_the_otp_message(caller: Caller) -> None:
    details = send(caller, company_name="Sample Bank")
    assert details["message"] == f"Sample Bank: Your code is {details['otp']}"
    assert Delivery.objects.get().text == details["message"]


@pytest.mark.parametrize("company", [None, "", "  "])
def test_otp_without_a_company_name_is_sent_unchanged(caller: Caller, company: Any) -> None:
    details = send(caller, company_name=company)
    assert (details["company_name"], details["message"]) == ("", f"Your code is {details['otp']}")


@pytest.mark.parametrize("length", [8, "8"])
def test_otp_has_the_requested_length(caller: Caller, length: Any) -> None:
    assert len(send(caller, otp_length=length)["otp"]) == 8


@pytest.mark.parametrize(
    ("sent", "shown"),
    [(None, "np_rija"), ("np_prashanna", "np_prashanna"), (3, "np_prashanna"), ("5", "np_shreegya")],
)
def test_otp_call_uses_the_requested_voice(caller: Caller, sent: Any, shown: str) -> None:
    details = send(caller, sms_send_options="voice", voice_input=sent)
    assert (details["voice_input"], details["length_factor"]) == (shown, 1.0)
    assert " " not in details["otp"]
    assert details["otp"] in details["message"]


def test_invalid_otp_request_has_the_error_shape_of_v1(caller: Caller) -> None:
    body = {"number": "9841000001", "message": "x", "sms_send_options": "fax"}
    assert "sms_send_options" in caller.fails("POST", "auths/send/otp/", body, status=400)
    body = {**body, "sms_send_options": "voice", "voice_input": "nobody"}
    assert "voice_input" in caller.fails("POST", "auths/send/otp/", body, status=400)
    assert not Otp.objects.exists()


def test_otp_without_enough_credits_is_a_402(db: None) -> None:
    caller = Caller(make_account())
    body = {"number": "9841000001", "message": "x", "sms_send_options": "text"}
    caller.fails("POST", "auths/send/otp/", body, status=402)
    assert caller.code == "insufficient_credits"


def test_otp_requests_over_the_limit_are_a_429(caller: Caller, settings: Any) -> None:
    settings.IRIS_OTP_THROTTLE = "1/minute"
    send(caller)
    body = {"number": "9841000001", "message": "x", "sms_send_options": "text"}
    caller.fails("POST", "auths/send/otp/", body, status=429)
    assert caller.code == "throttled"


def test_otp_list_shows_the_accounts_own_otps_newest_first(caller: Caller) -> None:
    codes = [send(caller, number=f"98410000{last:02}")["otp"] for last in range(12)]
    send(Caller(make_account(credits=5)))
    answer = caller.get("auths/list/send-otps/")
    assert (answer["count"], answer["total_pages"]) == (12, 2)
    assert [row["otp"] for row in answer["results"]["data"]] == codes[:1:-1]
    assert len(caller.get(answer["next"])["results"]["data"]) == 2
