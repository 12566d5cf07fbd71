"""Speech: the voices, the espeak engine, and stored recordings."""

from __future__ import annotations

import concurrent.futures
import io
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import wave
from pathlib import Path
from typing import Any

import espeakng_loader  # type: ignore[import-untyped]
import pytest
from django.core.files.storage import default_storage
from django.db import connections
from django.test.utils import CaptureQueriesContext

from iris.errors import InvalidInput
from telephony import speech
from telephony.models import Audio
from telephony.speech import audio, store
from telephony.speech.espeak import Espeak
from telephony.speech.normalization import MAX_CHARACTERS
from tests.telephony.speech.sound import median_pitch, peak_level, record_engine_texts, telephone_audio

NAMES = ["np_rija", "np_rija_premium", "np_prasanna", "np_binod", "np_shreegya"]
pytestmark = pytest.mark.django_db

SENTENCE = "नमस्ते राम जी, तपाईंको खातामा रु. २५०० बाँकी छ।"


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def syntheses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return record_engine_texts(monkeypatch)


# Speaking


@pytest.mark.parametrize("voice", NAMES)
def test_speech_is_a_telephone_wav_of_plausible_length_and_level(voice: str) -> None:
    recording = speech.speak(text=SENTENCE, voice=voice)

    with wave.open(io.BytesIO(audio.read_wav(recording))) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 2, 1)
        assert file.getnframes() / 8000 == pytest.approx(recording.seconds)
    assert recording.voice == voice
    assert 3 < recording.seconds < 8
    loudest = peak_level(telephone_audio(recording))
    assert 8000 < loudest < 28000


def test_voices_have_distinct_pitches() -> None:
    pitches = {
        voice: median_pitch(telephone_audio(speech.speak(text=SENTENCE, voice=voice))) for voice in NAMES
    }

    assert pitches["np_binod"] * 1.15 < pitches["np_prasanna"]
    assert pitches["np_prasanna"] * 1.4 < pitches["np_rija"]
    assert pitches["np_rija"] * 1.1 < pitches["np_shreegya"]


@pytest.mark.parametrize("voice", ["np_rija", "np_binod"])
def test_speed_changes_the_length_but_not_the_pitch(voice: str) -> None:
    spoken = {
        speed: speech.speak(text=SENTENCE, voice=voice, speed=speed) for speed in (0.5, 0.75, 1.0, 1.5, 2.0)
    }

    for speed, recording in spoken.items():
        assert spoken[1.0].seconds / recording.seconds == pytest.approx(speed, rel=0.1)
    assert median_pitch(telephone_audio(spoken[1.5])) == pytest.approx(
        median_pitch(telephone_audio(spoken[0.5])), rel=0.1
    )


@pytest.mark.parametrize("speed", [0, -1, 0.1, 0.49, 2.01, 10, float("nan"), float("inf")])
def test_speed_out_of_range_is_rejected(speed: float) -> None:
    with pytest.raises(InvalidInput, match="from 0.5 to 2"):
        speech.speak(text=SENTENCE, speed=speed)


def test_repeated_text_reuses_the_stored_recording(syntheses: list[str], media: Path) -> None:
    first = speech.speak(text=SENTENCE, voice="np_prasanna")
    content = audio.read_wav(first)

    again = speech.speak(text=f"  {SENTENCE.replace('।', ' |')}\n", voice="np_prashanna", speed=1)

    assert again == first
    assert audio.read_wav(again) == content
    assert len(syntheses) == 1
    assert [str(path.relative_to(media)) for path in media.rglob("*.*")] == [
        f"audio/{first.name[:2]}/{first.name}.wav"
    ]


def test_other_text_voice_speed_or_options_make_another_recording(settings: Any) -> None:
    said = [
        speech.speak(text="नमस्ते"),
        speech.speak(text="नमस्कार"),
        speech.speak(text="नमस्ते", voice="np_binod"),
        speech.speak(text="नमस्ते", speed=1.1),
    ]
    settings.IRIS_VOICES = {"np_rija": {**settings.IRIS_VOICES["np_rija"], "pitch": 40}}
    said.append(speech.speak(text="नमस्ते"))

    assert len({recording.name for recording in said}) == 5


