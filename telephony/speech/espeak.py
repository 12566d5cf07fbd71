"""The engine that is always there: espeak-ng, in the speech process, through its C interface (`speak_lib.h`).

The library and its dictionaries come with the wheel `espeakng-loader`. Two renderings of one text differ by a
few samples, inaudibly: espeak-ng's flutter and gain control run on from one text to the next. What was said
once is stored (see `voices.speak_many`), so nobody ever meets the second rendering.
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
from telephony.speech.engine import Alive, Pcm, nobody_watches, too_long
from telephony.speech.loudness import stretched

# Constants of speak_lib.h, by their names there.
AUDIO_OUTPUT_SYNCHRONOUS = 2  # espeak_Synth returns when all samples have gone through the callback
INITIALIZE_DONT_EXIT = 0x8000  # missing dictionaries are an error code, not exit(1)
CHARS_UTF8 = 1
POS_CHARACTER = 1
RATE, VOLUME, PITCH = 1, 2, 3
RATE_MINIMUM, RATE_MAXIMUM = 80, 450

BUFFER_MILLISECONDS = 2000  # few callbacks: each one takes the GIL back
VOLUME_PERCENT = 90  # leaves room for the overshoot of resampling; at 100 some variants touch full scale
LONGEST_DATA_PATH = 150  # espeak-ng keeps it in 160 bytes, and finds nothing when it is longer

_SYNTH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """Options: `variant` (a file in espeak-ng-data/voices/!v), `pitch` (0–100), `speed` (words a minute)."""

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
        # espeak falls back to the plain voice without a word when the variant does not exist.
        if chosen["variant"] and chosen["variant"] not in os.listdir(data / "voices" / "!v"):
            raise ValueError(f"espeak has no variant {chosen['variant']!r}.")

    def missing(self, options: Mapping[str, Any]) -> str:
        return ""  # it comes with iris

    def version(self, options: Mapping[str, Any]) -> str:
        return "espeak-ng " + str(_library().espeak_Info(None).decode())

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
        chosen = {**self.defaults, **options}
        voice = f"{language}+{chosen['variant']}" if chosen["variant"] else language
        wanted = round(chosen["speed"] * speed)
        words_per_minute = min(max(wanted, RATE_MINIMUM), RATE_MAXIMUM)
        spoken = text.encode() + b"\0"
        with _lock:
            sample_rate = _initialized()
            library = _library()
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise Unavailable(f"The voice {voice} is missing from the speech engine of this server.")
            library.espeak_SetParameter(RATE, words_per_minute, 0)
            library.espeak_SetParameter(PITCH, chosen["pitch"], 0)
            library.espeak_SetParameter(VOLUME, VOLUME_PERCENT, 0)
            _output.begin(room=int(max_seconds * sample_rate), alive=alive)
            # Without espeakSSML and espeakPHONEMES among the flags, whatever is in the text is read out.
            failed = library.espeak_Synth(spoken, len(spoken), 0, POS_CHARACTER, 0, CHARS_UTF8, None, None)
            samples = _output.end()
        if samples is None:
            raise too_long(max_seconds)
        if failed:
            raise Unavailable("The speech engine of this server could not say the message. Try again later.")
        pcm = Pcm(samples, sample_rate)
        return pcm if wanted == words_per_minute else stretched(pcm, wanted / words_per_minute)


# espeak-ng is one set of C globals in a process, so all that follows is too: one text at a time, one callback
# that lives for ever. A fork waits for the text being spoken: the child then gets a library at rest and a
# free lock.
_lock = threading.Lock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class _Output:
    """Collects the samples of the text being spoken."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._room = 0
        self._alive: Alive = nobody_watches

    def begin(self, *, room: int, alive: Alive) -> None:
        self._chunks, self._room, self._alive = [], room, alive

    def take(self, samples: int | None, count: int, _events: int | None) -> int:
        """Called by espeak_Synth with each full buffer, in the thread that called it. 1 stops the speech."""
        self._alive()
        if samples and count > 0:
            self._room -= count
            if self._room < 0:
                return 1
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def end(self) -> bytes | None:
        """All samples, or None when there were more than there was room for."""
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks) if self._room >= 0 else None


_output = _Output()
_callback = _SYNTH_CALLBACK(_output.take)


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
    except OSError as error:
        raise Unavailable("The speech engine of this server does not start. Tell its operator.") from error
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
def _initialized() -> int:
    """Prepares the library for speaking, once; only under the lock. The samples a second it will make."""
    path = os.fsencode(_short_path(espeakng_loader.get_data_path()))
    sample_rate: int = _library().espeak_Initialize(
        AUDIO_OUTPUT_SYNCHRONOUS, BUFFER_MILLISECONDS, path, INITIALIZE_DONT_EXIT
    )
    if sample_rate <= 0:
        raise Unavailable("The speech engine of this server has no dictionaries. Tell its operator.")
    _library().espeak_SetSynthCallback(_callback)
    return sample_rate


def _short_path(path: str) -> str:
    """Another, short name for a directory whose path is too long for espeak-ng."""
    if len(os.fsencode(path)) <= LONGEST_DATA_PATH:
        return path
    if sys.platform == "linux":
        # Leaves nothing behind, and holds in every child process. Open as long as this process lives.
        return f"/proc/self/fd/{os.open(path, os.O_RDONLY | os.O_DIRECTORY)}"
    link = os.path.join(tempfile.mkdtemp(prefix="iris-"), "espeak-ng-data")
    os.symlink(path, link)
    return link
