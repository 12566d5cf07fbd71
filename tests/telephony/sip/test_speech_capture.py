"""What is taken out of a call's sound, moment by moment, and stored while the call goes on."""

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
    """Says the number of each tenth of a second, all the time."""

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
    """Which tenths of a second of the call are in it, each whole."""
    assert len(sound) % (SECOND // 10) == 0
    return [sound[start] for start in range(0, len(sound), SECOND // 10)]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was stored, in place of a storage and a database."""
    kept: list[bytes] = []

    def keep(said: bytes) -> str:
        kept.append(said)
        return f"recording {len(kept)}" if any(said) else ""

    monkeypatch.setattr(speech_capture, "_store_recording", keep)
    return kept


def listen(phone: Phone, looks: list[int], *, on_stored: Callable[[], None] = lambda: None) -> list[SurveyResponse]:
    """Look at the call at these tenths of a second; the answers."""

    async def call() -> list[SurveyResponse]:
        heard = SpeechCapture(phone, SCRIPT, key="1", on_stored=on_stored)
        for tenth in looks:
            phone.speak_until(tenth)
            heard.read_until(tenth / 10)
        heard.end(looks[-1] / 10)
        await heard.wait_until_stored()
        return heard.answers

    return asyncio.run(call())


def test_each_answer_is_what_was_said_in_its_time(stored: list[bytes]) -> None:
    answers = listen(Phone(), [*range(0, 100, 2), 100])
    assert sorted(answers) == [SurveyResponse(2, "recording 1"), SurveyResponse(3, "recording 2")]
    assert [tenths(said) for said in stored] == [list(range(50, 70)), list(range(80, 100))]


def test_looking_late_loses_nothing_and_adds_nothing(stored: list[bytes]) -> None:
    listen(Phone(), [0, 5, 13, 21, 30, 38, 47, 56, 64, 73, 81, 89, 96, 101, 104])
    assert [tenths(said) for said in stored] == [list(range(50, 70)), list(range(80, 100))]


def test_who_hangs_up_in_the_middle_has_said_what_was_said_by_then(stored: list[bytes]) -> None:
    assert listen(Phone(), [0, 20, 40, 48, 54, 60]) == [SurveyResponse(2, "recording 1")]
    assert tenths(stored[0]) == list(range(50, 60))


def test_who_hangs_up_before_was_not_asked(stored: list[bytes]) -> None:
    assert listen(Phone(), [0, 20, 45]) == []
    assert stored == []


def test_a_phone_that_sends_nothing_has_said_nothing(stored: list[bytes]) -> None:
    phone = Phone()
    phone.silent = True
    assert listen(phone, list(range(0, 101, 2))) == []
    assert not any(stored)


def test_an_answer_is_reported_when_it_is_stored_and_not_before(
    stored: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    keep = speech_capture._store_recording

    def note(said: bytes) -> str:
        name = keep(said)
        seen.append("stored")
        return name

    monkeypatch.setattr(speech_capture, "_store_recording", note)
    listen(Phone(), [*range(0, 70, 2), 70], on_stored=lambda: seen.append("reported"))
    assert seen == ["stored", "reported"]


def test_a_storage_that_is_away_for_a_moment_is_waited_for(
    stored: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, failures = speech_capture._store_recording, iter([OSError("away"), OSError("still away")])

    def fail_twice(said: bytes) -> str:
        for failure in failures:
            raise failure
        return keep(said)

    monkeypatch.setattr(speech_capture, "_store_recording", fail_twice)
    monkeypatch.setattr(speech_capture, "RETRY_SECONDS", 0)
    assert listen(Phone(), [*range(0, 70, 2), 70]) == [SurveyResponse(2, "recording 1")]


def test_a_storage_that_stays_away_costs_the_answer_and_not_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(said: bytes) -> str:
        raise OSError("away")

    monkeypatch.setattr(speech_capture, "_store_recording", fail)
    monkeypatch.setattr(speech_capture, "RETRY_SECONDS", 0)
    assert listen(Phone(), [*range(0, 70, 2), 70]) == []
