"""The speech processes of one process of iris: a few, started when they are first needed, asked by one thread at a time,
and replaced when they die.
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
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings

from iris.errors import Unavailable
from telephony.speech import pipe_frames
from telephony.speech.pipe_frames import Frame

START = 120  # seconds by the clock until a process has begun to work, which loads a good deal of files
READ_BYTES = 1 << 18


class SpeechFailed(Unavailable):
    """The speech process died, or its engine failed, with one text or another."""

    default_code = "speech_failed"


class SpeechBusy(Unavailable):
    """All speech processes are taken by other threads of this process."""

    default_code = "speech_busy"


class Died(Exception):
    """The speech process is gone: by its limit, by ours, or by itself."""

    def __init__(self, returncode: int, *, by_clock: bool) -> None:
        super().__init__(f"returned {returncode}")
        self.timed_out = by_clock or returncode == -signal.SIGPROF


class Process:
    """One speech process. Not for two threads at once."""

    def __init__(self) -> None:
        self._module = settings.SPEECH_WORKER
        self._process = pool.start(self._module)
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
        """All frames of the answer but signs of life, `clock` seconds apart at most. Raises Died."""
        self.is_idle = False  # until all of the answer was read
        self._send(pipe_frames.packed(request), seconds=clock if self._has_started else START)
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
        beginning = self._bytes(pipe_frames.SIZES.size, seconds)
        header, body = pipe_frames.sizes_in(beginning)
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

    def _dead(self, *, by_clock: bool = False) -> Died:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)  # its pipes are closed: it is on its way
        self.end()
        return Died(self._process.returncode, by_clock=by_clock)

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


class Pool:
    """The speech processes of this process: at most settings.IRIS_SPEECH_PROCESSES."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._idle: list[Process] = []
        self._busy: set[Process] = set()
        self._starting = 0
        # Linux ends a process when the *thread* that started it ends, so one that stays starts them all.
        self._starter: ThreadPoolExecutor | None = None
        self.cpu_seconds = 0.0

    @contextmanager
    def lease(self) -> Generator[Process]:
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

    def _take(self) -> Process:
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
            process = Process()
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


pool = Pool()


def _after_fork() -> None:
    """A forked process has its own speech processes, and never speaks through those of the other."""
    global pool
    other, pool = pool, Pool()
    other.forget()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(lambda: pool.close())
