"""Speech processes (`telephony.speech_worker`) as the rest of iris sees them: a few for each process of ours, started
when they are first needed, asked by one thread at a time, and replaced when they die.

A text may take settings.IRIS_SPEECH_TIMEOUT_SECONDS of processor time without a sign of life, which the process watches
itself, and many times as many seconds by the clock, which this side does: a busy machine must not end honest work.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings

from iris.errors import InvalidInput, Unavailable
from telephony.voices import frames
from telephony.voices.engine import Pcm, Unspeakable
from telephony.voices.fragments import Group
from telephony.voices.frames import Frame
from telephony.voices.synthesis import Manner

CLOCK = 12  # seconds by the clock for each second of processor time that a text may take
START = 120  # seconds by the clock until a process has begun to work, which loads a good deal of files
SHARE = 2  # what one request with many texts may take, in times of what a single one may
NAMED = 60  # characters of a text by which an error names it
READ_BYTES = 1 << 18
# What engines and rules read of the settings.
SETTINGS = ("IRIS_HOME", "IRIS_LOUDNESS", "IRIS_MAX_AUDIO_SECONDS")


class TookTooLong(InvalidInput):
    """A text was given up: it made a rule or an engine work without end, or for much longer than any honest text."""

    default_code = "speech_too_slow"


class SpeechFailed(Unavailable):
    """The speech process died, or its engine failed, with one text or another."""

    default_code = "speech_failed"


class SpeechBusy(Unavailable):
    """All speech processes are taken by other threads of this process."""

    default_code = "speech_busy"


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
    with _pool.lease() as process:
        done = 0
        try:
            for header, body in process.ask(request, clock=CLOCK * seconds):
                if header["is"] == "end":
                    _pool.cpu_seconds += header["cpu"]
                    _raise_if_early(header, names[min(done, len(names) - 1)])
                    return
                yield header, body
                done += 1
        except _Died as died:
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


def _error_of(died: _Died, name: str) -> TookTooLong | SpeechFailed:
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


class _Died(Exception):
    """The speech process is gone: by its limit, by ours, or by itself."""

    def __init__(self, returncode: int, *, by_clock: bool) -> None:
        super().__init__(f"returned {returncode}")
        self.timed_out = by_clock or returncode == -signal.SIGPROF


class _Process:
    """One speech process. Not for two threads at once."""

    def __init__(self) -> None:
        self._module = settings.SPEECH_WORKER
        self._process = _pool.start(self._module)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._requests, False)
        self._received = bytearray()
        self.is_idle = True
        self._has_started = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_usable(self) -> bool:
        return self._process.poll() is None and self._module == settings.SPEECH_WORKER

    def ask(self, request: dict[str, Any], *, clock: float) -> Iterator[Frame]:
        """All frames of the answer but signs of life, `clock` seconds apart at most. Raises _Died."""
        self.is_idle = False  # until all of the answer was read
        self._send(frames.packed(request), seconds=clock if self._has_started else START)
        while True:
            header, body = self._receive(seconds=clock if self._has_started else START)
            self._has_started = True
            if header["is"] == "alive":
                continue
            if header["is"] == "end":
                self.is_idle = True
            yield header, body
            if header["is"] == "end":
                return

    def _send(self, frame: bytes, *, seconds: float) -> None:
        left = memoryview(frame)
        while left:
            self._wait_for(self._requests, select.POLLOUT, seconds)
            try:
                left = left[os.write(self._requests, left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._dead() from None

    def _receive(self, *, seconds: float) -> Frame:
        beginning = self._bytes(frames.SIZES.size, seconds)
        header, body = frames.sizes_in(beginning)
        described = self._bytes(header, seconds)
        return json.loads(described), self._bytes(body, seconds)

    def _bytes(self, count: int, seconds: float) -> bytes:
        while len(self._received) < count:
            self._wait_for(self._answers, select.POLLIN, seconds)
            chunk = os.read(self._answers, READ_BYTES)
            if not chunk:
                raise self._dead()
            self._received += chunk
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    def _wait_for(self, file: int, event: int, seconds: float) -> None:
        waiting = select.poll()
        waiting.register(file, event)
        if not waiting.poll(seconds * 1000):
            self._process.kill()
            raise self._dead(by_clock=True)

    def _dead(self, *, by_clock: bool = False) -> _Died:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)  # its pipes are closed: it is on its way
        self.end()
        return _Died(self._process.returncode, by_clock=by_clock)

    def end(self) -> None:
        """End it at once, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._close()

    def forget(self) -> None:
        """Leave it to the process that we were forked from."""
        self._process.returncode = 0  # not ours to wait for
        self._close()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()


class _Pool:
    """The speech processes of this process: at most settings.IRIS_SPEECH_PROCESSES."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._idle: list[_Process] = []
        self._busy: set[_Process] = set()
        self._starting = 0
        # Linux ends a process when the *thread* that started it ends, so one that stays starts them all.
        self._starter: ThreadPoolExecutor | None = None
        self.cpu_seconds = 0.0

    @contextmanager
    def lease(self) -> Generator[_Process]:
        process = self._take()
        try:
            yield process
        finally:
            if not process.is_idle:  # it died, or whoever asked did not want to hear the rest
                process.end()
            with self._changed:
                self._busy.discard(process)
                if process.is_idle:
                    self._idle.append(process)
                self._changed.notify()

    def _take(self) -> _Process:
        """A process that waits for texts, or a new one. Raises SpeechBusy when all stay busy for too long."""
        end = time.monotonic() + settings.IRIS_SPEECH_TIMEOUT_SECONDS
        with self._changed:
            while True:
                while self._idle:
                    process = self._idle.pop()
                    if process.is_usable:
                        self._busy.add(process)
                        return process
                    process.end()
                if len(self._busy) + self._starting < settings.IRIS_SPEECH_PROCESSES:
                    self._starting += 1
                    break
                if not self._changed.wait(end - time.monotonic()) and time.monotonic() >= end:
                    raise SpeechBusy(
                        "This server is speaking other messages. Try again in a few seconds.",
                    )
        try:
            process = _Process()
        except OSError as error:
            raise SpeechFailed(
                "The speech process of this server does not start. Tell its operator."
            ) from error
        finally:
            with self._changed:
                self._starting -= 1
                self._changed.notify()
        with self._changed:
            self._busy.add(process)
        return process

    def start(self, module: str) -> subprocess.Popen[bytes]:
        with self._changed:
            if self._starter is None:
                self._starter = ThreadPoolExecutor(1, thread_name_prefix="speech-starter")
            starter = self._starter
        return starter.submit(
            subprocess.Popen,
            [sys.executable, "-m", module, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=settings.BASE_DIR,
            bufsize=0,
        ).result()

    def pids(self) -> list[int]:
        with self._changed:
            return [process.pid for process in [*self._idle, *self._busy]]

    def close(self) -> None:
        """End those that nobody is asking anything."""
        with self._changed:
            while self._idle:
                self._idle.pop().end()

    def forget(self) -> None:
        for process in [*self._idle, *self._busy]:
            process.forget()


_pool = _Pool()


def close() -> None:
    """End the idle speech processes of this process; new ones are started when they are needed."""
    _pool.close()


def pids() -> list[int]:
    """The speech processes of this process."""
    return _pool.pids()


def cpu_seconds() -> float:
    """What all speech of this process has cost its speech processes so far."""
    return _pool.cpu_seconds


def _after_fork() -> None:
    """A forked process has its own speech processes, and never speaks through those of the other."""
    global _pool
    other, _pool = _pool, _Pool()
    other.forget()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(close)
