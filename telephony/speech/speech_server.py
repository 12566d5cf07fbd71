"""Answering what `speech_processes` asks, within the speech process (`telephony.speech_worker`) and its limits.

Of a request, one frame answers each item as soon as it is done, so the parent knows which one a process died of. Between
them come signs of life. The last frame says what all of it took, and why it ended early if it did.
"""

from __future__ import annotations

import logging
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from django.conf import settings

from iris.errors import Unavailable
from telephony.speech import fragments, normalization, pipe_frames, synthesis
from telephony.speech.engine import Unspeakable
from telephony.speech.pipe_frames import Frame

log = logging.getLogger(__name__)

SIGN_OF_LIFE_SECONDS = 1.0  # between two of them


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Say that it has begun, and answer one request after the other until there are no more."""
    answers.write(pipe_frames.packed({"is": "alive"}))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, whatever it is in the middle of
    while (request := pipe_frames.read(requests)) is not None:
        with suppress(BrokenPipeError):  # the parent is gone, which the next reading finds
            _serve(request[0], answers)


class Watch:
    """Ends this process when it has not called `alive` for `seconds` of processor time."""

    def __init__(self, seconds: float, answers: BinaryIO) -> None:
        self._seconds = seconds
        self._answers = answers
        self._said_at = time.monotonic()

    def alive(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, self._seconds)
        if time.monotonic() - self._said_at > SIGN_OF_LIFE_SECONDS:
            self.send({"is": "alive"})

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        frame = memoryview(pipe_frames.packed(header, body))
        while frame:
            frame = frame[self._answers.write(frame) :]
        self._said_at = time.monotonic()

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _serve(request: dict[str, Any], answers: BinaryIO) -> None:
    """Answer one request, within its limits. An engine's error ends the request; a text that has no speech does not."""
    _take_settings(request)
    watch = Watch(request["seconds"], answers)
    begun = time.process_time()
    end: dict[str, Any] = {"is": "end"}
    try:
        watch.alive()
        for number, (header, body) in enumerate(_answers(request, watch), start=1):
            watch.send(header, body)
            if number < len(request["items"]) and time.process_time() - begun > request["budget"]:
                end["late"] = True
                break
            watch.alive()
    except Unavailable as error:
        end["error"], end["code"] = error.message, error.code
    except (BrokenPipeError, MemoryError):
        raise  # this process has no future; what is left of a library without memory nobody knows
    except Exception:
        log.exception("An engine failed")
        end["error"] = ""
    watch.stop()
    watch.send({**end, "cpu": time.process_time() - begun})


def _take_settings(request: dict[str, Any]) -> None:
    """What the engines read of the settings comes with each request, so it is never another than the parent's."""
    for name, value in request["settings"].items():
        setattr(settings, name, value)
    limit = request["memory"] or resource.RLIM_INFINITY
    with suppress(ValueError, OSError):  # of a system without that limit, or with a smaller one
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _answers(request: dict[str, Any], watch: Watch) -> Iterator[Frame]:
    match request["do"]:
        case "write":
            return _written(request)
        case "cut":
            return _cut(request)
        case "speak":
            return _spoken(request, watch)
        case other:
            raise AssertionError(other)


def _written(request: dict[str, Any]) -> Iterator[Frame]:
    """Each text in the words that are said."""
    for text, before, after, is_part in request["items"]:
        try:
            said = normalization.spoken_form(text, language=request["language"])
        except Unspeakable as error:
            yield _unspeakable(error), b""
            continue
        utterance = fragments.Utterance(said, before=before, after=after, is_part=is_part)
        yield {"is": "made", "written": utterance.written}, b""


def _cut(request: dict[str, Any]) -> Iterator[Frame]:
    """The groups of a message's parts, as the arguments of `fragments.Group`."""
    for parts in request["items"]:
        groups = fragments.groups_of(parts, language=request["language"])
        yield (
            {"is": "made", "groups": [(one.frame, one.gaps, one.before, one.after) for one in groups]},
            b"",
        )


def _spoken(request: dict[str, Any], watch: Watch) -> Iterator[Frame]:
    """Each text as samples."""
    manner = synthesis.Manner(**request["manner"])
    for written, before, after in request["items"]:
        try:
            pcm = synthesis.spoken(manner, written, before=before, after=after, alive=watch.alive)
        except Unspeakable as error:
            yield _unspeakable(error), b""
            continue
        yield {"is": "made", "rate": pcm.rate}, pcm.samples


def _unspeakable(error: Unspeakable) -> dict[str, Any]:
    return {"is": "unspeakable", "message": error.message, "code": error.code}
