"""The speech processes of one iris process: started on demand, leased to one thread at a time, replaced when they die."""

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

STARTUP_TIMEOUT_SECONDS = 120  # wall-clock seconds until a new process responds; it loads many files
READ_BYTES = 1 << 18


class SpeechFailed(Unavailable):
    """The speech process died, or its engine failed, while processing a text."""

    default_code = "speech_failed"


class SpeechBusy(Unavailable):
    """Other threads use all speech processes."""

    default_code = "speech_busy"


class SpeechProcessDied(Exception):
    """The speech process has ended: by its own limit, by our timeout, or by a crash."""

    def __init__(self, returncode: int, *, by_clock: bool) -> None:
        super().__init__(f"returned {returncode}")
        self.timed_out = by_clock or returncode == -signal.SIGPROF


class SpeechProcess:
    """One speech process. Not thread-safe."""

    def __init__(self) -> None:
        self._module = settings.SPEECH_WORKER
        self._process = pool.start(self._module)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._responses = self._process.stdin.fileno(), self._process.stdout.fileno()
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

    def ask(self, request: dict[str, Any], *, wall_seconds: float) -> Iterator[Frame]:
        """Send a request and yield the frames of the response, except heartbeats.

        Raises SpeechProcessDied if no frame arrives for `wall_seconds`.
        """
        self.is_idle = False  # until the whole response has been read
        self._send(
            pipe_frames.pack(request), seconds=wall_seconds if self._has_started else STARTUP_TIMEOUT_SECONDS
        )
        while True:
            header, body = self._receive(
                seconds=wall_seconds if self._has_started else STARTUP_TIMEOUT_SECONDS
            )
            self._has_started = True
            if header["kind"] == "heartbeat":
                continue
            if header["kind"] == "end":
                self.is_idle = True
            yield header, body
            if header["kind"] == "end":
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
                raise self._death() from None

    def _receive(self, *, seconds: float) -> Frame:
        beginning = self._read_exactly(pipe_frames.SIZES.size, seconds)
        header, body = pipe_frames.unpack_sizes(beginning)
        described = self._read_exactly(header, seconds)
        return json.loads(described), self._read_exactly(body, seconds)

    def _read_exactly(self, count: int, seconds: float) -> bytes:
        while len(self._received) < count:
            self._wait_for(self._responses, select.POLLIN, seconds)
            chunk = os.read(self._responses, READ_BYTES)
            if not chunk:
                raise self._death()
            self._received += chunk
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    def _wait_for(self, file: int, event: int, seconds: float) -> None:
        waiting = select.poll()
        waiting.register(file, event)
        if not waiting.poll(seconds * 1000):
            self._process.kill()
            raise self._death(by_clock=True)

    def _death(self, *, by_clock: bool = False) -> SpeechProcessDied:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)  # its pipes are closed, so it is about to exit
        self.kill()
        return SpeechProcessDied(self._process.returncode, by_clock=by_clock)

    def kill(self) -> None:
        """Kill the process at once."""
        self._process.kill()
        self._process.wait()
        self._close()

    def disown(self) -> None:
        """Leave the speech process to the parent process from which this process was forked."""
        self._process.returncode = 0  # the parent reaps it, not this process
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
        self._idle: list[SpeechProcess] = []
        self._busy: set[SpeechProcess] = set()
        self._starting = 0
        # Linux kills a child when the *thread* that started it ends (PR_SET_PDEATHSIG), so one permanent
        # thread starts them all.
        self._starter: ThreadPoolExecutor | None = None
        self.cpu_seconds = 0.0

    @contextmanager
    def lease(self) -> Generator[SpeechProcess]:
        """Yield a process for exclusive use. Put it back afterwards if it is idle; otherwise kill it."""
        process = self._acquire()
        try:
            yield process
        finally:
            if not process.is_idle:  # it died, or the caller did not read the whole response
                process.kill()
            with self._changed:
                self._busy.discard(process)
                if process.is_idle:
                    self._idle.append(process)
                self._changed.notify()

    def _acquire(self) -> SpeechProcess:
        """Return an idle or new process. Raises SpeechBusy if all remain busy until the timeout."""
        deadline = time.monotonic() + settings.IRIS_SPEECH_TIMEOUT_SECONDS
        with self._changed:
            while True:
                while self._idle:
                    process = self._idle.pop()
                    if process.is_usable:
                        self._busy.add(process)
                        return process
                    process.kill()
                if len(self._busy) + self._starting < settings.IRIS_SPEECH_PROCESSES:
                    self._starting += 1
                    break
                if not self._changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise SpeechBusy(
                        "This server is busy speaking other messages. Try again in a few seconds.",
                    )
        try:
            process = SpeechProcess()
        except OSError as error:
            raise SpeechFailed(
                "The speech process of this server does not start. Contact the operator."
            ) from error
        finally:
            with self._changed:
                self._starting -= 1
                self._changed.notify()
        with self._changed:
            self._busy.add(process)
        return process

    def start(self, module: str) -> subprocess.Popen[bytes]:
        """Start a speech process from the permanent thread."""
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
        """End the idle processes."""
        with self._changed:
            while self._idle:
                self._idle.pop().kill()

    def disown(self) -> None:
        for process in [*self._idle, *self._busy]:
            process.disown()


pool = Pool()


def _after_fork() -> None:
    """Give a forked process its own pool, so that it never shares the parent's speech processes."""
    global pool
    parents_pool, pool = pool, Pool()
    parents_pool.disown()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(lambda: pool.close())
