"""v0: sending one-time passwords."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from accounts.models import User
from otp.models import Origin, Otp
from telephony.models import Audio, Channel, Delivery, DeliveryStatus, Purpose, SandboxMessage
from tests import engine
from tests.factories import make_campaign, make_phone_number, make_user
from tests.golden import assert_answers_as_documented, golden
from tests.v0 import Caller

SEND = "/api/system/send/otp/"


@pytest.fixture
def user(db: None) -> User:
    return make_user(email="sita@example.com", credits=100)


@pytest.fixture
def caller(user: User) -> Caller:
    return Caller(user)


def wanted(**changes: Any) -> dict[str, Any]:
    """A request that is fine; with changes, and without what they set to `...`."""
    fine = {"number": "9800000034", "message": "Your OTP is {otp}", "sms_send_options": "text"}
    return {key: value for key, value in {**fine, **changes}.items() if value is not ...}


class TestPersonnel:
    def test_as_documented(self, caller: Caller) -> None:
        assert_answers_as_documented(caller.client, "otp_send")
        otp = Otp.objects.get()
        assert (otp.origin, otp.code, otp.channel) == (Origin.OWNER, "12345", Channel.SMS)

    @pytest.mark.parametrize("format", ["json", "multipart", "form"])
    def test_in_every_encoding(self, caller: Caller, format: str) -> None:
        sent = wanted(otp_options="personnel", otp="12345", message="Hi your OTP is {otp}")
        if format == "form":
            answer = caller.post(SEND, urlencode(sent), content_type="application/x-www-form-urlencoded")
        else:
            answer = caller.post(SEND, sent, format=format)
        assert answer == golden("otp_send")

    @pytest.mark.parametrize("code", ["1234", "0123456789", "007007", "AB12cd", 12345])
    def test_digits_or_letters(self, caller: Caller, code: object) -> None:
        details = caller.post(SEND, wanted(otp_options="PERSONNEL", otp=code))["data"]["details"]
        assert details["otp"] == str(code)
        assert details["message"] == f"Your OTP is {' '.join(str(code))}"

    def test_is_meant_when_a_password_comes_without_saying_so(self, caller: Caller) -> None:
        details = caller.post(SEND, wanted(otp="4711"))["data"]["details"]
        assert (details["otp"], details["otp_options"]) == ("4711", "personnel")

    @pytest.mark.parametrize(
        "code", [..., "", None, "123", "12345678901", "12 34", "१२३४", "{otp}", True, [1234], {}, -1234]
    )
    def test_a_password_that_is_none(self, caller: Caller, code: object) -> None:
        caller.fails("POST", SEND, wanted(otp_options="personnel", otp=code), status=400)


class TestGenerated:
    def test_as_documented(self, caller: Caller) -> None:
        response = caller.client.post(
            SEND, wanted(message="Hi your OTP is {otp}", sms_send_options="voice", otp_length="4")
        )
        code = response.json()["data"]["details"]["otp"]
        assert re.fullmatch(r"[0-9]{4}", code)
        expected = golden("otp_send_generated")
        expected["data"]["details"] |= {"message": f"Hi your OTP is {' '.join(code)}", "otp": code}
        assert response.json() == expected

    @pytest.mark.parametrize("option", [..., "generated", "Generated", "", None])
    def test_is_the_default_and_has_six_digits(self, caller: Caller, option: object) -> None:
        details = caller.post(SEND, wanted(otp_options=option))["data"]["details"]
        assert details["otp_options"] == "generated"
        assert re.fullmatch(r"[0-9]{6}", details["otp"])

    def test_ignores_a_password_when_asked_to_make_one(self, caller: Caller) -> None:
        details = caller.post(SEND, wanted(otp_options="generated", otp="nothing", otp_length=8))["data"][
            "details"
        ]
        assert re.fullmatch(r"[0-9]{8}", details["otp"])

    @pytest.mark.parametrize("length", [4, 10, "4", " 7 ", "10"])
    def test_length(self, caller: Caller, length: object) -> None:
        details = caller.post(SEND, wanted(otp_length=length))["data"]["details"]
        assert len(details["otp"]) == int(str(length))

    @pytest.mark.parametrize(
        "length", [3, 11, 0, -4, 10**30, "3", "four", "4.0", 4.5, True, [4], {"a": 1}, "9" * 5000]
    )
    def test_a_length_that_is_none(self, caller: Caller, length: object) -> None:
        caller.fails("POST", SEND, wanted(otp_length=length), status=400)

    def test_is_not_the_same_again(self, caller: Caller) -> None:
        codes = {caller.post(SEND, wanted(otp_length=10))["data"]["details"]["otp"] for _ in range(5)}
        assert len(codes) == 5


class TestWords:
    def test_a_call_shows_its_text_in_the_inbox(self, caller: Caller) -> None:
        caller.post(SEND, wanted(otp="12345", sms_send_options="voice"))
        engine.run_to_the_end()
        assert SandboxMessage.objects.get().text == "Your OTP is 12345"

    @pytest.mark.parametrize("name", ["sms_send_options", "sms_send_option"])
    @pytest.mark.parametrize(
        ("word", "channel"), [("text", Channel.SMS), ("voice", Channel.CALL), ("Voice", Channel.CALL)]
    )
    def test_channel(self, caller: Caller, name: str, word: str, channel: Channel) -> None:
        details = caller.post(SEND, wanted(sms_send_options=...) | {name: word})["data"]["details"]
        assert details["sms_send_options"] == word.lower()
        assert Otp.objects.get().channel == channel

    @pytest.mark.parametrize("word", [..., "", None, "fax", 1, True, ["text"], {"text": 1}])
    def test_a_channel_that_is_none(self, caller: Caller, word: object) -> None:
        answer = caller.fails("POST", SEND, wanted(sms_send_options=word), status=400)
        assert "text, voice" in answer["message"]

    @pytest.mark.parametrize("word", ["personal", 1, True, ["generated"], {}])
    def test_options_that_are_none(self, caller: Caller, word: object) -> None:
        caller.fails("POST", SEND, wanted(otp_options=word), status=400)

    @pytest.mark.parametrize("number", [9800000034, "9800000034", "+9779800000034", "980-000-0034"])
    def test_number_is_a_string_as_it_was_sent(self, caller: Caller, number: object) -> None:
        details = caller.post(SEND, wanted(number=number))["data"]["details"]
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
    def test_a_number_that_is_none(self, caller: Caller, number: object) -> None:
        caller.fails("POST", SEND, wanted(number=number), status=400)

    @pytest.mark.parametrize("message", [..., "", "  ", None, ["{otp}"], {"otp": 1}, True, "x" * 1001])
    def test_a_message_that_is_none(self, caller: Caller, message: object) -> None:
        caller.fails("POST", SEND, wanted(message=message), status=400)

    def test_a_message_without_a_place_is_sent_as_it_is(self, caller: Caller) -> None:
        details = caller.post(SEND, wanted(message="Welcome } {"))["data"]["details"]
        assert details["message"] == "Welcome } {"
        assert Delivery.objects.get().text == "Welcome } {"

    def test_every_place_is_filled(self, caller: Caller) -> None:
        details = caller.post(SEND, wanted(message="{otp}! I repeat: {otp}", otp="4711"))["data"]["details"]
        assert details["message"] == "4 7 1 1! I repeat: 4 7 1 1"
        assert Delivery.objects.get().text == "4711! I repeat: 4711"

    def test_a_voice(self, caller: Caller) -> None:
        caller.post(SEND, wanted(sms_send_options="voice", voice_input="np_prashanna"))
        assert Otp.objects.get().voice == "np_prasanna"
        caller.fails("POST", SEND, wanted(sms_send_options="voice", voice_input="robot"), status=400)


class TestDelivery:
    def test_goes_ahead_of_campaigns_and_expires(self, caller: Caller, user: User) -> None:
        make_phone_number(number="9800000199", owner=user)
        caller.post(SEND, wanted())
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

    def test_an_sms_has_the_password_in_one_piece(self, caller: Caller) -> None:
        caller.post(SEND, wanted(otp="12345"))
        engine.turn()
        assert SandboxMessage.objects.get().text == "Your OTP is 12345"

    def test_a_call_reads_it_digit_by_digit(self, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        from telephony import speech

        spoken: list[str] = []
        speak = speech.speak

        def listen(*, text: str, voice: str) -> Audio:
            spoken.append(text)
            return speak(text=text, voice=voice)

        monkeypatch.setattr(speech, "speak", listen)
        caller.post(SEND, wanted(otp="12345", sms_send_options="voice"))
        assert spoken == ["Your OTP is 1 2 3 4 5"]
        assert Delivery.objects.get().audio is not None

    @pytest.mark.parametrize(("option", "cost"), [("text", 1), ("voice", 2)])
    def test_costs_when_it_arrives(
        self, caller: Caller, user: User, settings: Any, option: str, cost: int
    ) -> None:
        settings.IRIS_SANDBOX_SPEED = 1000
        caller.post(SEND, wanted(sms_send_options=option))
        user.refresh_from_db()
        assert user.balance == 100 - cost
        engine.run_to_the_end()
        otp = Otp.objects.select_related("hold", "delivery").get()
        assert otp.delivery is not None
        assert otp.delivery.status == DeliveryStatus.COMPLETED
        assert otp.hold is not None
        assert (otp.hold.captured, otp.hold.remaining) == (cost, 0)
        assert otp.hold.closed_at is not None
        user.refresh_from_db()
        assert user.balance == 100 - cost

    @pytest.mark.parametrize(
        ("number", "option"), [("9800009904", "text"), ("9800009901", "voice"), ("9800009902", "voice")]
    )
    def test_costs_nothing_when_it_does_not(
        self, caller: Caller, user: User, settings: Any, number: str, option: str
    ) -> None:
        settings.IRIS_SANDBOX_SPEED = 1000
        caller.post(SEND, wanted(number=number, sms_send_options=option))
        engine.run_to_the_end()
        user.refresh_from_db()
        assert user.balance == 100
        hold = Otp.objects.select_related("hold").get().hold
        assert hold is not None
        assert hold.closed_at is not None
        assert hold.remaining == 0

    def test_is_not_sent_any_more_after_five_minutes(self, caller: Caller, user: User) -> None:
        caller.post(SEND, wanted())
        Delivery.objects.update(useful_until=timezone.now() - timedelta(seconds=1))
        from telephony.engine import lifecycle

        lifecycle.lose_unreported()
        assert Delivery.objects.get().status == DeliveryStatus.FAILED
        user.refresh_from_db()
        assert user.balance == 100
        assert not SandboxMessage.objects.exists()

    def test_the_end_of_many_is_settled_at_once(self, caller: Caller, user: User, settings: Any) -> None:
        settings.IRIS_SANDBOX_SPEED = 1000
        others = make_user(email="other@example.com", credits=10)
        for client in (caller, Caller(others), caller, Caller(others)):
            client.post(SEND, wanted(number="9800009904"))
            client.post(SEND, wanted())
        campaign = make_campaign(owner=user, numbers=[9800000001])
        caller.post(f"/api/system/campaigns/{campaign.pk}/begin/", {"message": "Namaste"})
        engine.run_to_the_end()
        user.refresh_from_db()
        others.refresh_from_db()
        assert (user.balance, others.balance) == (97, 8)

    def test_too_few_credits(self, caller: Caller, user: User) -> None:
        User.objects.filter(pk=user.pk).update(balance=0)
        caller.fails("POST", SEND, wanted(), status=402)
        assert not Otp.objects.exists()
        assert not Delivery.objects.exists()


def test_too_many_in_a_minute(caller: Caller, settings: Any) -> None:
    settings.IRIS_OTP_THROTTLE = "2/minute"
    for _ in range(2):
        caller.post(SEND, wanted())
    answer = caller.fails("POST", SEND, wanted(), status=429)
    assert "Wait" in answer["message"]
    assert Otp.objects.count() == 2
