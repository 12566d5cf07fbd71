"""Test the translations that need no far end: options, secrets, signatures, TwiML, reports, redaction."""

from __future__ import annotations

import time
import wave
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone

from telephony.call_scripts import AnsweredBy, Script, ScriptStep, SurveyResponse
from telephony.carriers.aakash import AakashCarrier, reports
from telephony.carriers.aakash.carrier import MESSAGES, _refusal
from telephony.carriers.base import Later, Rejected, Submission
from telephony.carriers.callbacks import is_within
from telephony.carriers.http import ApiRequest, ApiResponse, HttpCarrier, Verdict
from telephony.carriers.http.client import MAX_RETRY_AFTER_SECONDS
from telephony.carriers.http.redaction import redacted
from telephony.carriers.sparrow import CODES as SPARROW_CODES
from telephony.carriers.sparrow import SparrowCarrier
from telephony.carriers.twilio import TwilioCarrier, twiml
from telephony.carriers.twilio.callbacks import signature
from telephony.carriers.twilio.codes import CODES as TWILIO_CODES
from telephony.carriers.twilio.twiml import Position
from telephony.media import carrier_audio_url
from telephony.models import Channel
from tests.telephony.http.far_end import BACKENDS, OPTIONS
from tests.telephony.http.sound import stored_recording

EVERY_CARRIER = pytest.mark.parametrize("name", list(BACKENDS))
SECRETS = {"twilio": "auth_token", "sparrow": "token", "aakash": "auth_token"}


def submission(**changes: Any) -> Submission:
    fields: dict[str, Any] = {
        "key": "7", "channel": Channel.SMS, "to": "+9779841000001", "caller": "", "text": "Namaste", "audio_name": "",
        "audio_seconds": None, "attempt": 1, "owner_id": 1, "valid_until": timezone.now() + timedelta(seconds=60),
    }  # fmt: skip
    return Submission(**{**fields, **changes})


def create(name: str, **options: Any) -> HttpCarrier:
    return BACKENDS[name](alias=name, **{**OPTIONS[name], **options})


# Options and secrets ----------------------------------------------------------------------------------------


@EVERY_CARRIER
def test_secret_may_come_from_a_file_or_a_variable(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = SECRETS[name]
    others = {key: value for key, value in OPTIONS[name].items() if key != option}
    file = tmp_path / "secret"
    file.write_text("  from-a-file \nanother line\n")
    monkeypatch.setenv("GATEWAY_TOKEN", "from-a-variable")
    backend = BACKENDS[name]
    assert backend(alias="a", **others, **{f"{option}_file": str(file)}).settings[option] == "from-a-file"
    assert (
        backend(alias="a", **others, **{f"{option}_env": "GATEWAY_TOKEN"}).settings[option]
        == "from-a-variable"
    )
    for wrong in (
        {f"{option}_file": str(tmp_path / "none")},
        {f"{option}_file": str(tmp_path)},
        {f"{option}_env": "NOT_SET_ANYWHERE"},
        {f"{option}_env": "GATEWAY_TOKEN", option: "a-secret-of-ours"},
        {option: ""},
        {},
        {option: 5},
        {option: "geheim-ü"},
    ):
        with pytest.raises(ImproperlyConfigured) as raised:
            backend(alias="a", **others, **wrong)
        assert option in str(raised.value)
        assert "a-secret-of-ours" not in str(raised.value)
        assert "geheim" not in str(raised.value)


def test_keys_for_signatures_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first-key-of-sixteen\n\nsecond-key-of-sixteen\n")
    carrier = create("twilio", signature_keys_file=str(file))
    assert carrier.settings["signature_keys"] == ["first-key-of-sixteen", "second-key-of-sixteen"]


@EVERY_CARRIER
@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "api.example.com"},
        {"base_url": "ftp://api.example.com"},
        {"base_url": "https://user:password@api.example.com"},
        {"base_url": "https://api.example.com/?token=1"},
        {"base_url": "https://api.example.com:99999"},
        {"base_url": "https://[::1"},
        {"base_url": 5},
        {"connections": 0},
        {"connections": "many"},
        {"connections": True},
        {"request_seconds": 0},
        {"read_seconds": float("nan")},
        {"tls_ca": "/no/such/file"},
    ],
)
def test_wrong_option_is_named(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"'{name}'.*{next(iter(wrong))}"):
        create(name, **wrong)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("twilio", {"account_sid": "AC1"}),
        ("twilio", {"account_sid": ""}),
        ("twilio", {"signature_keys": ["short"]}),
        ("twilio", {"signature_keys": "a-key-that-is-no-list"}),
        ("twilio", {"sender": "ü"}),
        ("twilio", {"ring_seconds": 2.5}),
        ("sparrow", {"sender": ""}),
        ("sparrow", {"callback_secret": "short", "callback_addresses": ["203.0.113.1"]}),
        ("sparrow", {"callback_secret": "with/a/slash/in/it"}),
        ("sparrow", {"callback_secret": "n3vZ8tQk0yRb5LmX"}),
        ("sparrow", {"callback_addresses": ["203.0.113.1/24"]}),
        ("sparrow", {"callback_addresses": [5, "all"]}),
        ("sparrow", {"reply": "x" * 161}),
        ("aakash", {"api": "v5"}),
        ("aakash", {"reports": "yes"}),
        ("aakash", {"poll_seconds": -1}),
    ],
)
def test_wrong_option_of_one_carrier_is_named(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match=next(iter(wrong))):
        create(name, **wrong)


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
    begun = time.process_time()
    assert _refusal(words).verdict is verdict
    assert time.process_time() - begun < 0.5
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


