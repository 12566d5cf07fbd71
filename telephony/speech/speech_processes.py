"""Asking speech processes (`telephony.speech_worker`) for words and for sound, and what their ends mean.

A text may take settings.IRIS_SPEECH_TIMEOUT_SECONDS of processor time without a sign of life, which the process watches
itself, and many times as many seconds by the clock, which this side does: a busy machine must not end honest work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings

from iris.errors import InvalidInput, Unavailable
from telephony.speech import speech_pool
from telephony.speech.engine import Pcm, Unspeakable
from telephony.speech.fragments import Group
from telephony.speech.pipe_frames import Frame
from telephony.speech.speech_pool import Died, SpeechBusy, SpeechFailed
from telephony.speech.synthesis import Manner

__all__ = [
    "OutOfTime",
    "SpeechBusy",
    "SpeechFailed",
    "TookTooLong",
    "close",
    "cpu_seconds",
    "groups_of",
    "pids",
    "sounds",
    "written",
]

CLOCK = 12  # seconds by the clock for each second of processor time that a text may take
SHARE = 2  # what one request with many texts may take, in times of what a single one may
NAMED = 60  # characters of a text by which an error names it
# What engines and rules read of the settings.
SETTINGS = ("IRIS_HOME", "IRIS_LOUDNESS", "IRIS_MAX_AUDIO_SECONDS")


class TookTooLong(InvalidInput):
    """A text was given up: it made a rule or an engine work without end, or for much longer than any honest text."""

    default_code = "speech_too_slow"


class OutOfTime(Unavailable):
    """Many texts took so long that the rest has to wait for another turn. The `made` recordings until then are kept."""

    default_code = "speech_busy"
    made = 0


def written(texts: Sequence[tuple[str, float, float, bool]], *, language: str) -> Iterator[str | Unspeakable]:
    """Each text in the words that an engine is given: (text, pause before, pause after, whether it is a part)."""
    request = {"do": "write", "language": language, "items": texts}
    for header, _ in _asked(request, names=[text for text, *_ in texts]):
        yield _unspeakable(header) or header["written"]


def groups_of(parts: Sequence[str | None], *, language: str) -> tuple[Group, ...]:
    """As `fragments.groups_of`."""
    request = {"do": "cut", "language": language, "items": [parts]}
    ((header, _),) = _asked(request, names=["".join(part or "…" for part in parts)])
    return tuple(Group(frame, tuple(gaps), before, after) for frame, gaps, before, after in header["groups"])


def sounds(
    manner: Manner, texts: Sequence[tuple[str, float, float]], *, names: Sequence[str]
) -> Iterator[Pcm | Unspeakable]:
    """Each text as sound: (words, pause before, pause after). `names`: what people wrote, to say which one failed."""
    described = {name: getattr(manner, name) for name in Manner.__slots__}
    request = {"do": "speak", "manner": described, "items": texts}
    for header, body in _asked(request, names=names):
        yield _unspeakable(header) or Pcm(body, header["rate"])


def _unspeakable(header: Mapping[str, Any]) -> Unspeakable | None:
    if header["is"] != "unspeakable":
        return None
    return Unspeakable(header["message"], code=header["code"])


def _asked(request: dict[str, Any], *, names: Sequence[str]) -> Iterator[Frame]:
    """The answer to each item of a request. Raises TookTooLong, SpeechFailed, SpeechBusy and OutOfTime."""
    if not request["items"]:
        return
    seconds = settings.IRIS_SPEECH_TIMEOUT_SECONDS
    request |= {
        "seconds": seconds,
        "budget": SHARE * seconds,
        "memory": settings.IRIS_SPEECH_MEMORY_MB * 2**20,
        "settings": {name: _plain(getattr(settings, name)) for name in SETTINGS},
    }
    with speech_pool.pool.lease() as process:
        done = 0
        try:
            for header, body in process.ask(request, clock=CLOCK * seconds):
                if header["is"] == "end":
                    speech_pool.pool.cpu_seconds += header["cpu"]
                    _raise_if_early(header, names[min(done, len(names) - 1)])
                    return
                yield header, body
                done += 1
        except Died as died:
            raise _error_of(died, names[min(done, len(names) - 1)]) from None


def _raise_if_early(end: Mapping[str, Any], name: str) -> None:
    if end.get("late"):
        raise OutOfTime("This speech takes longer than this server may spend on it at once. Try again later.")
    if "error" in end:
        if end["error"]:
            raise Unavailable(end["error"], code=end["code"])
        raise SpeechFailed(
            f"The speech engine of this server failed with “{_beginning(name)}”. Try again later, or write it"
            " differently."
        )


def _error_of(died: Died, name: str) -> TookTooLong | SpeechFailed:
    if died.timed_out:
        return TookTooLong(
            f"The speech of “{_beginning(name)}” takes longer than this server allows"
            f" ({settings.IRIS_SPEECH_TIMEOUT_SECONDS:g} seconds). Write it differently, without long rows of signs or"
            " figures."
        )
    return SpeechFailed(
        f"The speech engine of this server stopped while it worked on “{_beginning(name)}”. Try again later, or write it"
        " differently."
    )


def _beginning(text: str) -> str:
    """The beginning of a text in one line, for a sentence that is shown and stored."""
    line = " ".join(text.encode(errors="replace").decode().replace("\0", " ").split())
    return line if len(line) <= NAMED else f"{line[:NAMED].rstrip()}…"


def _plain(value: object) -> object:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def close() -> None:
    """End the idle speech processes of this process; new ones are started when they are needed."""
    speech_pool.pool.close()


def pids() -> list[int]:
    """The speech processes of this process."""
    return speech_pool.pool.pids()


def cpu_seconds() -> float:
    """What all speech of this process has cost its speech processes so far."""
    return speech_pool.pool.cpu_seconds
