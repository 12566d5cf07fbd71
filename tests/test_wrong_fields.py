"""Test that errors name each wrong field, in both dialects, and that unclosed tags are errors."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Account
from campaigns.models import Campaign, Service
from iris.errors import InvalidInput
from telephony.placeholders import read_placeholders
from tests import v0
from tests.campaigns.surveys.surveying import make_survey
from tests.factories import make_account, make_campaign
from tests.v1 import caller as v1

UNCLOSED = "Hello {name, how are you?"
SENTENCE = "“{name” has no closing brace. Write {name}, or remove the brace."
BAD_OTP = {"number": "abc", "message": UNCLOSED, "sms_send_options": "fax", "voice_input": "nobody"}
LONG = "x" * 20_000


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def campaign(account: Account) -> Campaign:
    return make_campaign(owner=account)


def fill(path: str, campaign: Campaign) -> str:
    return path.format(campaign=campaign.pk, number=campaign.recipients.latest("pk").pk)


@pytest.mark.parametrize(
    ("method", "path", "body", "fields"),
    [
        ("POST", "accounts/login", {}, {"email", "password"}),
        ("POST", "system/campaigns", {"name": LONG, "services": "TV"}, {"name", "services"}),
        ("PUT", "system/campaigns/{campaign}/update", {"name": LONG, "services": 1}, {"name", "services"}),
        (
            "POST",
            "system/campaigns/{campaign}/begin",
            {
                "message": UNCLOSED,
                "voice_input": "nobody",
                "schedule_date": "1",
                "status": "x",
                "individual": [0],
            },
            {"message", "voice_input", "schedule_date", "status", "individual"},
        ),
        ("POST", "system/campaigns/number/{campaign}", {"number": "abc"}, {"number"}),
        (
            "PUT",
            "system/number/{number}",
            {"number": "12", "available_tags": 5},
            {"number", "available_tags"},
        ),
        ("POST", "system/test/voice", {"message": UNCLOSED, "voice_input": "x"}, {"message", "voice_input"}),
        ("POST", "system/send/otp", {}, {"number", "message", "sms_send_options"}),
        ("POST", "system/send/otp", BAD_OTP, set(BAD_OTP)),
    ],
)
def test_v0_names_each_wrong_field(
    account: Account, campaign: Campaign, method: str, path: str, body: dict[str, Any], fields: set[str]
) -> None:
    answer = v0.Caller(account).fails(method, f"/api/{fill(path, campaign)}/", body, status=400)

    assert {error["field"] for error in answer["errors"]} == fields
    assert len(answer["errors"]) == len(fields)
    assert all(len(error["message"]) > 10 for error in answer["errors"])


@pytest.mark.parametrize(
    ("method", "path", "body", "fields"),
    [
        (
            "POST",
            "campaign/create",
            {"services": "TV", "voice": 999, "message": UNCLOSED, "sms_message": UNCLOSED, "schedule": "x"},
            {"name", "services", "voice", "sms_message", "schedule"},
        ),
        ("POST", "campaign/{campaign}/add-contact", {"number": "abc"}, {"number"}),
        (
            "PATCH",
            "phone-number/update/{number}",
            {"number": [], "other_variables": 5},
            {"number", "other_variables"},
        ),
        ("POST", "auths/send/otp", BAD_OTP, set(BAD_OTP) - {"message"}),
    ],
)
def test_v1_names_each_wrong_field(
    account: Account, campaign: Campaign, method: str, path: str, body: dict[str, Any], fields: set[str]
) -> None:
    """An error of the field `message` becomes the sentence of the response, because clients read text under that key."""
    answer = v1.Caller(account).fails(method, f"{fill(path, campaign)}/", body, status=400)

    assert set(answer) - {"message", "detail"} == fields


@pytest.mark.parametrize(("length", "code", "field"), [(99, None, "otp_length"), (6, "x", "otp")])
def test_invalid_otp_names_its_field(account: Account, length: int, code: str | None, field: str) -> None:
    body = {"number": "9841000001", "message": "{otp}", "sms_send_options": "text"}
    invalid = {**body, "otp_length": length, "otp": code}
    answer = v0.Caller(account).fails("POST", "/api/system/send/otp/", invalid, status=400)
    assert [error["field"] for error in answer["errors"]] == [field]


OTP = {"number": "9841000001", "sms_send_options": "text"}
NEW = {"name": "Water", "services": "PHONE"}


# Each place of a message, in both dialects: method, path, other fields, and the field of the message.
MESSAGES: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", "/api/system/campaigns/{campaign}/begin/", {}, "message"),
    ("POST", "/api/system/test/voice/", {}, "message"),
    ("POST", "/api/system/send/otp/", OTP, "message"),
    ("POST", "campaign/create/", NEW, "message"),
    ("POST", "campaign/create/", NEW, "sms_message"),
    ("PATCH", "campaign/{campaign}/", {}, "message"),
    ("PATCH", "campaign/create/{campaign}/message/", {}, "sms_message"),
    ("POST", "test-speak/riri/{campaign}/", {}, "message"),
    ("POST", "auths/send/otp/", OTP, "message"),
]


@pytest.mark.parametrize(("method", "path", "body", "field"), MESSAGES)
def test_unclosed_tag_is_refused(
    account: Account, campaign: Campaign, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    body = {**body, field: UNCLOSED}
    dialect = v0 if path.startswith("/") else v1
    before = v0.row_counts_and_balances()
    answer = dialect.Caller(account).fails(method, fill(path, campaign), body, status=400)
    assert SENTENCE in answer["message"]
    of_key = {"accounts_apikey": 1, "accounts_auditentry": before["accounts_auditentry"] + 1}
    assert v0.row_counts_and_balances() == {**before, **({} if dialect is v0 else of_key)}


# Typed for Preeti or Kantipur: "{" draws र् and "}" draws ै, so the braces are letters.
LEGACY_TEXTS = [
    "ljBfno sfof{no aGb x'g]5 .",
    "ljj/0f kmf/fd e/L j8f sfof{nodf a'emfpg'xf]nf .",
    "sf7df8f}+ dxfgu/kflnsfsf] sfof{no aGb eof] .",
    '{name} Ho", tkfO{Fsf] jif{sf] s/ afFsL 5 .',
]


@pytest.mark.parametrize("text", LEGACY_TEXTS)
@pytest.mark.parametrize(("method", "path", "body", "field"), MESSAGES)
def test_font_is_named_where_its_letters_look_like_an_unclosed_tag(
    account: Account, campaign: Campaign, method: str, path: str, body: dict[str, Any], field: str, text: str
) -> None:
    dialect = v0 if path.startswith("/") else v1
    answer = dialect.Caller(account).fails(method, fill(path, campaign), {**body, field: text}, status=400)
    assert "typed for a legacy font such as Preeti or Kantipur" in answer["message"]
    assert "brace" not in answer["message"]


def test_font_is_named_where_its_letters_look_like_a_tag(account: Account, campaign: Campaign) -> None:
    text = "sfof{no aGb 5 . sf7df8f}+ dxfgu/kflnsf, j8f g+= %"  # from one brace to the other
    path = fill("/api/system/campaigns/{campaign}/begin/", campaign)
    for dialect, where, body in (
        (v0, path, {}),
        (v0, "/api/system/send/otp/", OTP),
        (v1, "auths/send/otp/", OTP),
    ):
        answer = dialect.Caller(account).fails("POST", where, {**body, "message": text}, status=400)
        assert "typed for a legacy font" in answer["message"]


def test_font_is_named_in_a_survey_step(account: Account) -> None:
    survey = make_survey(owner=account)
    steps = [{"content_type": "say", "text_or_url": LEGACY_TEXTS[0], "response_type": "dtmf"}]
    caller = v1.Caller(account)
    answer = caller.fails("POST", f"campaign/create/{survey.pk}/survey/", {"steps": steps}, status=400)
    assert "typed for a legacy font" in answer["message"]


@pytest.mark.parametrize("stored", ["message", "sms_message"])
def test_font_is_named_if_a_stored_message_does_not_begin(account: Account, stored: str) -> None:
    texts: dict[str, Any] = {"message": "Namaste", stored: LEGACY_TEXTS[0]}
    campaign = make_campaign(owner=account, service=Service.BOTH, **texts)
    answer = v1.Caller(account).fails("POST", f"run-campaign/{campaign.pk}/", status=400)
    assert "typed for a legacy font" in answer["message"]


@pytest.mark.parametrize(
    "text",
    [
        "Dear {full name}, your {bil amount} is due",
        "{Full Name} {Ward No} {Due Date} {no such}",
        "Free offer for staff of F/O: fill the form, {name, off",
    ],
)
def test_typed_tags_are_not_taken_for_a_legacy_font(account: Account, campaign: Campaign, text: str) -> None:
    path = fill("/api/system/campaigns/{campaign}/begin/", campaign)
    answer = v0.Caller(account).fails("POST", path, {"message": text}, status=400)
    assert "legacy font" not in answer["message"]


def test_unclosed_tag_in_a_survey_step_is_refused(account: Account) -> None:
    survey = make_survey(owner=account)
    steps = [{"content_type": "say", "text_or_url": UNCLOSED, "response_type": "dtmf"}]
    caller = v1.Caller(account)
    answer = caller.fails("POST", f"campaign/create/{survey.pk}/survey/", {"steps": steps}, status=400)
    assert SENTENCE in answer["message"]


@pytest.mark.parametrize("stored", ["message", "sms_message"])
def test_campaign_with_a_stored_unclosed_tag_does_not_begin(account: Account, stored: str) -> None:
    texts: dict[str, Any] = {"message": "Namaste", stored: UNCLOSED}
    campaign = make_campaign(owner=account, service=Service.BOTH, **texts)
    answer = v1.Caller(account).fails("POST", f"run-campaign/{campaign.pk}/", status=400)
    assert SENTENCE in answer["message"]


def test_long_word_in_braces_is_read_in_linear_time() -> None:
    """Quadratic reading would keep a web process busy for days."""
    read_placeholders("{" + 2_000_000 * "a" + "}")
    with pytest.raises(InvalidInput):
        read_placeholders("{" + 2_000_000 * "a")


@pytest.mark.parametrize("message", ["a { b", "{", "}", "{} {", "a } b", ":-{", "1 {{ 2"])
def test_brace_without_a_word_is_text(account: Account, campaign: Campaign, message: str) -> None:
    v0.Caller(account).post(f"/api/system/campaigns/{campaign.pk}/begin/", {"message": f"Namaste {message}"})
