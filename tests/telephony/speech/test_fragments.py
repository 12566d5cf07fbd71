"""Messages with tags are cut into parts.

Each part is spoken once. The parts are joined when the recording is read, without a file and without clicks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from telephony import speech
from telephony.media import recording_path
from telephony.models import Audio
from telephony.speech import audio, store, voices
from telephony.speech.fragments import cut_at_gaps
from telephony.speech.spoken_parts import (
    CLAUSE_PAUSE,
    EDGE_SILENCE,
    HEAD_SILENCE,
    SENTENCE_PAUSE,
    TAIL_SILENCE,
)
from tests.telephony.speech.sound import (
    RATE,
    loudness_in_lufs,
    peak_level,
    record_engine_texts,
    step_between_samples,
    telephone_audio,
)

pytestmark = pytest.mark.django_db

PARTS = ("नमस्कार ", None, " जी, तपाईंको खातामा रु. ", None, " बाँकी छ।")


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def syntheses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return record_engine_texts(monkeypatch)


def templates(*parts: str | None) -> list[str]:
    return [part.template for part in cut_at_gaps(parts, language="ne")]


def test_message_is_cut_at_its_tags() -> None:
    assert templates("नमस्कार ", None, " जी। भोलि ", None, " आउनुहोस्।") == [
        "नमस्कार ",
        "%s",
        " जी। भोलि ",
        "%s",
        " आउनुहोस्।",
    ]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((None, "लाई नमस्कार"), ["%sलाई", " नमस्कार"]),
        (("जम्मा रु. ", None, "/- मात्र"), ["जम्मा ", "रु. %s/-", " मात्र"]),
        (("ब्याज ", None, "% छ"), ["ब्याज ", "%s%%", " छ"]),
        (("तपाईंको कोड ", None, " हो"), ["तपाईंको ", "कोड %s", " हो"]),
        ((None, " तपाईंको OTP हो"), ["%s तपाईंको OTP", " हो"]),
        (("बैठक बिहान ", None, " बजेदेखि"), ["बैठक ", "बिहान %s बजेदेखि"]),
        (("मिति ", None, "/", None, "/", None), ["मिति %s/%s/%s"]),
        ((None, " ", None, ", नमस्ते"), ["%s", "%s", ", नमस्ते"]),
        ((None, None), ["%s%s"]),
        (("100% ", None), ["100%% ", "%s"]),
        (("कुनै चिन्ह छैन",), ["कुनै चिन्ह छैन"]),
        ((None,), ["%s"]),
        ((), []),
    ],
)
def test_text_spoken_differently_next_to_a_value_stays_with_it(
    parts: tuple[str | None, ...], expected: list[str]
) -> None:
    assert templates(*parts) == expected


def test_parts_include_the_pauses_of_their_punctuation() -> None:
    first, name, second, last = cut_at_gaps(("नमस्ते। ", None, ", तपाईंलाई ", None), language="ne")

    assert (first.before, first.after) == (HEAD_SILENCE, SENTENCE_PAUSE)
    assert (name.before, name.after) == (EDGE_SILENCE, EDGE_SILENCE)
    assert (second.before, second.after) == (CLAUSE_PAUSE, EDGE_SILENCE)
    assert (last.before, last.after) == (EDGE_SILENCE, TAIL_SILENCE)


def test_each_part_is_spoken_once_for_all_recipients_with_the_same_tag_value(
    syntheses: list[str], media: Path
) -> None:
    fillings = [(f"{['राम', 'सीता', 'हरि'][n % 3]}", str(500 + n % 2)) for n in range(60)]

    spoken = speech.speak_filled(PARTS, fillings)
    again = speech.speak_filled(PARTS, fillings[:10])

    assert len(syntheses) == 3 + 3 + 2  # constants, names, amounts
    assert len({recording.name for recording in spoken if recording}) == 6
    assert again == spoken[:10]
    assert len(list(media.rglob("*.wav"))) == 8


def test_same_value_in_two_messages_is_spoken_once(syntheses: list[str]) -> None:
    speech.speak_filled(("नमस्ते ", None, " जी"), [("राम",)])
    before = len(syntheses)
    speech.speak_filled(("प्रिय ", None, ", भोलि आउनुहोस्।"), [("राम",)])

    assert len(syntheses) - before == 2


def test_joined_recording_is_the_concatenation_of_its_parts(media: Path) -> None:
    (recording,) = speech.speak_filled(PARTS, [("राम", "1500")])
    assert recording is not None
    parts = [Audio.objects.get(name=name) for name in recording.parts]

    assert len(parts) == 5
    assert audio.read_pcm(recording.name) == b"".join(audio.read_pcm(part.name) for part in parts)
    assert recording.seconds == pytest.approx(sum(part.seconds for part in parts))
    assert recording.seconds == pytest.approx(len(audio.read_pcm(recording.name)) / 2 / RATE)
    assert not store.exists(recording.name, "wav")


def test_joining_parts_makes_no_clicks() -> None:
    (recording,) = speech.speak_filled(PARTS, [("राम बहादुर", "123456")])
    assert recording is not None
    pcm, position = telephone_audio(recording), 0

    for name in recording.parts[:-1]:
        position += len(audio.read_pcm(name)) // 2
        assert step_between_samples(pcm, position) < 100  # −50 dB


@pytest.mark.parametrize("voice", ["np_rija", "np_prasanna", "np_binod", "np_shreegya"])
def test_joined_message_has_the_loudness_and_length_of_a_whole_sentence(voice: str) -> None:
    (joined,) = speech.speak_filled(PARTS, [("राम बहादुर", "2500")], voice=voice)
    whole = speech.speak(text="नमस्कार राम बहादुर जी, तपाईंको खातामा रु. 2500 बाँकी छ।", voice=voice)
    assert joined is not None

    assert loudness_in_lufs(telephone_audio(joined)) == pytest.approx(-16, abs=1)
    assert peak_level(telephone_audio(joined)) < 28_200
    assert joined.seconds == pytest.approx(whole.seconds, rel=0.2)


def test_unspeakable_values_are_omitted_and_a_message_without_words_is_none() -> None:
    spoken = speech.speak_filled(PARTS, [("😀", "500"), ("", "500")])
    nothing = speech.speak_filled((None, "। "), [("...",), ("राम",)])

    assert spoken[0] is not None
    assert spoken[0] == spoken[1]
    assert len(spoken[0].parts) == 4
    assert nothing[0] is None
    assert nothing[1] is not None


def test_joined_message_longer_than_the_limit_is_none(settings: Any) -> None:
    settings.IRIS_MAX_AUDIO_SECONDS = 5

    assert speech.speak_filled(PARTS, [("राम", "9876543")]) == [None]


def test_speed_also_stretches_pauses() -> None:
    slow, fast = (speech.speak_filled(PARTS, [("राम", "500")], speed=speed)[0] for speed in (0.5, 2.0))
    assert slow is not None
    assert fast is not None

    assert slow.seconds / fast.seconds == pytest.approx(4, rel=0.15)


def test_number_of_statements_does_not_grow_with_the_recipients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "CACHE_SECONDS", 3600)  # otherwise a slow machine would read the voices again
    fillings = [(f"राम {n}", "500") for n in range(150)]
    speech.prepare_filled(PARTS, fillings)

    with CaptureQueriesContext(connection) as queries:
        speech.speak_filled(PARTS, fillings)
    with CaptureQueriesContext(connection) as again:
        speech.speak_filled(PARTS, fillings)

    assert len(queries) <= 7
    assert len(again) <= 2


def test_prepared_parts_are_not_spoken_again(syntheses: list[str]) -> None:
    fillings = [(name, "500") for name in ("राम", "सीता")]
    assert speech.prepare_filled(PARTS, fillings) == 3 + 2 + 1
    made = len(syntheses)

    speech.speak_filled(PARTS, fillings)

    assert len(syntheses) == made


@pytest.mark.urls("telephony.media")
def test_joined_recording_is_downloaded_like_any_other(client: Client, media: Path) -> None:
    (recording,) = speech.speak_filled(PARTS, [("राम", "1500")])
    assert recording is not None
    files = len(list(media.rglob("*.wav")))

    response = client.get(recording_path(recording.name, "wav"))
    part = client.get(recording_path(recording.name, "wav"), headers={"Range": "bytes=44-1043"})
    mp3 = client.get(recording_path(recording.name))

    content = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    assert content[44:] == audio.read_pcm(recording.name)
    assert b"".join(part.streaming_content) == content[44:1044]  # type: ignore[attr-defined]
    assert mp3.status_code == 200
    assert len(list(media.rglob("*.wav"))) == files


def test_reading_an_unknown_recording_raises_file_not_found() -> None:
    with pytest.raises(FileNotFoundError):
        audio.read_pcm("0" * 40)
