"""No text takes longer to say than its bound, whatever the voice, its speed, and the text around it."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from telephony.pricing import call_credits
from telephony.speech import normalization, synthesis
from telephony.speech.engine import Unspeakable, VoiceConfig, no_heartbeat
from telephony.speech.nepali_tables import ABBREVIATIONS, MEASURES
from telephony.speech.spoken_length import (
    JOIN_SECONDS,
    Pace,
    longest_of,
    longest_of_length,
    pace_of,
    samples_of,
    spoken_seconds,
)
from telephony.speech.spoken_parts import HEAD_SILENCE, TAIL_SILENCE
from tests import linear
from tests.scale import at_scale, spread
from tests.telephony.speech.spoken_texts import CLASSES, CONTEXTS, texts

SPEEDS = (0.5, 0.8, 1.0, 1.25, 2.0)
VOICES = sorted(django_settings.IRIS_VOICES)


@cache
def seconds(text: str, voice: str, speed: float, language: str = "ne") -> float:
    """Return how long the voice speaks; 0 if there is nothing to say."""
    options = {key: django_settings.IRIS_VOICES[voice][key] for key in ("variant", "pitch", "speed")}
    config = VoiceConfig(voice, "espeak", language, options, speed)
    try:
        said = normalization.spoken_form(text, language=language)
        return synthesis.synthesize(
            config, said, before=HEAD_SILENCE, after=TAIL_SILENCE, heartbeat=no_heartbeat
        ).seconds
    except Unspeakable:
        return 0.0


@cache
def pace(voice: str, speed: float, language: str = "ne") -> Pace:
    spoken = {text: seconds(text, voice, speed, language) for text in samples_of(language)}
    return pace_of(spoken, engine="espeak", language=language)


def extent(value: str, before: str, after: str, *, voice: str, speed: float, language: str = "ne") -> float:
    """Return how much longer a text takes with this value in it."""
    without = seconds(before + after, voice, speed, language) or HEAD_SILENCE + TAIL_SILENCE
    return seconds(before + value + after, voice, speed, language) - without


@pytest.mark.field
def test_no_value_takes_longer_than_its_bound() -> None:
    rng = random.Random(20260)
    exceeded = []
    for name, value in islice(texts(seed=3), at_scale(4, 1500) * len(CLASSES)):
        voice, speed, (before, after) = rng.choice(VOICES), rng.choice(SPEEDS), rng.choice(CONTEXTS)
        taken = extent(value, before, after, voice=voice, speed=speed)
        bound = pace(voice, speed).seconds(spoken_seconds(value), characters=0)
        if taken > bound:
            exceeded.append((name, value, before, after, voice, speed, round(taken, 2), round(bound, 2)))
    assert exceeded == []


@pytest.mark.field
def test_no_value_takes_longer_than_its_bound_in_another_language() -> None:
    rng = random.Random(20261)
    for name, value in islice(texts(seed=4), at_scale(2, 300) * len(CLASSES)):
        before, after = rng.choice([("", ""), ("Dear ", ", your code is due."), ("Rs. ", " due")])
        taken = extent(value, before, after, voice="np_rija", speed=1.0, language="en")
        others = sum(not character.isascii() for character in value)
        bound = pace("np_rija", 1.0, "en").seconds(spoken_seconds(value), characters=others)
        assert taken <= bound, (name, value, before, after)


@pytest.mark.parametrize("piece", ["7", "क", "W ", "सतहत्तर ", "X", "a", "7,77,777 "])
def test_a_very_long_value_takes_no_longer_than_its_bound(piece: str) -> None:
    value = piece * (at_scale(200, 1000) // len(piece))
    taken = seconds(value, "np_rija", 2.0)
    assert 0 < taken <= pace("np_rija", 2.0).seconds(spoken_seconds(value), characters=0)


def test_what_stands_for_longer_words_is_bound_by_their_length() -> None:
    pairs = [*ABBREVIATIONS.items(), *((f"7{one}", f"सात {said}") for one, said in MEASURES.items())]
    for written, said in spread(pairs, part=1, of=4):
        taken = extent(f"{said} " * 4, "राम ", " सीता", voice="np_rija", speed=1.0)
        assert taken <= spoken_seconds(f"{written} " * 4), (written, said)


def test_the_bound_of_a_joined_text_is_at_most_the_sum() -> None:
    rng = random.Random(5)
    some = [text for _, text in islice(texts(seed=5), 400)]
    for _ in range(2000):
        first, second = rng.choice(some), rng.choice(some)
        together = spoken_seconds(f"{first} {second}")
        assert together <= spoken_seconds(first) + spoken_seconds(second) + 0.1


def test_the_longest_of_many_is_found_in_any_order() -> None:
    rng = random.Random(6)
    some = [text for _, text in islice(texts(seed=6), 900)]
    for _ in range(20):
        batch = rng.sample(some, 50)
        expected = max(map(spoken_seconds, batch))
        assert longest_of(batch) == pytest.approx(expected, abs=0.0011)
        assert longest_of(batch[:25], known=longest_of(batch[25:])) == longest_of(batch) >= expected
    assert longest_of([], known=3.0) == 3.0
    assert longest_of([""], known=0.0) <= spoken_seconds("") + 0.001


def test_the_number_of_characters_alone_bounds_the_length() -> None:
    for _, text in islice(texts(seed=7), 900):
        assert spoken_seconds(text) <= longest_of_length(len(text)) or not text


@pytest.mark.parametrize(
    "piece", ["a", "A", "aA", "1", "क", "का", "ा", ".", "....a", "中", "é", "\u0301", "र ", "रु", " "]
)
def test_measuring_takes_time_in_proportion_to_the_length(piece: str) -> None:
    linear.assert_linear(spoken_seconds, linear.repeated(piece, tail="!क"))


def _readings() -> list[dict[str, Any]]:
    lines = (Path(__file__).parent / "readings.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_bound_of_ordinary_values_is_some_seconds_longer_than_they_are() -> None:
    ordinary = [
        *(
            "राम बहादुर श्रेष्ठ",
            "सीता देवी अधिकारी",
            "विष्णु प्रसाद पौडेल",
            "Ram Bahadur Shrestha",
            "SITA KUMARI ADHIKARI",
        ),
        *("१२,५००", "1,23,456.50", "रु. ७,७७,७७७", "2081/05/15", "२०८१ भदौ १५", "10:30", "9841234567"),
        "काठमाडौँ महानगरपालिका वडा नं. ५",
    ]
    for value in ordinary:
        taken = extent(value, "नमस्कार ", " भन्ने जानकारी छ।", voice="np_rija", speed=1.0)
        assert taken <= spoken_seconds(value) <= 2 * taken + 3, value


@pytest.mark.field
@pytest.mark.parametrize("pulse", [20, 60])
def test_a_quarter_and_one_pulse_more_is_held_at_most_for_messages_with_one_tag(
    pulse: int, settings: Any
) -> None:
    settings.IRIS_CALL_PULSE_SECONDS = pulse
    rng = random.Random(8)
    messages = [one["text"] for one in _readings() if one["language"] == "ne" and " " in one["text"]]
    for text in rng.sample(messages, at_scale(40, 400)):
        words = text.split(" ")
        place = rng.randrange(len(words))
        before, after = " ".join([*words[:place], ""]), " ".join(["", *words[place + 1 :]])
        real = seconds(text, "np_rija", 1.0)
        constant = seconds(before + after, "np_rija", 1.0) or HEAD_SILENCE + TAIL_SILENCE
        varying = spoken_seconds(words[place]) + JOIN_SECONDS
        price = call_credits(real)
        held = call_credits(constant + pace("np_rija", 1.0).seconds(varying, characters=0))
        assert price <= held <= price * Decimal("1.25") + call_credits(0), text
