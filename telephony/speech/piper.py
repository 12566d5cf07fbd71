"""Neural voices: Piper, in the speech process, if the operator has installed `piper-tts` and a model.

A model consists of two files, `NAME.onnx` and `NAME.onnx.json`; iris downloads nothing. `piper-tts` and the
espeak-ng inside it are GPL-3.0-or-later, so they are an optional extra (docs/voices.md).
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
from telephony.speech.engine import Heartbeat, Pcm, no_heartbeat, speech_too_long
from telephony.speech.loudness import silence

MAX_SENTENCE_CHARACTERS = 250  # about 20 seconds of speech
_SENTENCE = re.compile(r"[^.!?।\n]+")

SENTENCE_PAUSE = 0.25  # seconds between two sentences, in addition to the model's own pause
MAX_LOADED_MODELS = 3  # 60 to 120 MB each; loading another one drops the least recently used


class Piper:
    """Piper's options.

    * `model`: an .onnx file; a relative path is below IRIS_HOME/voices.
    * `speaker`: an id, or a name that the model knows.
    * `speed`: 1 is the model's own pace.
    * `fallback`: options of espeak, which speaks while the model is missing.
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
        if not self.install_hint(options):
            _speaker_id(_read_config(model_path(options)), speaker)

    def install_hint(self, options: Mapping[str, Any]) -> str:
        model = model_path(options)
        absent = [path.name for path in (model, _config_path(model)) if not path.is_file()]
        if absent:
            return f"Put {' and '.join(absent)} into {model.parent}."
        if find_spec("piper") is None:
            return "Install the Python package piper-tts."
        return ""

    def version(self, options: Mapping[str, Any]) -> str:
        model = model_path(options)
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
        heartbeat: Heartbeat = no_heartbeat,
    ) -> Pcm:
        from piper import SynthesisConfig

        chosen = {**self.defaults, **options}
        model = model_path(options)
        try:
            voice = _get_model(model, model.stat().st_mtime_ns)
        except Exception as error:  # a damaged model may raise anything
            raise Unavailable(
                "The voice of this message does not start. Contact the operator.", code="speech_unavailable"
            ) from error
        config = SynthesisConfig(
            speaker_id=_speaker_id(_read_config(model), chosen["speaker"])
            if voice.config.num_speakers > 1
            else None,
            length_scale=voice.config.length_scale / (chosen["speed"] * speed),
            # Normalization would use the loudest peak of each sentence, so names would be louder than the text around them.
            normalize_audio=False,
        )
        rate = voice.config.sample_rate
        max_bytes = int(max_seconds * rate) * 2
        pause = silence(SENTENCE_PAUSE / speed, rate=rate)
        samples = bytearray()
        for piece in _split_long_sentences(_without_phoneme_brackets(text)):
            heartbeat()
            for sentence in voice.synthesize(piece, config):
                heartbeat()
                samples += pause if samples else b""
                samples += sentence.audio_int16_bytes
                if len(samples) > max_bytes:
                    raise speech_too_long(max_seconds)
        return Pcm(bytes(samples), rate)


def model_path(options: Mapping[str, Any]) -> Path:
    """Return where the model of a voice is, or should be."""
    return Path(settings.IRIS_HOME, "voices", str(options.get("model", "")))


def _without_phoneme_brackets(text: str) -> str:
    """Break up [[…]], which Piper would read as phonemes."""
    return text.replace("[[", "[ [")


def _split_long_sentences(text: str) -> Iterator[str]:
    """Yield the text in pieces in which no sentence is longer than MAX_SENTENCE_CHARACTERS.

    A model speaks each sentence in one go, and its memory grows with the length. A long sentence is cut at a
    comma if possible, else between two words.
    """
    start = 0
    while (cut := _next_cut(text, start)) < len(text):
        yield text[start:cut]
        start = cut
    yield text[start:]


def _next_cut(text: str, start: int) -> int:
    """Return where to cut the first overlong sentence after `start`, or len(text) if no sentence is overlong."""
    for sentence in _SENTENCE.finditer(text, start):
        if len(sentence[0]) > MAX_SENTENCE_CHARACTERS:
            begin, end = sentence.start(), sentence.start() + MAX_SENTENCE_CHARACTERS
            for sign in (",", ";", " "):
                # Never cut in the first half: a piece of one or two words would add an audible pause without need.
                if (found := text.rfind(sign, begin + MAX_SENTENCE_CHARACTERS // 2, end)) > 0:
                    return found + 1
            return end
    return len(text)


def _config_path(model: Path) -> Path:
    return model.with_name(model.name + ".json")


def _read_config(model: Path) -> dict[str, Any]:
    """Return the JSON description beside a model. Raises ValueError if it is invalid."""
    try:
        found = json.loads(_config_path(model).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{_config_path(model)} cannot be read: {error}") from error
    if not isinstance(found, dict) or "num_speakers" not in found:
        raise ValueError(f"{_config_path(model)} does not describe a Piper model.")
    return found


def _speaker_id(config: Mapping[str, Any], speaker: int | str) -> int:
    """Return the id of a speaker given by id or name. Raises ValueError if the model has no such speaker."""
    names: Mapping[str, int] = config.get("speaker_id_map") or {}
    if isinstance(speaker, str):
        if speaker not in names:
            raise ValueError(
                f"the model has no speaker {speaker!r}; it has: {', '.join(names) or 'only one'}."
            )
        return names[speaker]
    if not 0 <= speaker < max(1, config["num_speakers"]):
        raise ValueError(
            f"the model has the speakers 0 to {max(1, config['num_speakers']) - 1}, not {speaker}."
        )
    return speaker


@lru_cache(maxsize=64)
def _digest(model: Path, size: int, modified_ns: int) -> str:
    with open(model, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@lru_cache(maxsize=MAX_LOADED_MODELS)
def _load_model(model: Path, modified_ns: int) -> Any:
    import onnxruntime
    from piper import PiperVoice
    from piper.config import PiperConfig

    # One thread per model. Two threads would halve the time of a sentence, but need 50 % more CPU time, and there is already
    # one process per processor.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        os.fspath(model), sess_options=options, providers=["CPUExecutionProvider"]
    )
    return PiperVoice(session=session, config=PiperConfig.from_dict(_read_config(model)))


_loading_lock = threading.Lock()
os.register_at_fork(
    before=_loading_lock.acquire, after_in_parent=_loading_lock.release, after_in_child=_loading_lock.release
)


def _get_model(model: Path, modified_ns: int) -> Any:
    with _loading_lock:
        return _load_model(model, modified_ns)
