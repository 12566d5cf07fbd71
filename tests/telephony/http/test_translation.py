"""Test how submissions become requests, and responses become results: secrets, error tables, pauses, signatures."""

from __future__ import annotations

import time
import wave
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from django.test import Client

from telephony.call_scripts import AnsweredBy, ScriptStep
from telephony.carriers.aakash import AakashCarrier
from telephony.carriers.aakash.carrier import MESSAGES, _refusal
from telephony.carriers.base import Later, Rejected, Submission
from telephony.carriers.callbacks import is_within
from telephony.carriers.http import ApiRequest, ApiResponse, Verdict
from telephony.carriers.http.client import MAX_RETRY_AFTER_SECONDS
from telephony.carriers.http.redaction import redacted
from telephony.carriers.sparrow import CODES as SPARROW_CODES
from telephony.carriers.sparrow import SparrowCarrier
from telephony.carriers.twilio import TwilioCarrier
from telephony.carriers.twilio.callbacks import signature
from telephony.carriers.twilio.codes import CODES as TWILIO_CODES
from telephony.media import carrier_audio_url
from telephony.models import Channel
from tests.cpu import cpu_at_most
from tests.telephony.http.creating import EVERY_CARRIER, create, submission
from tests.telephony.http.sound import stored_recording

# Requests and responses -------------------------------------------------------------------------------------


@EVERY_CARRIER
def test_request_shows_no_secret_number_or_text(name: str) -> None:
    carrier = create(name)
    one = submission()
    shown = f"{carrier.request_of(one)!r} {one!r} {carrier!r}"
    for hidden in (*carrier._secrets, one.to, one.text):
        assert hidden not in shown


@EVERY_CARRIER
@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"5", b'"text"', b"{}", b'{"data": null}', b'{"data": {"valid": [{}]}, "error": false}',
        b'{"data": {"valid": "x"}, "error": false}', b'{"responses": []}', b'{"responses": [5]}', b'{"sid": 5}',
        b'{"sid": null}', b'{"response_code": "x"}', b'{"response_code": {}}', b'{"response_code": true}',
        b'{"response_code": 200, "count": 2}', b'{"response_code": 1e400}', b'{"code": {}}', b'{"error": "false"}',
        b'{"response_code": ' + b"9" * 5000 + b"}", b"\xff\xfe", b"<html>OK</html>",
    ],
)  # fmt: skip
def test_success_with_unexpected_words_is_unknown(name: str, body: bytes) -> None:
    result = create(name)._classify(submission(), ApiResponse(status=200, body=body))
    assert getattr(result, "verdict", None) is Verdict.UNKNOWN, result


def test_every_code_of_the_tables_has_its_verdict() -> None:
    for number, code in SPARROW_CODES.items():
        body = f'{{"response_code": {number}, "response": "words"}}'.encode()
        for status in (200, 403):  # errors have been seen with both
            result = create("sparrow")._classify(submission(), ApiResponse(status=status, body=body))
            assert getattr(result, "verdict", None) is code.verdict
    for number, code in TWILIO_CODES.items():
        body = f'{{"code": {number}, "message": "words"}}'.encode()
        result = create("twilio")._classify(submission(), ApiResponse(status=400, body=body))
        assert getattr(result, "verdict", None) is code.verdict
    # With a 5xx nobody knows, whatever the code.
    result = create("twilio")._classify(submission(), ApiResponse(status=500, body=b'{"code": 21211}'))
    assert getattr(result, "verdict", None) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("You do not have enough balance", Verdict.OUT_OF_FUNDS),
        ("Insufficient credit.", Verdict.OUT_OF_FUNDS),
        ("The auth token is not valid.", Verdict.MISCONFIGURED),
        ("The auth token field is required.", Verdict.MISCONFIGURED),
        ("Unauthenticated.", Verdict.MISCONFIGURED),
        ("Your account is suspended", Verdict.MISCONFIGURED),
        ("The to field is required.", Verdict.INVALID),
        ("No valid numbers", Verdict.INVALID),
        ("The text field is required.", Verdict.REFUSED),
        ("Too many requests", Verdict.TOO_FAST),
        ("Something went wrong", Verdict.UNKNOWN),
        ("", Verdict.UNKNOWN),
        ("x" * 100_000, Verdict.UNKNOWN),
        ("token " * 40_000, Verdict.UNKNOWN),
    ],
)
def test_error_texts_of_aakash_are_matched_loosely(words: str, verdict: Verdict) -> None:
    with cpu_at_most(0.5):
        assert _refusal(words).verdict is verdict
    assert len(MESSAGES) >= 8


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.1),
        ("99999", MAX_RETRY_AFTER_SECONDS),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("٣", None),
    ],
)
def test_retry_after_is_read_and_bounded(header: str, seconds: float | None) -> None:
    assert ApiResponse(status=429, headers={"retry-after": header}).retry_after() == seconds


def test_retry_after_may_be_a_date() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    seconds = ApiResponse(status=429, headers={"retry-after": at}).retry_after()
    assert seconds is not None
    assert 55 < seconds <= 60


