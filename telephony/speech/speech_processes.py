"""Ask speech processes (`telephony.speech_worker`) to normalize and synthesize texts; translate their failures.

A text may use settings.IRIS_SPEECH_TIMEOUT_SECONDS of processor time between two signs of progress (heartbeats); the
speech process enforces that itself. This side enforces a much longer wall-clock timeout, so that a busy machine does not
abort legitimate work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings

from iris.errors import InvalidInput, Unavailable
from iris.storable import storable
from telephony.speech import speech_pool
from telephony.speech.engine import Pcm, Unspeakable, VoiceConfig
from telephony.speech.pipe_frames import Frame
from telephony.speech.speech_pool import SpeechBusy, SpeechFailed, SpeechProcessDied
from telephony.speech.spoken_parts import SpokenPart

__all__ = [
    "SpeechBudgetExceeded",
    "SpeechBusy",
    "SpeechFailed",
    "SpeechTimedOut",
    "close",
    "cpu_seconds",
    "cut_at_gaps",
    "pids",
    "synthesize_texts",
    "normalize_texts",
]

WALL_SECONDS_PER_CPU_SECOND = 12  # wall-clock seconds allowed per processor second
# After this many times IRIS_SPEECH_TIMEOUT_SECONDS of processor time, a request begins no further text.
BUDGET_TIMEOUTS = 2
MAX_QUOTED_CHARACTERS = 60  # characters of a text that an error message quotes
# The settings that engines and rules read.
FORWARDED_SETTINGS = ("IRIS_HOME", "IRIS_LOUDNESS", "IRIS_MAX_AUDIO_SECONDS")


class SpeechTimedOut(InvalidInput):
    """A text exceeded the timeout: it made a rule or engine run endlessly, or far longer than any legitimate text."""

    default_code = "speech_too_slow"


class SpeechBudgetExceeded(Unavailable):
    """Many texts took so long that the remaining texts must wait for another time slice.

    The first `made_count` recordings are stored.
    """

    default_code = "speech_busy"
    made_count = 0


def normalize_texts(
    texts: Sequence[tuple[str, float, float, bool]], *, language: str
) -> Iterator[str | Unspeakable]:
    """Yield the engine text of each text, or the Unspeakable error for it.

    Each item of `texts` is (text, silence before, silence after, whether it is a part); silence in seconds.
    """
    request = {"do": "normalize", "language": language, "items": texts}
    for header, _ in _ask(request, names=[text for text, *_ in texts]):
        yield _unspeakable_error(header) or header["engine_text"]


def cut_at_gaps(parts: Sequence[str | None], *, language: str) -> tuple[SpokenPart, ...]:
    """Run `fragments.cut_at_gaps` in a speech process."""
    request = {"do": "cut", "language": language, "items": [parts]}
    ((header, _),) = _ask(request, names=["".join(part or "…" for part in parts)])
    return tuple(
        SpokenPart(template, tuple(gaps), before, after) for template, gaps, before, after in header["parts"]
    )


def synthesize_texts(
    config: VoiceConfig, texts: Sequence[tuple[str, float, float]], *, names: Sequence[str]
) -> Iterator[Pcm | Unspeakable]:
    """Yield the sound of each text, or the Unspeakable error for it.

    Each item of `texts` is (engine text, silence before, silence after); silence in seconds. `names` are the texts as
    people wrote them, for error messages.
    """
    described = {name: getattr(config, name) for name in VoiceConfig.__slots__}
    request = {"do": "synthesize", "config": described, "items": texts}
    for header, body in _ask(request, names=names):
        yield _unspeakable_error(header) or Pcm(body, header["rate"])


def _unspeakable_error(header: Mapping[str, Any]) -> Unspeakable | None:
    if header["kind"] != "unspeakable":
        return None
    return Unspeakable(header["message"], code=header["code"])


def _ask(request: dict[str, Any], *, names: Sequence[str]) -> Iterator[Frame]:
    """Yield the result for each item of a request.

    Raises SpeechTimedOut, SpeechFailed, SpeechBusy and SpeechBudgetExceeded.
    """
    if not request["items"]:
        return
    seconds = settings.IRIS_SPEECH_TIMEOUT_SECONDS
    request |= {
        "seconds": seconds,
        "budget": BUDGET_TIMEOUTS * seconds,
        "memory": settings.IRIS_SPEECH_MEMORY_MB * 2**20,
        "settings": {name: _json_value(getattr(settings, name)) for name in FORWARDED_SETTINGS},
    }
    with speech_pool.pool.lease() as process:
        done = 0
        try:
            for header, body in process.ask(request, wall_seconds=WALL_SECONDS_PER_CPU_SECOND * seconds):
                if header["kind"] == "end":
                    speech_pool.pool.cpu_seconds += header["cpu"]
                    _raise_if_incomplete(header, names[min(done, len(names) - 1)])
                    return
                yield header, body
                done += 1
        except SpeechProcessDied as died:
            raise _death_error(died, names[min(done, len(names) - 1)]) from None


def _raise_if_incomplete(end: Mapping[str, Any], name: str) -> None:
    if end.get("over_budget"):
        raise SpeechBudgetExceeded(
            "This speech takes longer than the server may spend on one request. Try again later."
        )
    if "error" in end:
        if end["error"]:
            raise Unavailable(end["error"], code=end["code"])
        raise SpeechFailed(
            f"The speech engine of this server failed on “{_quote(name)}”. Try again later, or rephrase"
            " the text."
        )


def _death_error(died: SpeechProcessDied, name: str) -> SpeechTimedOut | SpeechFailed:
    if died.timed_out:
        return SpeechTimedOut(
            f"The speech of “{_quote(name)}” takes longer than this server allows"
            f" ({settings.IRIS_SPEECH_TIMEOUT_SECONDS:g} seconds). Rephrase the text, without long rows of symbols or"
            " digits."
        )
    return SpeechFailed(
        f"The speech engine of this server crashed on “{_quote(name)}”. Try again later, or rephrase"
        " the text."
    )


def _quote(text: str) -> str:
    """Return the beginning of a text on one line, for an error message that is shown and stored."""
    line = " ".join(storable(text).split())
    return line if len(line) <= MAX_QUOTED_CHARACTERS else f"{line[:MAX_QUOTED_CHARACTERS].rstrip()}…"


def _json_value(value: object) -> object:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def close() -> None:
    """End the idle speech processes of this process; new ones start on demand."""
    speech_pool.pool.close()


def pids() -> list[int]:
    """Return the process ids of this process's speech processes."""
    return speech_pool.pool.pids()


def cpu_seconds() -> float:
    """Return the processor seconds that speech processes have used for this process so far."""
    return speech_pool.pool.cpu_seconds