def test_recording_name_depends_on_the_secret_key(settings: Any) -> None:
    first = speech.speak(text="तपाईंको कोड १२३४ हो")
    settings.SECRET_KEY = "another" * 10
    second = speech.speak(text="तपाईंको कोड १२३४ हो")

    assert len(first.name) == 40
    assert int(first.name, 16)
    assert first.name != second.name


def test_renderings_of_one_text_have_almost_the_same_length() -> None:
    engine = Espeak()
    options = {"variant": "f2", "pitch": 50, "speed": 150}
    first, *others = (
        engine.synthesize(SENTENCE, language="ne", options=options, speed=1, max_seconds=60) for _ in range(4)
    )

    assert all(other.seconds == pytest.approx(first.seconds, rel=0.01) for other in others)


def test_recording_without_its_file_is_spoken_again(media: Path, syntheses: list[str]) -> None:
    first = speech.speak(text="नमस्ते")
    shutil.rmtree(media)

    again = speech.speak(text="नमस्ते")

    assert again == first
    assert store.exists(first.name, "wav")
    assert len(syntheses) == 2


def test_recordings_work_in_a_storage_without_local_files(settings: Any, syntheses: list[str]) -> None:
    backend = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "default": backend}

    first = speech.speak(text="नमस्ते")
    store.write(first.name, "wav", b"written by another process a moment later")

    assert speech.speak(text="नमस्ते") == first
    assert telephone_audio(first).seconds == pytest.approx(first.seconds)
    assert audio.open_file(first.name, "mp3") is not None
    assert audio.open_file("0" * 40, "mp3") is None
    assert len(syntheses) == 1
    assert len(default_storage.listdir(f"audio/{first.name[:2]}")[1]) == 2


# Accepted texts


@pytest.mark.parametrize(
    "text",
    ["", "   ", "\n", "...", "।", "|", "!?", "😀", "\0", "\u200d", "\u200b\ufeff", "- - -", "\ud800", "“”"],
)
def test_text_without_words_is_rejected_with_an_explanation(text: str) -> None:
    with pytest.raises(speech.Unspeakable, match="at least one word"):
        speech.speak(text=text)


@pytest.mark.parametrize(
    "text",
    [
        "क",
        "Hello Ram Bahadur",
        "नमस्ते\nराम\r\n\r\nजी",
        "नमस्ते\x00\x01\x1b[31m राम",
        "नमस्ते  राम | फेरि भेटौँला |",
        "नमस्ते \ud83d राम",
        "<speak><audio src='/etc/passwd'/></speak>",
        "[[nam@st'e]]",
        "&#x928;&amp;",
        "100% %s %n {tags_name}",
        "中文 русский العربية",
        "क्" * 2000,
        "a" * 5000,
        "“नमस्ते” ‘राम’ — गर्‍यो…",
    ],
)
def test_unusual_texts_are_spoken(text: str) -> None:
    assert speech.speak(text=text).seconds > 0.1


def test_text_beyond_the_character_limit_is_rejected() -> None:
    with pytest.raises(speech.Unspeakable, match="5001 characters; at most 5000") as caught:
        speech.speak(text="क" * (MAX_CHARACTERS + 1))

    assert caught.value.code == "too_long"


def test_too_long_speech_is_rejected_and_the_next_text_is_complete(settings: Any) -> None:
    expected = speech.speak(text="नमस्ते राम")
    settings.IRIS_MAX_AUDIO_SECONDS = 5

    with pytest.raises(speech.Unspeakable, match="longer than 5 seconds"):
        speech.speak(text="नमस्ते राम। " * 300)

    store.write(expected.name, "wav", b"")
    assert not Audio.objects.exclude(pk=expected.pk).exists()
    assert speech.speak(text="नमस्ते राम") == expected
    assert telephone_audio(expected).seconds == pytest.approx(expected.seconds, rel=0.02)


# Many texts


