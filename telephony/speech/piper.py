"""Neural voices: Piper, in the speech process, where the operator has installed `piper-tts` and put a model.

A model is two files, `NAME.onnx` and `NAME.onnx.json`; nothing is downloaded. Both `piper-tts` and the espeak-ng
inside it are GPL-3.0-or-later, so they are an extra that nobody gets without asking (docs/voices.md).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings

from iris.errors import Unavailable
from telephony.speech.engine import Alive, Pcm, nobody_watches, too_long
from telephony.speech.loudness import silence

LONGEST_SENTENCE = 250  # characters, about 20 seconds of speech
_SENTENCE = re.compile(r"[^.!?।\n]+")

SENTENCE_PAUSE = 0.25  # seconds between two sentences, on top of the model's own
MODELS_LOADED = 3  # at most, of 60 to 120 MB each; the one that spoke longest ago goes


class Piper:
    """Options: `model` (an .onnx file, below IRIS_HOME/voices unless its path is absolute), `speaker` (an id, or a
    name that the model knows), `speed` (1 is the model's own pace), `fallback` (options of espeak, which speaks while
    the model is missing).
    """

    defaults: ClassVar[Mapping[str, Any]] = {"model": "", "speaker": 0, "speed": 1.0, "fallback": {}}

    def check(self, *, language: str, options: Mapping[str, Any]) -> None:
        if unknown := sorted(set(options) - set(self.defaults)):
            raise ValueError(f"piper has no option {', '.join(unknown)}, only {', '.join(self.defaults)}.")
        chosen = {**self.defaults, **options}
        if not isinstance(chosen["model"], str) or not chosen["model"].endswith(".onnx"):
            raise ValueError(f"model must be the path of an .onnx file; it is {chosen['model']!r}.")
        speed = chosen["speed"]
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0.25 <= speed <= 4:
            raise ValueError(f"speed must be a number from 0.25 to 4; it is {speed!r}.")
        speaker = chosen["speaker"]
        if isinstance(speaker, bool) or not isinstance(speaker, int | str):
            raise ValueError(f"speaker must be an id or a name; it is {speaker!r}.")
        if not isinstance(chosen["fallback"], dict):
            raise ValueError("fallback must be a table of espeak's options.")
        if not self.missing(options):
            _speaker_id(_config(path_of(options)), speaker)

    def missing(self, options: Mapping[str, Any]) -> str:
        model = path_of(options)
        absent = [path.name for path in (model, _config_path(model)) if not path.is_file()]
        if absent:
            return f"Put {' and '.join(absent)} into {model.parent}."
        if find_spec("piper") is None:
            return "Install the Python package piper-tts."
        return ""

    def version(self, options: Mapping[str, Any]) -> str:
        model = path_of(options)
        facts = model.stat()
        return f"piper {metadata.version('piper-tts')} {_digest(model, facts.st_size, facts.st_mtime_ns)}"

    def synthesize(
        self,
        text: str,
        *,
        language: str,
        options: Mapping[str, Any],
        speed: float,
        max_seconds: float,
        alive: Alive = nobody_watches,
    ) -> Pcm:
        from piper import SynthesisConfig

        chosen = {**self.defaults, **options}
        model = path_of(options)
        try:
            voice = _loaded(model, model.stat().st_mtime_ns)
        except Exception as error:  # whatever an unreadable model makes its library raise
            raise Unavailable("The voice of this message does not start. Tell the operator.") from error
        config = SynthesisConfig(
            speaker_id=_speaker_id(_config(model), chosen["speaker"])
            if voice.config.num_speakers > 1
            else None,
            length_scale=voice.config.length_scale / (chosen["speed"] * speed),
            normalize_audio=False,  # by the loudest peak of each sentence: names would be louder than what is around
        )
        rate = voice.config.sample_rate
        room = int(max_seconds * rate) * 2
        pause = silence(SENTENCE_PAUSE / speed, rate=rate)
        samples = bytearray()
        for piece in _bounded(_plain(text)):
            alive()
            for sentence in voice.synthesize(piece, config):
                alive()
                samples += pause if samples else b""
                samples += sentence.audio_int16_bytes
                if len(samples) > room:
                    raise too_long(max_seconds)
        return Pcm(bytes(samples), rate)


def path_of(options: Mapping[str, Any]) -> Path:
    """Where the model of a voice is, or should be."""
    return Path(settings.IRIS_HOME, "voices", str(options.get("model", "")))


def _plain(text: str) -> str:
    """[[…]] would be read as phonemes."""
    return text.replace("[[", "[ [")


def _bounded(text: str) -> Iterator[str]:
    """The text in pieces, none of which has a sentence longer than LONGEST_SENTENCE: a model speaks each sentence in one
    go, and its memory grows with it. It is cut at a comma if there is one, else between two words.
    """
    start = 0
    while (cut := _cut_after(text, start)) < len(text):
        yield text[start:cut]
        start = cut
    yield text[start:]


def _cut_after(text: str, start: int) -> int:
    """Where the first sentence behind `start` that is too long has to end; the end of the text when none is."""
    for sentence in _SENTENCE.finditer(text, start):
        if len(sentence[0]) > LONGEST_SENTENCE:
            begin, end = sentence.start(), sentence.start() + LONGEST_SENTENCE
            for sign in (",", ";", " "):
                # Not in its first half: a cut for a word or two would be heard for nothing.
                if (found := text.rfind(sign, begin + LONGEST_SENTENCE // 2, end)) > 0:
                    return found + 1
            return end
    return len(text)


def _config_path(model: Path) -> Path:
    return model.with_name(model.name + ".json")


def _config(model: Path) -> dict[str, Any]:
    """What the file beside a model says; ValueError when it is no description of one."""
    try:
        found = json.loads(_config_path(model).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{_config_path(model)} cannot be read: {error}") from error
    if not isinstance(found, dict) or "num_speakers" not in found:
        raise ValueError(f"{_config_path(model)} is no description of a Piper model.")
    return found


def _speaker_id(config: Mapping[str, Any], speaker: int | str) -> int:
    names: Mapping[str, int] = config.get("speaker_id_map") or {}
    if isinstance(speaker, str):
        if speaker not in names:
            raise ValueError(
                f"the model has no speaker {speaker!r}; it has: {', '.join(names) or 'one only'}."
            )
        return names[speaker]
    if not 0 <= speaker < max(1, config["num_speakers"]):
        raise ValueError(
            f"the model has the speakers 0 to {max(1, config['num_speakers']) - 1}, not {speaker}."
        )
    return speaker


@lru_cache(maxsize=64)
def _digest(model: Path, size: int, changed: int) -> str:
    with open(model, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@lru_cache(maxsize=MODELS_LOADED)
def _load(model: Path, changed: int) -> Any:
    import onnxruntime
    from piper import PiperVoice
    from piper.config import PiperConfig

    # One thread each: two take half as long for a sentence, but half as much again of the processors; and there is a
    # process for each processor already.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        os.fspath(model), sess_options=options, providers=["CPUExecutionProvider"]
    )
    return PiperVoice(session=session, config=PiperConfig.from_dict(_config(model)))


_loading = threading.Lock()
os.register_at_fork(
    before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release
)


def _loaded(model: Path, changed: int) -> Any:
    with _loading:
        return _load(model, changed)
