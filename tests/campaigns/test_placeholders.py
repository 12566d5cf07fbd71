"""Campaigns and OTPs read the braces of messages in the same way, including those of other template languages."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.messages import check_tags, parse_message
from iris.errors import InvalidInput
from otp.models import Otp
from telephony.models import Channel
from telephony.placeholders import read_placeholders
from tests.factories import make_account
from tests.v0 import Caller


@pytest.mark.parametrize(
    "message",
    ["Hi {name}", "Hi {{name}}", "Hi {{ name }}", "Hi {{{name}}}", "Hi { name }", "Hi {{tags_name}}"],
)
def test_doubled_braces_are_a_placeholder(message: str) -> None:
    parsed = parse_message(message)
    check_tags(parsed, ["tags_name"])
    assert parsed.render({"tags_name": "Ram"}) == "Hi Ram"


@pytest.mark.parametrize(
    ("message", "rest"),
    [
        ("{{name}} and {{age}}", "{name} and {age}"),
        ("a { b", "a { b"),
        ("{}", "{}"),
        ("{{}}", "{{}}"),
        ("{{{{name}}}}", "{{{{name}}}}"),
        ("$ {amount}", "$ {amount}"),
        ("Ward #{ward}", "Ward #{ward}"),
    ],
)
def test_unbalanced_or_spaced_braces_are_not_changed(message: str, rest: str) -> None:
    assert read_placeholders(message) == rest


@pytest.mark.parametrize("message", ["Hi ${name}", "You owe ${ amount }", "${{name}}"])
def test_a_placeholder_behind_a_dollar_is_refused_with_the_right_spelling(message: str) -> None:
    with pytest.raises(InvalidInput, match=r"Write \{(?:name|amount)\} for the value alone") as caught:
        read_placeholders(message)
    assert caught.value.code == "unclear_placeholder"


@pytest.mark.django_db
class TestOtp:
    @pytest.fixture
    def caller(self) -> Caller:
        return Caller(make_account(credits=100))

    def send(self, caller: Caller, message: str, *, status: int = 200) -> Any:
        fields = {
            "number": "9841234567",
            "message": message,
            "sms_send_options": "text",
            "otp_options": "generated",
        }
        return caller.post("/api/system/send/otp/", fields, status=status)

    @pytest.mark.parametrize(
        "message",
        ["Hi {otp}", "Hi {OTP}", "Hi { otp }", "Hi {Otp}", "Hi {{otp}}", "Hi {{ OTP }}", "Hi {{{otp}}}"],
    )
    def test_each_spelling_of_the_password_is_replaced(self, caller: Caller, message: str) -> None:
        assert self.send(caller, message)["success"]
        otp = Otp.objects.get()
        assert otp.message == f"Hi {otp.code}"
        assert otp.channel == Channel.SMS

    @pytest.mark.parametrize("message", ["Hi {code}", "Hi {name}, {otp}", "{{pin}}", "Hi {o t p}", "${otp}"])
    def test_another_word_in_braces_is_never_sent(self, caller: Caller, message: str) -> None:
        answer = self.send(caller, message, status=400)
        assert "{" in answer["message"]
        assert not Otp.objects.exists()
