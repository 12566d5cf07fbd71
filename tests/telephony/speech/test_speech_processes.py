"""Speech processes: a text that hangs or crashes one affects nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from telephony import speech
from telephony.models import Audio
from telephony.speech import speech_pool, speech_processes
from telephony.speech.engine import VoiceConfig
from tests.live import ROOT, wait_for
from tests.telephony.speech import wild_speech as wild
from tests.telephony.speech.sound import telephone_audio

pytestmark = pytest.mark.django_db

CONFIG = VoiceConfig("np_rija", "espeak", "ne", {}, 1.0)


@pytest.fixture(autouse=True)
def _wild_worker(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.IRIS_SPEECH_TIMEOUT_SECONDS = 0.5
    # Large, because the test machine may be busy.
    monkeypatch.setattr(speech_processes, "WALL_SECONDS_PER_CPU_SECOND", 120)
    settings.SPEECH_WORKER = "tests.telephony.speech.wild_speech"


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("text", [wild.ENDLESS_RULE, wild.ENDLESS_ENGINE])
def test_endless_text_times_out_and_the_next_text_is_spoken(text: str) -> None:
    begun = speech_processes.cpu_seconds()

    with pytest.raises(speech.SpeechTimedOut, match=f"“नमस्ते {text} राम”") as caught:
        speech.speak(text=f"नमस्ते {text} राम")

    assert caught.value.code == "speech_too_slow"
    assert "(0.5 seconds)" in caught.value.message
    assert not Audio.objects.exists()
    assert speech.speak(text="नमस्ते राम").seconds > 0.3
    assert speech_processes.cpu_seconds() > begun


def test_error_names_the_endless_tag_value_and_earlier_recordings_are_kept() -> None:
    fillings = [("राम",), (f"{wild.ENDLESS_ENGINE}",)]

    with pytest.raises(speech.SpeechTimedOut, match=wild.ENDLESS_ENGINE):
        speech.speak_filled(("नमस्ते ", None, " जी।"), fillings)

    assert speech.speak_filled(("नमस्ते ", None, " जी।"), fillings[:1])[0] is not None


def test_endless_rule_while_cutting_a_message_times_out() -> None:
    with pytest.raises(speech.SpeechTimedOut):
        speech.prepare_filled(("नमस्ते ", None, f" {wild.ENDLESS_RULE}"), [("राम",)])


def test_sleeping_engine_is_ended_by_the_wall_clock_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    speech.speak(text="नमस्ते")  # so that a process has already started
    monkeypatch.setattr(speech_processes, "WALL_SECONDS_PER_CPU_SECOND", 2)

    with pytest.raises(speech.SpeechTimedOut, match=wild.ASLEEP):
        speech.speak(text=wild.ASLEEP)


def test_slow_texts_beyond_the_budget_are_postponed_and_finished_ones_are_kept() -> None:
    speech_processes.close()
    texts = [f"{wild.SLOW} {number}" for number in range(6)]

    with pytest.raises(speech.SpeechBudgetExceeded) as caught:
        speech.speak_many(texts)

    assert 1 <= caught.value.made_count < 6
    assert Audio.objects.count() == caught.value.made_count
    process = speech_processes.pids()
    assert len(speech.speak_many(texts[: caught.value.made_count + 1])) == caught.value.made_count + 1
    assert speech_processes.pids() == process  # exceeding the budget does not end the process


@pytest.mark.parametrize("text", [wild.CRASH, wild.RAISES, wild.GREEDY])
def test_failing_engine_raises_speech_failed_and_the_next_text_is_spoken(text: str, settings: Any) -> None:
    settings.IRIS_SPEECH_MEMORY_MB = 1024
    settings.IRIS_SPEECH_TIMEOUT_SECONDS = 30  # long enough that no text fails for being slow

    with pytest.raises(speech.SpeechFailed, match=f"“{text}”"):
        speech.speak(text=text)

    assert speech.speak(text="नमस्ते राम").seconds > 0.3


def test_output_of_a_library_does_not_corrupt_the_pipes() -> None:
    recording = speech.speak(text=f"{wild.PRINTS} राम")

    assert telephone_audio(recording).seconds == pytest.approx(recording.seconds)


def test_idle_process_that_was_killed_is_replaced() -> None:
    speech_processes.close()
    speech.speak(text="नमस्ते")
    (before,) = speech_processes.pids()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: is_gone(before), seconds=30)

    speech.speak(text="धन्यवाद")

    assert speech_processes.pids() != [before]


@pytest.mark.django_db(transaction=True)
def test_killing_a_busy_process_raises_speech_failed_for_its_text() -> None:
    speech_processes.close()
    speech.speak(text="नमस्ते")
    (process,) = speech_processes.pids()
    errors: list[Exception] = []

    def speak() -> None:
        try:
            speech.speak(text=wild.ASLEEP)
        except speech.SpeechFailed as error:
            errors.append(error)
        finally:
            connections.close_all()

    speaker = threading.Thread(target=speak)
    speaker.start()
    wait_for(lambda: speech_pool.pool._busy, seconds=30)
    os.kill(process, signal.SIGKILL)
    speaker.join(60)

    assert [type(error) for error in errors] == [speech.SpeechFailed]


@pytest.mark.django_db(transaction=True)
def test_request_beyond_the_process_limit_raises_speech_busy(settings: Any) -> None:
    settings.IRIS_SPEECH_PROCESSES = 2
    speakers = [
        threading.Thread(target=lambda: list(_synthesize(wild.ASLEEP)), daemon=True) for _ in range(2)
    ]
    for speaker in speakers:
        speaker.start()
    wait_for(lambda: len(speech_pool.pool._busy) == 2, seconds=60)

    with pytest.raises(speech.SpeechBusy, match="Try again in a few seconds"):
        speech.speak(text="नमस्ते")

    for pid in speech_processes.pids():
        os.kill(pid, signal.SIGKILL)
    for speaker in speakers:
        speaker.join(60)
    assert speech.speak(text="नमस्ते").seconds > 0.3


def _synthesize(text: str) -> Iterator[Any]:
    try:
        yield from speech_processes.synthesize_texts(CONFIG, [(text, 0.0, 0.0)], names=[text])
    except speech.SpeechFailed:
        return


def test_speech_process_survives_the_thread_that_requested_it() -> None:
    """Linux delivers PR_SET_PDEATHSIG when the parent thread ends, not only when the parent process does."""
    speech_processes.close()
    starter = threading.Thread(target=lambda: list(_synthesize("नमस्ते")))
    starter.start()
    starter.join(60)
    before = speech_processes.pids()

    assert list(_synthesize("धन्यवाद"))

    assert speech_processes.pids() == before


@pytest.mark.parametrize("text", ["नमस्ते", wild.ENDLESS_ENGINE])
def test_speech_process_ends_when_its_parent_is_killed(text: str, tmp_path: Path) -> None:
    """The speech process ends in both cases: while it waits for a request, and while it speaks a text."""
    code = (
        "import threading, time, django; django.setup()\n"
        "from telephony.speech import speech_processes as processes\n"
        "from telephony.speech.engine import VoiceConfig\n"
        "config = VoiceConfig('np_rija', 'espeak', 'ne', {}, 1.0)\n"
        f"say = lambda: list(processes.synthesize_texts(config, [({text!r}, 0.0, 0.0)], names=['']))\n"
        "threading.Thread(target=say, daemon=True).start()\n"
        "while not processes.pids(): time.sleep(0.01)\n"
        "print(*processes.pids(), flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.wild_settings",
        "IRIS_HOME": str(tmp_path),
        "IRIS_SPEECH_TIMEOUT_SECONDS": "600",
        "PYTHONUTF8": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        if text == wild.ENDLESS_ENGINE:
            wait_for(lambda: _cpu_seconds(child) > 3, seconds=120)
        assert not is_gone(child)
        parent.kill()
        parent.wait()
        wait_for(lambda: is_gone(child), seconds=30)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_forked_process_starts_its_own_speech_processes() -> None:
    speech_processes.close()
    list(_synthesize("नमस्ते"))
    (ours,) = speech_processes.pids()
    child = os.fork()
    if child == 0:
        fine = list(_synthesize("धन्यवाद")) and speech_processes.pids() != [ours]
        speech_processes.close()
        os._exit(0 if fine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    assert list(_synthesize("राम"))
    assert speech_processes.pids() == [ours]


def test_error_quotes_a_short_single_line_of_the_text() -> None:
    text = f"{wild.ENDLESS_RULE}\n\0" + "राम " * 500

    with pytest.raises(speech.SpeechTimedOut) as caught:
        speech.speak(text=text)

    assert len(caught.value.message) < 230
    assert "\n" not in caught.value.message
    assert "\0" not in caught.value.message