SURVEY: Script = (
    ScriptStep(11, 2.0, AnsweredBy.NOTHING),
    ScriptStep(12, 5.0, AnsweredBy.KEYS, 3.0),
    ScriptStep(13, 2.0, AnsweredBy.NOTHING),
    ScriptStep(14, 5.0, AnsweredBy.KEYS, 3.0),
)


def playing(script: Script, seconds: float, begin: float = 0.0) -> list[tuple[str, float, float]]:
    """Return (verb, start, end) of each part of the TwiML."""
    parts = twiml.parts_of(script, seconds)
    text = twiml.play(
        parts,
        script,
        begin=begin,
        audio=lambda start, end: f"{start} {end}",
        keys=lambda position: "https://x/?a=1&b=2",
    )
    found = []
    for verb in ET.fromstring(text):
        play = verb.find("Play") if verb.tag == "Gather" else verb
        if verb.tag != "Hangup":
            assert play is not None
            start, end = map(float, (play.text or "").split())
            found.append((verb.tag, start, end))
    return found


def test_survey_gathers_keys_from_its_first_question_on() -> None:
    assert playing(SURVEY, 14.0) == [
        ("Play", 0.0, 2.0),
        ("Gather", 2.0, 7.0),
        ("Gather", 7.0, 9.0),
        ("Gather", 9.0, 14.0),
    ]
    assert playing(SURVEY, 14.0, begin=8.5) == [("Gather", 8.5, 9.0), ("Gather", 9.0, 14.0)]
    assert playing(SURVEY, 14.0, begin=14.0) == []
    assert playing((), 3.0) == [("Gather", 0.0, 3.0)]