def test_redaction_removes_secrets_markup_and_whole_numbers() -> None:
    text = "<b>Bad</b>\n token s3cret for +977 984-100-0001, code 21211, see (014) 123456"
    assert redacted(text, ["s3cret"]) == "Bad token … for …01, code 21211, see (…56"
    assert len(redacted("x" * 10_000)) == 160


def test_networks_count_mapped_addresses_as_ipv4() -> None:
    assert is_within("::ffff:203.0.113.9", ["203.0.113.0/24"])
    assert is_within("2001:db8::1", ["2001:db8::/32"])
    assert not is_within("203.0.113.9", ["2001:db8::/32"])
    assert not is_within("unknown", ["0.0.0.0/0"])


@EVERY_CARRIER
def test_submission_that_cannot_be_prepared_holds_up_no_other(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = create(name, base_url="http://127.0.0.1:1")

    def fail(one: Submission) -> ApiRequest:
        raise KeyError(one.key)

    monkeypatch.setattr(carrier, "request_of", fail)
    (result,) = carrier.submit([submission()])
    assert isinstance(result, Later)
    carrier.close()


@pytest.mark.parametrize("name", ["twilio", "aakash"])
def test_carrier_that_cannot_tell_is_not_asked_all_the_time(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = create(name)
    asked: list[list[str]] = []

    def find(keys: list[str]) -> dict[str, bool]:
        asked.append(keys)
        return {}

    monkeypatch.setattr(carrier, "find", find)
    keys = [str(key) for key in range(carrier.max_look_ups + 5)]
    for _ in range(3):
        assert carrier.look_up(keys) == {}
    assert asked == [keys[: carrier.max_look_ups], keys[carrier.max_look_ups :]]


# Twilio -----------------------------------------------------------------------------------------------------


def test_signature_is_that_of_the_documented_example() -> None:
    form = {
        "CallSid": "CA1234567890ABCDE", "Caller": "+14158675310", "Digits": "1234", "From": "+14158675310",
        "To": "+18005551212",
    }  # fmt: skip
    signed = signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form.items())
    assert signed == "GvWf1cFY/Q7PnoempGyD5oXAezc="
    assert signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2#part", form.items()) == signed


def test_call_without_a_sender_and_survey_with_speech_are_refused_unasked() -> None:
    one = submission(channel=Channel.CALL, audio_seconds=2.0)
    assert isinstance(create("twilio", sender="").request_of(one), Rejected)
    assert isinstance(create("twilio", sender="").request_of(submission(caller="+15005550006")), ApiRequest)
    speech = (ScriptStep(1, 2.0, AnsweredBy.SPEECH, 1.0),)
    assert isinstance(create("twilio").request_of(submission(channel=Channel.CALL, script=speech)), Rejected)


def test_messaging_service_replaces_the_sender_of_sms_only() -> None:
    service = "MG" + 16 * "0a"
    carrier = create("twilio", messaging_service_sid=service)
    sms, call = (
        carrier.request_of(submission(channel=channel, audio_seconds=1.0))
        for channel in (Channel.SMS, Channel.CALL)
    )
    assert isinstance(sms, ApiRequest)
    assert isinstance(call, ApiRequest)
    assert sms.form is not None
    assert call.form is not None
    assert (sms.form.get("MessagingServiceSid"), sms.form.get("From")) == (service, None)
    assert (call.form.get("MessagingServiceSid"), call.form.get("From")) == (None, "+15005550006")


# Recordings for carriers ------------------------------------------------------------------------------------


def path_of(url: str) -> str:
    return urlsplit(url).path


@pytest.mark.django_db
def test_signed_recording_is_whole_or_a_part_and_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    audio, samples = stored_recording(2.0)
    client = Client()
    whole = client.get(path_of(carrier_audio_url(audio.name)))
    part = client.get(path_of(carrier_audio_url(audio.name, start=0.5, end=1.25)))
    for response, expected in ((whole, samples), (part, samples[8000:20_000])):
        assert response.headers["Content-Type"] == "audio/wav"
        content = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
        with wave.open(BytesIO(content)) as sound:
            assert sound.readframes(sound.getnframes()) == expected
    address = path_of(carrier_audio_url(audio.name))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_400)
    assert client.get(address).status_code == 200
    monkeypatch.setattr(time, "time", lambda: now + 86_400 + 3601)
    assert client.get(address).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["x", "a-0--99999999999", "a-0--99999999999.AAAA", "..", "%00"])
def test_forged_address_of_a_recording_is_not_found(token: str) -> None:
    assert Client().get(f"/media/calls/{token}.wav").status_code == 404


def test_carriers_declare_what_the_contracts_allow() -> None:
    assert (TwilioCarrier.looks_up, TwilioCarrier.polls) == (True, False)
    assert (SparrowCarrier.looks_up, SparrowCarrier.polls) == (False, False)
    assert (AakashCarrier.looks_up, AakashCarrier.polls) == (True, True)
