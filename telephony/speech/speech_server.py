"""Serve the requests of `speech_processes`, inside the speech process (`telephony.speech_worker`) and its limits.

Each item of a request gets one frame as soon as it is done. So if a process dies, the parent knows which item caused it.
Heartbeats are sent between the frames. The last frame states the processor time, and the reason if the request ended early.
"""

from __future__ import annotations

import logging
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

import av.filter  # noqa: F401  (loads FFmpeg before the limits of a request apply)
from django.conf import settings

from iris.errors import Unavailable
from telephony.speech import fragments, normalization, pipe_frames, synthesis
from telephony.speech.engine import Unspeakable, VoiceConfig
from telephony.speech.pipe_frames import Frame

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0


def serve(requests: BinaryIO, responses: BinaryIO) -> None:
    """Announce that the process has started, then serve requests until the input ends."""
    responses.write(pipe_frames.pack({"kind": "heartbeat"}))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, even inside a C call
    while (request := pipe_frames.read(requests)) is not None:
        with suppress(BrokenPipeError):  # the parent is gone; the next read ends the loop
            _serve_request(request[0], responses)


class Watchdog:
    """Ends this process if it does not call `heartbeat` for `seconds` of processor time."""

    def __init__(self, seconds: float, responses: BinaryIO) -> None:
        self._seconds = seconds
        self._responses = responses
        self._last_frame_at = time.monotonic()

    def heartbeat(self) -> None:
        """Restart the timer, and tell the parent at most once every HEARTBEAT_SECONDS."""
        signal.setitimer(signal.ITIMER_PROF, self._seconds)
        if time.monotonic() - self._last_frame_at > HEARTBEAT_SECONDS:
            self.send({"kind": "heartbeat"})

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        frame = memoryview(pipe_frames.pack(header, body))
        while frame:
            frame = frame[self._responses.write(frame) :]
        self._last_frame_at = time.monotonic()

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _serve_request(request: dict[str, Any], responses: BinaryIO) -> None:
    """Serve one request within its limits.

    An Unspeakable text does not end the request; any error of an engine does.
    """
    _apply_settings(request)
    watchdog = Watchdog(request["seconds"], responses)
    started = time.process_time()
    end: dict[str, Any] = {"kind": "end"}
    try:
        watchdog.heartbeat()
        for number, (header, body) in enumerate(_results(request, watchdog), start=1):
            watchdog.send(header, body)
            if number < len(request["items"]) and time.process_time() - started > request["budget"]:
                end["over_budget"] = True
                break
            watchdog.heartbeat()
    except Unavailable as error:
        end["error"], end["code"] = error.message, error.code
    except (BrokenPipeError, MemoryError):
        raise  # this process must end, because the state of a library after a MemoryError is unknown
    except Exception:
        log.exception("A speech engine failed")
        end["error"] = ""
    watchdog.stop()
    watchdog.send({**end, "cpu": time.process_time() - started})


def _apply_settings(request: dict[str, Any]) -> None:
    """Apply the settings and the memory limit of a request, so that they always match the parent's."""
    for name, value in request["settings"].items():
        setattr(settings, name, value)
    limit = request["memory"] or resource.RLIM_INFINITY
    with suppress(ValueError, OSError):  # the system does not support this limit, or the hard limit is lower
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _results(request: dict[str, Any], watchdog: Watchdog) -> Iterator[Frame]:
    match request["do"]:
        case "normalize":
            return _normalize(request)
        case "cut":
            return _cut(request)
        case "synthesize":
            return _synthesize(request, watchdog)
        case other:
            raise AssertionError(other)


def _normalize(request: dict[str, Any]) -> Iterator[Frame]:
    """Yield the engine text of each text."""
    for text, before, after, is_part in request["items"]:
        try:
            said = normalization.spoken_form(text, language=request["language"])
        except Unspeakable as error:
            yield _unspeakable_header(error), b""
            continue
        utterance = fragments.Utterance(said, before=before, after=after, is_part=is_part)
        yield {"kind": "result", "engine_text": utterance.engine_text}, b""


def _cut(request: dict[str, Any]) -> Iterator[Frame]:
    """Yield the parts of each message, as the arguments of `spoken_parts.SpokenPart`."""
    for pieces in request["items"]:
        parts = fragments.cut_at_gaps(pieces, language=request["language"])
        yield (
            {
                "kind": "result",
                "parts": [(part.template, part.gaps, part.before, part.after) for part in parts],
            },
            b"",
        )


def _synthesize(request: dict[str, Any], watchdog: Watchdog) -> Iterator[Frame]:
    """Yield the samples of each text."""
    config = VoiceConfig(**request["config"])
    for written, before, after in request["items"]:
        try:
            pcm = synthesis.synthesize(
                config, written, before=before, after=after, heartbeat=watchdog.heartbeat
            )
        except Unspeakable as error:
            yield _unspeakable_header(error), b""
            continue
        yield {"kind": "result", "rate": pcm.rate}, pcm.samples


def _unspeakable_header(error: Unspeakable) -> dict[str, Any]:
    return {"kind": "unspeakable", "message": error.message, "code": error.code}
