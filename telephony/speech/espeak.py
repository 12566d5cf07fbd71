"""The default engine: espeak-ng, called through its C interface (`speak_lib.h`) in the speech process.

The wheel `espeakng-loader` contains the library and its dictionaries. Two renderings of one text differ by a
few inaudible samples, because espeak-ng's flutter and gain control carry over from one text to the next. Each
text is rendered once and stored (`text_to_speech.speak_many`), so the difference never matters.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import espeakng_loader  # type: ignore[import-untyped]

from iris.errors import Unavailable
from telephony.speech.engine import Heartbeat, Pcm, no_heartbeat, speech_too_long
from telephony.speech.espeak_spelling import SPELLING_VERSION, respelled
from telephony.speech.loudness import change_tempo

# Constants of speak_lib.h, under their original names.
AUDIO_OUTPUT_SYNCHRONOUS = 2  # espeak_Synth returns after all samples have been passed to the callback
INITIALIZE_DONT_EXIT = 0x8000  # report missing dictionaries by an error code instead of exit(1)
CHARS_UTF8 = 1
POS_CHARACTER = 1
RATE, VOLUME, PITCH = 1, 2, 3
RATE_MINIMUM, RATE_MAXIMUM = 80, 450

BUFFER_MILLISECONDS = 2000  # few callbacks, because each one acquires the GIL
VOLUME_PERCENT = 90  # leaves headroom for the overshoot of resampling; at 100 some variants reach full scale
MAX_DATA_PATH_BYTES = 150  # espeak-ng stores the path in 160 bytes and finds no data if it is longer

_SYNTH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """Options: `variant` (a file in espeak-ng-data/voices/!v), `pitch` (0–100), `speed` (words per minute)."""

    defaults: ClassVar[Mapping[str, Any]] = {"variant": "", "pitch": 50, "speed": 160}

    def check(self, *, language: str, options: Mapping[str, Any]) -> None:
        if unknown := sorted(set(options) - set(self.defaults)):
            raise ValueError(f"espeak has no option {', '.join(unknown)}, only {', '.join(self.defaults)}.")
        chosen = {**self.defaults, **options}
        for name, low, high in (("pitch", 0, 100), ("speed", RATE_MINIMUM, RATE_MAXIMUM)):
            if type(chosen[name]) is not int or not low <= chosen[name] <= high:
                raise ValueError(f"{name} must be a whole number, {low} to {high}; it is {chosen[name]!r}.")
        if not isinstance(chosen["variant"], str):
            raise ValueError(f"variant must be a name; it is {chosen['variant']!r}.")
        data = Path(espeakng_loader.get_data_path())
        if not (data / f"{language}_dict").is_file():
            raise ValueError(f"espeak has no dictionary of the language {language!r}.")
        # espeak-ng silently falls back to the plain voice if the variant does not exist.
        if chosen["variant"] and chosen["variant"] not in os.listdir(data / "voices" / "!v"):
            raise ValueError(f"espeak has no variant {chosen['variant']!r}.")

    def install_hint(self, options: Mapping[str, Any]) -> str:
        return ""  # espeak-ng is a dependency of iris

    def version(self, options: Mapping[str, Any]) -> str:
        return f"espeak-ng {_load_library().espeak_Info(None).decode()}, spelling {SPELLING_VERSION}"

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
        chosen = {**self.defaults, **options}
        voice = f"{language}+{chosen['variant']}" if chosen["variant"] else language
        requested_pace = round(chosen["speed"] * speed)
        words_per_minute = min(max(requested_pace, RATE_MINIMUM), RATE_MAXIMUM)
        encoded = (respelled(text) if language == "ne" else text).encode() + b"\0"
        with _lock:
            sample_rate = _initialize()
            library = _load_library()
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise Unavailable(
                    f"The speech engine of this server has no voice {voice}. Contact the operator.",
                    code="speech_unavailable",
                )
            library.espeak_SetParameter(RATE, words_per_minute, 0)
            library.espeak_SetParameter(PITCH, chosen["pitch"], 0)
            library.espeak_SetParameter(VOLUME, VOLUME_PERCENT, 0)
            _collector.begin(max_samples=int(max_seconds * sample_rate), heartbeat=heartbeat)
            # Without the flags espeakSSML and espeakPHONEMES, markup in the text is read aloud, not
            # interpreted.
            failed = library.espeak_Synth(encoded, len(encoded), 0, POS_CHARACTER, 0, CHARS_UTF8, None, None)
            samples = _collector.end()
        if samples is None:
            raise speech_too_long(max_seconds)
        if failed:
            raise Unavailable(
                "The speech engine of this server could not speak the message. Try again later.",
                code="speech_unavailable",
            )
        pcm = Pcm(samples, sample_rate)
        return (
            pcm
            if requested_pace == words_per_minute
            else change_tempo(pcm, requested_pace / words_per_minute)
        )


# espeak-ng consists of C globals, so the following are globals too: one text at a time, and one callback that
# is never freed. A fork waits for the current text: the child then gets an idle library and a free lock.
_lock = threading.Lock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class _SampleCollector:
    """Collects the samples of the current text."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._samples_left = 0
        self._heartbeat: Heartbeat = no_heartbeat

    def begin(self, *, max_samples: int, heartbeat: Heartbeat) -> None:
        self._chunks, self._samples_left, self._heartbeat = [], max_samples, heartbeat

    def take(self, samples: int | None, count: int, _events: int | None) -> int:
        """Receive a full buffer from espeak_Synth, in the thread that called it. Return 1 to stop the speech."""
        self._heartbeat()
        if samples and count > 0:
            self._samples_left -= count
            if self._samples_left < 0:
                return 1
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def end(self) -> bytes | None:
        """Return all samples, or None if there were more than `max_samples`."""
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks) if self._samples_left >= 0 else None


_collector = _SampleCollector()
_callback = _SYNTH_CALLBACK(_collector.take)


@cache
def _load_library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
    except OSError as error:
        raise Unavailable(
            "The speech engine of this server does not start. Contact the operator.",
            code="speech_unavailable",
        ) from error
    library.espeak_Info.restype = ctypes.c_char_p
    library.espeak_Info.argtypes = [ctypes.c_void_p]
    library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    library.espeak_SetSynthCallback.restype = None
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    return library


@cache
def _initialize() -> int:
    """Initialize the library once, holding the lock. Return its sample rate."""
    path = os.fsencode(_short_path(espeakng_loader.get_data_path()))
    sample_rate: int = _load_library().espeak_Initialize(
        AUDIO_OUTPUT_SYNCHRONOUS, BUFFER_MILLISECONDS, path, INITIALIZE_DONT_EXIT
    )
    if sample_rate <= 0:
        raise Unavailable(
            "The speech engine of this server has no dictionaries. Contact the operator.",
            code="speech_unavailable",
        )
    _load_library().espeak_SetSynthCallback(_callback)
    return sample_rate


def _short_path(path: str) -> str:
    """Return a short alias for a directory whose path is too long for espeak-ng."""
    if len(os.fsencode(path)) <= MAX_DATA_PATH_BYTES:
        return path
    if sys.platform == "linux":
        # Leaves no files behind and is valid in child processes. The descriptor stays open for the life of
        # this process.
        return f"/proc/self/fd/{os.open(path, os.O_RDONLY | os.O_DIRECTORY)}"
    link = os.path.join(tempfile.mkdtemp(prefix="iris-"), "espeak-ng-data")
    os.symlink(path, link)
    return link