def test_speak_many_uses_few_statements(syntheses: list[str]) -> None:
    known = speech.speak(text="नमस्ते १")
    texts = [f"नमस्ते {number}" for number in range(50)]

    with CaptureQueriesContext(connections["default"]) as queries:
        spoken = speech.speak_many(texts * 2, voice="np_rija", speed=1.0)

    assert list(spoken) == texts
    assert spoken["नमस्ते 1"] == known
    assert len({recording.pk for recording in spoken.values()}) == 50
    assert all(store.exists(recording.name, "wav") for recording in spoken.values())
    assert len(syntheses) == 50
    assert len(queries) <= 5  # including the savepoint of the insertion


def test_already_spoken_texts_cost_one_statement() -> None:
    texts = [f"नमस्ते {number}" for number in range(20)]
    first = speech.speak_many(texts)

    with CaptureQueriesContext(connections["default"]) as queries:
        assert speech.speak_many(texts) == first

    assert len(queries) == 1


def test_unspeakable_text_does_not_stop_the_others(settings: Any) -> None:
    settings.IRIS_MAX_AUDIO_SECONDS = 5

    spoken = speech.speak_many(["नमस्ते", "...", "x" * 6000, "नमस्ते राम। " * 50, "धन्यवाद"])

    assert list(spoken) == ["नमस्ते", "धन्यवाद"]


def test_speak_many_accepts_an_empty_list() -> None:
    assert speech.speak_many([]) == {}


def test_speak_many_rejects_an_unknown_voice() -> None:
    with pytest.raises(speech.UnknownVoice):
        speech.speak_many([], voice="np_nobody")


# Concurrency


@pytest.mark.django_db(transaction=True)
def test_threads_that_speak_the_same_text_share_one_recording(media: Path, settings: Any) -> None:
    settings.IRIS_SPEECH_TIMEOUT_SECONDS = 60  # a busy test machine starts speech processes slowly
    ready = threading.Barrier(6)

    def say(_: int) -> Audio:
        try:
            ready.wait(60)
            return speech.speak(text=SENTENCE)
        finally:
            connections.close_all()

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        said = list(pool.map(say, range(6)))

    assert len({recording.pk for recording in said}) == 1
    assert len([path for path in media.rglob("*") if path.is_file()]) == 1
    assert telephone_audio(said[0]).seconds == pytest.approx(said[0].seconds, rel=0.01)


def _say_in_child(ready: Any, answers: Any) -> None:
    ready.wait(120)
    answers.put([recording.pk for recording in speech.speak_many([SENTENCE, "नमस्ते", "धन्यवाद"]).values()])
    connections.close_all()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.django_db(transaction=True)
def test_forked_processes_that_speak_the_same_text_share_one_recording(media: Path) -> None:
    # Initializes espeak before the fork.
    Espeak().synthesize("नमस्ते", language="ne", options={}, speed=1, max_seconds=60)
    forked = multiprocessing.get_context("fork")
    ready, answers = forked.Barrier(3), forked.Queue()
    connections.close_all()
    children = [forked.Process(target=_say_in_child, args=(ready, answers)) for _ in range(3)]
    for child in children:
        child.start()
    said = [answers.get(timeout=120) for _ in children]
    for child in children:
        child.join(60)

    assert said[0] == said[1] == said[2]
    assert Audio.objects.count() == 3
    assert len([path for path in media.rglob("*") if path.is_file()]) == 3


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_child_forked_in_the_middle_of_a_sentence_can_speak() -> None:
    engine = Espeak()
    stop = threading.Event()

    def talk() -> None:
        while not stop.is_set():
            engine.synthesize(SENTENCE * 20, language="ne", options={}, speed=1, max_seconds=600)

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                spoken = engine.synthesize("नमस्ते", language="ne", options={}, speed=1, max_seconds=60)
                os._exit(0 if 0.3 < spoken.seconds < 2 else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        talker.join()


def test_espeak_works_in_a_deeply_nested_directory(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 100)
    shutil.copytree(Path(espeakng_loader.__file__).parent, deep / "espeakng_loader")
    code = (
        f"import sys; sys.path.insert(0, {str(deep)!r})\n"
        "import django; django.setup()\n"
        "from telephony.speech.espeak import Espeak\n"
        "print(Espeak().synthesize('नमस्ते', language='ne', options={}, speed=1, max_seconds=9).seconds)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONUTF8": "1"},
    )

    assert done.returncode == 0, done.stderr
    assert 0.3 < float(done.stdout) < 2
