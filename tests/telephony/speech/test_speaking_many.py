"""Speech of many texts at once, by threads and by forked processes."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from telephony import speech
from telephony.models import Audio
from telephony.speech import store
from telephony.speech.espeak import Espeak
from tests.telephony.speech.sound import record_engine_texts, telephone_audio
from tests.telephony.speech.spoken_texts import SENTENCE

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def syntheses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return record_engine_texts(monkeypatch)


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
