"""Test which parts of a call's sound are captured as responses, and how they are stored during the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from telephony.call_scripts import AnsweredBy, ScriptStep, SurveyResponse
from telephony.carriers.sip import speech_capture
from telephony.carriers.sip.speech_capture import SpeechCapture

SECOND = 16_000  # bytes
SCRIPT = (
    ScriptStep(1, 3.0, AnsweredBy.KEYS, 1.0),
    ScriptStep(2, 4.0, AnsweredBy.SPEECH, 2.0),  # listens from 5 to 7 s
    ScriptStep(3, 3.0, AnsweredBy.SPEECH, 2.0),  # from 8 to 10 s
)


@dataclass
class Info:
    rx_sample_rate: int = 8000
    rx_channels: int = 1
    rx_capacity: int = 32_768


class Phone:
    """A phone whose sound in each tenth of a second consists of the number of that tenth."""

    def __init__(self) -> None:
        self.said = 0.0
        self.silent = False

    def info(self) -> Info:
        return Info()

    def read(self, most: int) -> bytes:
        sound, self.unheard = self.unheard, b""
        return sound[-most:]

    unheard = b""

    def speak_until(self, tenth: int) -> None:
        from_tenth, self.said = round(self.said * 10), tenth / 10
        if not self.silent:
            self.unheard += b"".join(bytes([place]) * (SECOND // 10) for place in range(from_tenth, tenth))


def tenths(sound: bytes) -> list[int]:
    """Return which tenths of a second of the call the sound contains. Each must be complete."""
    assert len(sound) % (SECOND // 10) == 0
    return [sound[start] for start in range(0, len(sound), SECOND // 10)]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Replace the storage and the database. Return the list of stored sounds."""
    kept: list[bytes] = []

    def keep(said: bytes) -> str:
        kept.append(said)
        return f"recording {len(kept)}" if any(said) else ""

    monkeypatch.setattr(speech_capture, "_store_recording", keep)
    return kept


def capture(
    phone: Phone, reads: list[int], *, on_stored: Callable[[], None] = lambda: None
) -> list[SurveyResponse]:
    """Read the call's sound at these tenths of a second. Return the responses."""

    async def call() -> list[SurveyResponse]:
        heard = SpeechCapture(phone, SCRIPT, key="1", on_stored=on_stored)
        for tenth in reads:
            phone.speak_until(tenth)
            heard.read_until(tenth / 10)
        heard.end(reads[-1] / 10)
        await heard.wait_until_stored()
        return heard.answers

    return asyncio.run(call())


def test_each_response_is_the_sound_of_its_listening_time(stored: list[bytes]) -> None:
    answers = capture(Phone(), [*range(0, 100, 2), 100])
    assert sorted(answers) == [SurveyResponse(2, "recording 1"), SurveyResponse(3, "recording 2")]
    assert [tenths(said) for said in stored] == [list(range(50, 70)), list(range(80, 100))]


def test_irregular_reads_lose_and_add_nothing(stored: list[bytes]) -> None:
    capture(Phone(), [0, 5, 13, 21, 30, 38, 47, 56, 64, 73, 81, 89, 96, 101, 104])
    assert [tenths(said) for said in stored] == [list(range(50, 70)), list(range(80, 100))]


def test_hangup_during_a_response_keeps_what_was_said_so_far(stored: list[bytes]) -> None:
    assert capture(Phone(), [0, 20, 40, 48, 54, 60]) == [SurveyResponse(2, "recording 1")]
    assert tenths(stored[0]) == list(range(50, 60))


def test_hangup_before_the_listening_time_stores_nothing(stored: list[bytes]) -> None:
    assert capture(Phone(), [0, 20, 45]) == []
    assert stored == []


def test_phone_that_sends_no_audio_gives_no_response(stored: list[bytes]) -> None:
    phone = Phone()
    phone.silent = True
    assert capture(phone, list(range(0, 101, 2))) == []
    assert not any(stored)


def test_response_is_reported_after_it_is_stored(
    stored: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    keep = speech_capture._store_recording

    def note(said: bytes) -> str:
        name = keep(said)
        seen.append("stored")
        return name

    monkeypatch.setattr(speech_capture, "_store_recording", note)
    capture(Phone(), [*range(0, 70, 2), 70], on_stored=lambda: seen.append("reported"))
    assert seen == ["stored", "reported"]


def test_storing_a_response_is_retried(stored: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    keep, failures = speech_capture._store_recording, iter([OSError("away"), OSError("still away")])

    def fail_twice(said: bytes) -> str:
        for failure in failures:
            raise failure
        return keep(said)

    monkeypatch.setattr(speech_capture, "_store_recording", fail_twice)
    monkeypatch.setattr(speech_capture, "RETRY_SECONDS", 0)
    assert capture(Phone(), [*range(0, 70, 2), 70]) == [SurveyResponse(2, "recording 1")]


def test_response_is_lost_but_the_call_ends_if_the_storage_stays_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(said: bytes) -> str:
        raise OSError("away")

    monkeypatch.setattr(speech_capture, "_store_recording", fail)
    monkeypatch.setattr(speech_capture, "RETRY_SECONDS", 0)
    assert capture(Phone(), [*range(0, 70, 2), 70]) == []
