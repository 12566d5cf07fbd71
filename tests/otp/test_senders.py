"""OTPs by SMS leave with an approved sender, or are refused before anything is held."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Account
from otp.services import send_otp
from telephony.models import Channel, Delivery
from tests.factories import make_account
from tests.telephony.senders.making import NCELL, NTC, make_sender, use_trunks
from tests.v0 import Caller, row_counts_and_balances
from tests.v1.caller import Caller as CallerOfV1

pytestmark = pytest.mark.django_db

BODY = {"number": NCELL, "message": "Your OTP is {otp}", "sms_send_options": "text"}


@pytest.fixture
def account(settings: Any) -> Account:
    use_trunks(settings, strict=True)
    return make_account(email="sita@example.com", credits=100)


def test_otp_has_the_sender_of_its_operator(account: Account) -> None:
    make_sender("31001", owner=account, operator="ntc")
    make_sender("ACME", owner=account, operator="ncell")
    Caller(account).post("/api/system/send/otp/", BODY)
    send_otp(account=account, number=NTC, message="{otp}", channel=Channel.SMS)
    assert list(Delivery.objects.order_by("pk").values_list("sender", flat=True)) == ["ACME", "31001"]


def test_otp_without_a_sender_is_refused_and_nothing_is_held_or_counted(account: Account) -> None:
    make_sender("31001", owner=account, operator="ntc")
    of_v1 = CallerOfV1(account).client
    before = row_counts_and_balances()
    answer = Caller(account).fails("POST", "/api/system/send/otp/", BODY, status=409)
    assert "no approved sender for SMS to Ncell numbers" in answer["message"]
    response = of_v1.post("/api/v1/auths/send/otp/", BODY, format="json")
    assert response.status_code == 409
    assert row_counts_and_balances() == before


def test_otp_by_call_needs_no_sender(account: Account) -> None:
    Caller(account).post("/api/system/send/otp/", {**BODY, "sms_send_options": "voice"})
    assert Delivery.objects.get().sender == ""
