"""Limits on the numbers and the frequency of OTPs."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db.models import F

from accounts.models import Account, CreditEntry, RateCounter
from otp.models import Otp
from otp.services import send_otp
from telephony.models import Channel, Delivery, OptOut
from tests.accounts.test_credits_races import at_once, kinds
from tests.factories import make_account
from tests.v0 import Caller
from tests.v1.caller import Caller as CallerOfV1

SEND = "/api/system/send/otp/"
BODY = {"number": "9800000034", "message": "Your OTP is {otp}", "sms_send_options": "text"}


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


class TestToOneNumber:
    def test_limit_counts_all_notations_of_a_number(self, caller: Caller, account: Account) -> None:
        for number in ("9800000034", "+9779800000034", "980-000-0034", "009779800000034", "९८०००००0३४"):
            caller.post(SEND, {**BODY, "number": number})
        for changes in ({}, {"sms_send_options": "voice"}, {"message": "no password"}, {"otp": "12345"}):
            answer = caller.fails("POST", SEND, {**BODY, **changes}, status=429)
            assert "to this number" in answer["message"]
        assert Otp.objects.count() == Delivery.objects.count() == 5
        account.refresh_from_db()
        assert account.balance == 95

    def test_retry_after_tells_when_the_limit_ends(self, caller: Caller, account: Account) -> None:
        for _ in range(5):
            caller.post(SEND, BODY)
        client = caller.client
        response = client.post(SEND, BODY)
        assert 1 <= int(response["Retry-After"]) <= 60
        RateCounter.objects.update(ends_at=F("ends_at") - timedelta(seconds=int(response["Retry-After"])))
        caller.post(SEND, BODY)

    def test_each_of_several_rates_applies(self, caller: Caller, settings: Any) -> None:
        settings.IRIS_OTP_NUMBER_THROTTLE = "2/minute,3/hour"
        for status in (200, 200, 429):
            caller.call("POST", SEND, BODY, status=status)
        RateCounter.objects.update(ends_at=F("ends_at") - timedelta(seconds=61))
        for status in (200, 429):
            caller.call("POST", SEND, BODY, status=status)

    def test_other_numbers_and_other_accounts_have_their_own_limits(
        self, caller: Caller, settings: Any
    ) -> None:
        settings.IRIS_OTP_NUMBER_THROTTLE = "1/day"
        caller.post(SEND, BODY)
        caller.fails("POST", SEND, BODY, status=429)
        caller.post(SEND, {**BODY, "number": "9800000035"})
        Caller(make_account(credits=5)).post(SEND, BODY)

    def test_refused_otps_are_not_counted(self, caller: Caller, account: Account, settings: Any) -> None:
        settings.IRIS_OTP_NUMBER_THROTTLE = "1/day"
        Account.objects.update(balance=0)
        caller.fails("POST", SEND, BODY, status=402)
        caller.fails("POST", SEND, {**BODY, "otp": "1"}, status=400)
        Account.objects.update(balance=5)
        caller.post(SEND, BODY)

    def test_limit_has_its_own_error_code_in_v1(self, account: Account, settings: Any) -> None:
        settings.IRIS_OTP_NUMBER_THROTTLE = "1/day"
        caller = CallerOfV1(account)
        caller.post("auths/send/otp/", BODY)
        caller.fails("POST", "auths/send/otp/", BODY, status=429)
        assert caller.code == "too_many_to_number"

    def test_several_numbers_in_one_field_are_rejected(self, caller: Caller) -> None:
        for number in (["9800000034"], "9800000034,9800000035", "9800000034 9800000035", {"0": "9800000034"}):
            caller.fails("POST", SEND, {**BODY, "number": number}, status=400)
        assert not Otp.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_concurrent_otps_to_one_number_do_not_exceed_the_limit() -> None:
    account = make_account(credits=100)
    send = partial(send_otp, account=account, number="9800000034", message="{otp}", channel=Channel.SMS)
    answers = at_once([send] * 12)
    assert kinds(answers) == ["Otp"] * 5 + ["TooManyToNumber"] * 7
    assert Otp.objects.count() == CreditEntry.objects.filter(kind="hold").count() == 5


class TestCountries:
    @pytest.mark.parametrize("number", ["+919876543210", "+12025550123", "+447911123456", "+8821612345678"])
    @pytest.mark.parametrize("option", ["text", "voice"])
    def test_number_of_another_country_is_rejected(self, caller: Caller, number: str, option: str) -> None:
        answer = caller.fails(
            "POST", SEND, {**BODY, "number": number, "sms_send_options": option}, status=400
        )
        assert [error["field"] for error in answer["errors"]] == ["number"]
        assert "another country" in answer["message"]
        assert not Otp.objects.exists()

    @pytest.mark.parametrize("countries", [["NP", "IN"], ["*"]])
    def test_allowed_countries_are_configurable(
        self, caller: Caller, settings: Any, countries: list[str]
    ) -> None:
        settings.IRIS_OTP_COUNTRIES = countries
        caller.post(SEND, {**BODY, "number": "+919876543210"})
        caller.post(SEND, BODY)
        caller.call(
            "POST", SEND, {**BODY, "number": "+447911123456"}, status=200 if "*" in countries else 400
        )

    def test_premium_rate_number_is_rejected(self, caller: Caller, settings: Any) -> None:
        settings.IRIS_OTP_COUNTRIES = ["*"]
        answer = caller.fails("POST", SEND, {**BODY, "number": "+449098790000"}, status=400)
        assert "premium-rate" in answer["message"]

    def test_nepali_numbers_unknown_to_phonenumbers_are_accepted(self, caller: Caller) -> None:
        caller.post(SEND, {**BODY, "number": "9900000001"})
        caller.post(SEND, {**BODY, "number": "9612345678"})


class TestOptOuts:
    @pytest.fixture(autouse=True)
    def _opted_out(self, account: Account) -> None:
        OptOut.objects.create(owner=account, number="+9779800000034", source="STOP")

    @pytest.mark.parametrize("message", ["Buy two!", "[otp]", "{}", "{otp", "otp"])
    @pytest.mark.parametrize("option", ["text", "voice"])
    def test_message_without_a_password_to_an_opted_out_recipient_is_refused(
        self, caller: Caller, message: str, option: str
    ) -> None:
        body = {**BODY, "message": message, "sms_send_options": option, "otp": "12345"}
        status = 400 if message == "{otp" else 409
        answer = caller.fails("POST", SEND, body, status=status)
        assert status == 400 or "opted out" in answer["message"]
        assert not Otp.objects.exists()
        assert not RateCounter.objects.exists()

    def test_password_to_an_opted_out_recipient_is_sent(self, caller: Caller) -> None:
        caller.post(SEND, BODY)
        assert Otp.objects.count() == 1

    def test_opt_out_of_another_account_does_not_apply(self) -> None:
        Caller(make_account(credits=5)).post(SEND, {**BODY, "message": "Welcome"})

    def test_opt_out_has_its_own_error_code_in_v1(self, account: Account) -> None:
        caller = CallerOfV1(account)
        caller.fails("POST", "auths/send/otp/", {**BODY, "message": "x", "company_name": "Shop"}, status=409)
        assert caller.code == "opted_out"
