"""Test surveys in TwiML, and the playback and keys that Twilio reports about them."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET

import pytest

from telephony.call_scripts import AnsweredBy, Script, ScriptStep, SurveyResponse
from telephony.carriers.twilio import twiml
from telephony.carriers.twilio.twiml import Position

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