def test_playback_resumes_where_the_key_interrupted_it(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = twiml.parts_of(SURVEY, 14.0)
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    position = Position(part=1, from_ms=0, at_ms=1_000_000)
    for passed, resumes in [(5.5, 4.5), (0.5, 2.0), (100.0, 7.0), (-50.0, 2.0)]:
        monkeypatch.setattr(time, "time", lambda at=1000.0 + passed: at)
        assert twiml.resumes_at(position, parts) == resumes
    # It never goes back behind the place at which the last response began.
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    assert twiml.resumes_at(Position(part=1, from_ms=6_000, at_ms=1_000_000), parts) == 6.0


def test_keys_answer_the_question_that_was_asked_last() -> None:
    parts = twiml.parts_of(SURVEY, 14.0)
    position = Position.of(Position(1, 0, 1, ()).as_query())
    pressed = position.press("1*")
    position = Position.of(Position(2, 0, 1, pressed).as_query())
    pressed = position.press("2")  # late, during the announcement that follows
    pressed = Position.of(Position(3, 0, 1, pressed).as_query()).press("#x9")
    assert pressed == ((1, "1*"), (2, "2"), (3, "#9"))
    assert twiml.answers(SURVEY, parts, pressed) == (SurveyResponse(12, "1*2"), SurveyResponse(14, "#9"))


def test_position_is_bounded_and_unreadable_ones_are_refused() -> None:
    pressed: tuple[tuple[int, str], ...] = ()
    for _ in range(100):
        pressed = Position(0, 0, 0, pressed).press("12345")
    assert sum(len(keys) for _, keys in pressed) == twiml.MAX_KEYS
    for query in (
        {},
        {"n": "1", "f": "x", "t": "1"},
        {"n": "1", "f": "-1", "t": "1"},
        {"n": "9" * 20, "f": "1", "t": "1"},
    ):
        with pytest.raises(ValueError, match="position"):
            Position.of(query)
    assert twiml.answers(SURVEY, twiml.parts_of(SURVEY, 14.0), [(99, "1")]) == ()


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


# Aakash's reports -------------------------------------------------------------------------------------------

ROW = {
    "id": "pre_5",
    "mobile": "9779841000001",
    "text": "Hi",
    "status": "Delivered",
    "updated_at": "2026-11-30 10:00:00",
}


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"result": {"data": [ROW], "last_page": 1}}},
        {"data": [ROW]},
        {"data": {"data": [ROW]}},
        {"data": [{"message_id": 5, "recipient": 9841000001, "message": "Hi", "status": "delivered"}]},
        {
            "data": [
                {"message_id": 5, "receiver": "9841000001", "message": " Hi ", "status": "delivered"},
                5,
                {},
                None,
            ]
        },
    ],
)
def test_every_documented_shape_of_a_report_is_read(body: dict[str, Any]) -> None:
    page = reports.page_of(body)
    assert page is not None
    assert [(row.id, row.alike, row.status) for row in page.rows] == [
        ("5", ("9841000001", "Hi"), "delivered")
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None},
        {"data": {"result": 5}},
        {"data": {"result": {"data": "x"}}},
        {"data": [], "error": True},
    ],
)
def test_other_shapes_are_no_report(body: dict[str, Any]) -> None:
    assert reports.page_of(body) is None


def test_rows_are_assigned_by_id_or_else_by_number_text_and_time() -> None:
    now = timezone.now()
    alike = ("9841000001", "Hi")

    def sent(key: str, ref: str, minutes: int = 0) -> reports.Sent:
        return reports.Sent(key, ref, alike, now - timedelta(minutes=minutes))

    def row(identity: str, minutes: int = 0) -> reports.Row:
        return reports.Row(identity, alike, "delivered", now - timedelta(minutes=minutes), None)

    def keys(rows: list[reports.Row], *ones: reports.Sent) -> list[str]:
        return [one.key for _, one in reports.assign(rows, ones)]

    assert keys([row("5")], sent("a", "6"), sent("b", "5")) == ["b"]
    assert keys([row("5")], sent("a", "6")) == []  # both have ids, which differ
    assert keys([row("5")], sent("a", "")) == ["a"]
    assert keys([row("")], sent("a", "6")) == ["a"]
    assert keys([row("5", minutes=11)], sent("a", "")) == []
    assert keys([row("5"), row("6")], sent("a", ""), sent("b", "", minutes=1)) == ["b", "a"]
    assert keys([row("5"), row("5")], sent("a", "5")) == ["a"]  # no SMS gets two rows


def test_times_of_a_report_are_in_nepal() -> None:
    page = reports.page_of({"data": [ROW]})
    assert page is not None
    assert page.rows[0].changed_at == datetime(2026, 11, 30, 4, 15, tzinfo=UTC)


def test_carriers_declare_what_the_contracts_allow() -> None:
    assert (TwilioCarrier.looks_up, TwilioCarrier.polls) == (True, False)
    assert (SparrowCarrier.looks_up, SparrowCarrier.polls) == (False, False)
    assert (AakashCarrier.looks_up, AakashCarrier.polls) == (True, True)
