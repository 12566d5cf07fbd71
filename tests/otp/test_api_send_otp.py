"""v0: one-time passwords."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from accounts.models import Account
from otp.models import Origin, Otp
from telephony.models import Audio, Channel, Delivery, DeliveryStatus, Purpose, SandboxMessage
from tests import engine
from tests.factories import make_account, make_campaign, make_phone_number
from tests.golden import assert_answers_as_documented, golden
from tests.v0 import Caller

SEND = "/api/system/send/otp/"


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


def request_body(**changes: Any) -> dict[str, Any]:
    """Return a valid request with these changes, without the fields that are set to `...`."""
    valid = {"number": "9800000034", "message": "Your OTP is {otp}", "sms_send_options": "text"}
    return {key: value for key, value in {**valid, **changes}.items() if value is not ...}


class TestOwnersPassword:
    def test_response_to_an_owners_password_is_as_documented(self, caller: Caller) -> None:
        assert_answers_as_documented(caller.client, "otp_send")
        otp = Otp.objects.get()
        assert (otp.origin, otp.code, otp.channel) == (Origin.OWNER, "12345", Channel.SMS)

    @pytest.mark.parametrize("format", ["json", "multipart", "form"])
    def test_request_is_accepted_in_every_encoding(self, caller: Caller, format: str) -> None:
        sent = request_body(otp_options="personnel", otp="12345", message="Hi your OTP is {otp}")
        if format == "form":
            answer = caller.post(SEND, urlencode(sent), content_type="application/x-www-form-urlencoded")
        else:
            answer = caller.post(SEND, sent, format=format)
        assert answer == golden("otp_send")

    @pytest.mark.parametrize("code", ["1234", "0123456789", "007007", "AB12cd", 12345])
    def test_password_may_have_digits_or_letters(self, caller: Caller, code: object) -> None:
        details = caller.post(SEND, request_body(otp_options="PERSONNEL", otp=code))["data"]["details"]
        assert details["otp"] == str(code)
        assert details["message"] == f"Your OTP is {' '.join(str(code))}"

    def test_password_without_otp_options_is_sent(self, caller: Caller) -> None:
        details = caller.post(SEND, request_body(otp="4711"))["data"]["details"]
        assert (details["otp"], details["otp_options"]) == ("4711", "personnel")

    @pytest.mark.parametrize(
        "code", [..., "", None, "123", "12345678901", "12 34", "१२३४", "{otp}", True, [1234], {}, -1234]
    )
    def test_invalid_password_is_rejected(self, caller: Caller, code: object) -> None:
        caller.fails("POST", SEND, request_body(otp_options="personnel", otp=code), status=400)


class TestGeneratedPassword:
    def test_response_with_a_generated_password_is_as_documented(self, caller: Caller) -> None:
        response = caller.client.post(
            SEND, request_body(message="Hi your OTP is {otp}", sms_send_options="voice", otp_length="4")
        )
        code = response.json()["data"]["details"]["otp"]
        assert re.fullmatch(r"[0-9]{4}", code)
        expected = golden("otp_send_generated")
        expected["data"]["details"] |= {"message": f"Hi your OTP is {' '.join(code)}", "otp": code}
        assert response.json() == expected

    @pytest.mark.parametrize("option", [..., "generated", "Generated", "", None])
    def test_generated_password_is_the_default_and_has_six_digits(
        self, caller: Caller, option: object
    ) -> None:
        details = caller.post(SEND, request_body(otp_options=option))["data"]["details"]
        assert details["otp_options"] == "generated"
        assert re.fullmatch(r"[0-9]{6}", details["otp"])

    def test_password_is_ignored_when_one_is_generated(self, caller: Caller) -> None:
        details = caller.post(SEND, request_body(otp_options="generated", otp="nothing", otp_length=8))[
            "data"
        ]["details"]
        assert re.fullmatch(r"[0-9]{8}", details["otp"])

    @pytest.mark.parametrize("length", [4, 10, "4", " 7 ", "10"])
    def test_generated_password_has_the_requested_length(self, caller: Caller, length: object) -> None:
        details = caller.post(SEND, request_body(otp_length=length))["data"]["details"]
        assert len(details["otp"]) == int(str(length))

    @pytest.mark.parametrize(
        "length", [3, 11, 0, -4, 10**30, "3", "four", "4.0", 4.5, True, [4], {"a": 1}, "9" * 5000]
    )
    def test_invalid_length_is_rejected(self, caller: Caller, length: object) -> None:
        caller.fails("POST", SEND, request_body(otp_length=length), status=400)

    def test_generated_passwords_differ(self, caller: Caller) -> None:
        codes = {caller.post(SEND, request_body(otp_length=10))["data"]["details"]["otp"] for _ in range(5)}
        assert len(codes) == 5


class TestFields:
    def test_inbox_shows_the_text_of_a_call(self, caller: Caller) -> None:
        caller.post(SEND, request_body(otp="12345", sms_send_options="voice"))
        engine.run_to_the_end()
        assert SandboxMessage.objects.get().text == "Your OTP is 12345"

    @pytest.mark.parametrize("name", ["sms_send_options", "sms_send_option"])
    @pytest.mark.parametrize(
        ("word", "channel"), [("text", Channel.SMS), ("voice", Channel.CALL), ("Voice", Channel.CALL)]
    )
    def test_channel_is_read_under_both_documented_names(
        self, caller: Caller, name: str, word: str, channel: Channel
    ) -> None:
        details = caller.post(SEND, request_body(sms_send_options=...) | {name: word})["data"]["details"]
        assert details["sms_send_options"] == word.lower()
        assert Otp.objects.get().channel == channel

    @pytest.mark.parametrize("word", [..., "", None, "fax", 1, True, ["text"], {"text": 1}])
    def test_invalid_channel_is_rejected(self, caller: Caller, word: object) -> None:
        answer = caller.fails("POST", SEND, request_body(sms_send_options=word), status=400)
        assert "text, voice" in answer["message"]

    @pytest.mark.parametrize("word", ["personal", 1, True, ["generated"], {}])
    def test_invalid_otp_options_are_rejected(self, caller: Caller, word: object) -> None:
        caller.fails("POST", SEND, request_body(otp_options=word), status=400)

    @pytest.mark.parametrize("number", [9800000034, "9800000034", "+9779800000034", "980-000-0034"])
    def test_number_is_returned_as_it_was_sent(self, caller: Caller, number: object) -> None:
        details = caller.post(SEND, request_body(number=number))["data"]["details"]
        assert details["number"] == str(number)
        assert Otp.objects.get().to == "+9779800000034"

    @pytest.mark.parametrize(
        "number",
        [
            ...,
            "",
            None,
            "12",
            "123456789012345678",
            "call me",
            "98000000ab",
            True,
            ["9800000034"],
            {},
            1.5,
            984381123,
        ],
    )
    def test_invalid_number_is_rejected(self, caller: Caller, number: object) -> None:
        caller.fails("POST", SEND, request_body(number=number), status=400)

    @pytest.mark.parametrize("message", [..., "", "  ", None, ["{otp}"], {"otp": 1}, True, "x" * 1001])
    def test_invalid_message_is_rejected(self, caller: Caller, message: object) -> None:
        caller.fails("POST", SEND, request_body(message=message), status=400)

    def test_message_without_a_placeholder_is_sent_unchanged(self, caller: Caller) -> None:
        details = caller.post(SEND, request_body(message="Welcome } {"))["data"]["details"]
        assert details["message"] == "Welcome } {"
        assert Delivery.objects.get().text == "Welcome } {"

    def test_every_placeholder_is_replaced(self, caller: Caller) -> None:
        details = caller.post(SEND, request_body(message="{otp}! I repeat: {otp}", otp="4711"))["data"][
            "details"
        ]
        assert details["message"] == "4 7 1 1! I repeat: 4 7 1 1"
        assert Delivery.objects.get().text == "4711! I repeat: 4711"

    def test_call_uses_the_chosen_voice(self, caller: Caller) -> None:
        caller.post(SEND, request_body(sms_send_options="voice", voice_input="np_prashanna"))
        assert Otp.objects.get().voice == "np_prasanna"
        caller.fails("POST", SEND, request_body(sms_send_options="voice", voice_input="robot"), status=400)


class TestDelivery:
    def test_otp_has_the_highest_priority_and_expires(self, caller: Caller, account: Account) -> None:
        make_phone_number(number="9800000199", owner=account)
        caller.post(SEND, request_body())
        otp, delivery = Otp.objects.get(), Delivery.objects.get()
        assert otp.delivery == delivery
        assert (delivery.purpose, delivery.priority, delivery.status) == (
            Purpose.OTP,
            0,
            DeliveryStatus.QUEUED,
        )
        assert (delivery.to, delivery.caller) == ("+9779800000034", "9800000199")
        assert delivery.useful_until is not None
        assert timedelta(minutes=4) < delivery.useful_until - timezone.now() <= timedelta(minutes=5)

    def test_sms_has_the_password_without_spaces(self, caller: Caller) -> None:
        caller.post(SEND, request_body(otp="12345"))
        engine.run_all_loops_once()
        assert SandboxMessage.objects.get().text == "Your OTP is 12345"

    def test_call_reads_the_password_digit_by_digit(
        self, caller: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from telephony import speech

        spoken: list[str] = []
        speak = speech.speak

        def listen(*, text: str, voice: str) -> Audio:
            spoken.append(text)
            return speak(text=text, voice=voice)

        monkeypatch.setattr(speech, "speak", listen)
        caller.post(SEND, request_body(otp="12345", sms_send_options="voice"))
        assert spoken == ["Your OTP is 1 2 3 4 5"]
        assert Delivery.objects.get().audio is not None

    @pytest.mark.parametrize(("option", "cost"), [("text", 1), ("voice", 2)])
    def test_delivered_otp_is_charged(
        self, caller: Caller, account: Account, settings: Any, option: str, cost: int
    ) -> None:
        settings.IRIS_SANDBOX_SPEED = 1000
        caller.post(SEND, request_body(sms_send_options=option))
        account.refresh_from_db()
        assert account.balance == 100 - cost
        engine.run_to_the_end()
        otp = Otp.objects.select_related("hold", "delivery").get()
        assert otp.delivery is not None
        assert otp.delivery.status == DeliveryStatus.COMPLETED
        assert otp.hold is not None
        assert (otp.hold.captured, otp.hold.remaining) == (cost, 0)
        assert otp.hold.closed_at is not None
        account.refresh_from_db()
        assert account.balance == 100 - cost

    @pytest.mark.parametrize(
        ("number", "option"), [("9800009904", "text"), ("9800009901", "voice"), ("9800009902", "voice")]
    )
    def test_undelivered_otp_costs_nothing(
        self, caller: Caller, account: Account, settings: Any, number: str, option: str
    ) -> None:
        settings.IRIS_SANDBOX_SPEED = 1000
        caller.post(SEND, request_body(number=number, sms_send_options=option))
        engine.run_to_the_end()
        account.refresh_from_db()
        assert account.balance == 100
        hold = Otp.objects.select_related("hold").get().hold
        assert hold is not None
        assert hold.closed_at is not None
        assert hold.remaining == 0

    def test_otp_is_not_sent_after_five_minutes(self, caller: Caller, account: Account) -> None:
        caller.post(SEND, request_body())
        Delivery.objects.update(useful_until=timezone.now() - timedelta(seconds=1))
        from telephony.engine import lifecycle

        lifecycle.lose_unreported()
        assert Delivery.objects.get().status == DeliveryStatus.FAILED
        account.refresh_from_db()
        assert account.balance == 100
        assert not SandboxMessage.objects.exists()

    def test_holds_of_several_otps_are_released_in_one_set(
        self, caller: Caller, account: Account, settings: Any
    ) -> None:
        settings.IRIS_SANDBOX_SPEED = 1000
        others = make_account(email="other@example.com", credits=10)
        for client in (caller, Caller(others), caller, Caller(others)):
            client.post(SEND, request_body(number="9800009904"))
            client.post(SEND, request_body())
        campaign = make_campaign(owner=account, numbers=[9800000001])
        caller.post(f"/api/system/campaigns/{campaign.pk}/begin/", {"message": "Namaste"})
        engine.run_to_the_end()
        account.refresh_from_db()
        others.refresh_from_db()
        assert (account.balance, others.balance) == (97, 8)

    def test_otp_without_enough_credits_is_refused(self, caller: Caller, account: Account) -> None:
        Account.objects.filter(pk=account.pk).update(balance=0)
        caller.fails("POST", SEND, request_body(), status=402)
        assert not Otp.objects.exists()
        assert not Delivery.objects.exists()


def test_account_is_throttled_after_too_many_otps_in_a_minute(caller: Caller, settings: Any) -> None:
    settings.IRIS_OTP_THROTTLE = "2/minute"
    for _ in range(2):
        caller.post(SEND, request_body())
    answer = caller.fails("POST", SEND, request_body(), status=429)
    assert "Wait" in answer["message"]
    assert Otp.objects.count() == 2
