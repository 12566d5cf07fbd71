"""Give the stack the audio of all calls in one thread, some time before it is sent.

Of the two threads that the stack has for each call, one sends a packet every 20 ms, out of a small buffer. The other thread
would fill this buffer with one packet every 20 ms, so that the buffer is nearly always empty. Whenever that thread is a
little late, nothing is sent for 20 ms, and the rest of the call is delayed by 20 ms. So iris uses an audio source of its own
instead. This source fills the buffers of all calls in one thread, in larger steps, and some time ahead.
"""

from __future__ import annotations

import ctypes
import errno
import heapq
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

log = logging.getLogger(__name__)

SOURCE = "iris"
_SOURCE_NAME = SOURCE.encode()  # the library keeps a pointer to it
CAPACITY_SECONDS = 2
PACKET_SECONDS = 0.02
STEP_SECONDS = 0.1  # how much is added to a buffer at a time
# The least that is in the buffer before the next step, so that this thread may be that late. The buffer has room for 30
# packets.
AHEAD_SECONDS = 0.3
# The stack's first read empties the buffer down to one packet, so more is added only after it. It comes 4 to 13 ms after
# the first write, and the second read a packet later.
CHECK_SECONDS = 0.015
# The stack also reads while it cannot send. Then no packet shows that the first read has happened.
MAX_CHECK_SECONDS = 0.2
EARLY_SECONDS = 0.01  # steps that are due within this time are done together with the steps that are due now

_Allocate = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
)
# Keeps the interpreter's lock, because writing takes less time than waiting for that lock again.
_Write = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_S16LE = 0  # baresip's `enum aufmt`


class _Parameters(ctypes.Structure):
    """baresip's `struct ausrc_prm`."""

    _fields_ = [
        ("samples_per_second", ctypes.c_uint32),
        ("channels", ctypes.c_uint8),
        ("milliseconds", ctypes.c_uint32),
        ("format", ctypes.c_int),
        ("duration", ctypes.c_size_t),
    ]


class _Frame(ctypes.Structure):
    """libre's `struct auframe`."""

    _fields_ = [
        ("format", ctypes.c_int),
        ("samples_per_second", ctypes.c_uint32),
        ("samples", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
        ("microseconds", ctypes.c_uint64),
        ("level", ctypes.c_double),
        ("id", ctypes.c_uint16),
        ("channels", ctypes.c_uint8),
        ("padding", ctypes.c_uint8 * 5),
    ]


class NotSending(Exception):
    """The call sends no audio, yet or at present: it has just been answered, or is on hold."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """The state of a call's buffer. After a renegotiation the call has another buffer, with another number."""

    number: int
    samples_per_second: int
    channels: int
    capacity: int  # bytes
    filled: int  # bytes that were not taken out yet
    seconds_ahead: float  # of audio that was taken out before, but not sent yet, and until more is taken out
    short_steps: int  # how often the buffer ran empty in the middle of a step


class _Source:
    """The source of a call from the beginning of its audio to its end, or to a renegotiation."""

    _numbers = count(1)

    def __init__(self, parameters: _Parameters, write: int, argument: int, libre: ctypes.CDLL) -> None:
        self.number = next(self._numbers)
        self.samples_per_second, self.channels = parameters.samples_per_second, parameters.channels
        self.bytes_per_second = 2 * self.samples_per_second * self.channels
        self.capacity = CAPACITY_SECONDS * self.bytes_per_second
        self.filled = bytearray()
        self.short_steps = 0
        self.due_at = self._began_at = time.monotonic()
        self.lock = threading.Lock()
        self.has_ended = False
        self._write, self._argument = _Write(write), argument
        self._stream, self._packets_of = libre.audio_strm(argument), libre.stream_metric_get_tx_n_packets
        self._packet_seconds = parameters.milliseconds / 1000
        self._packets: int | None = None  # that were sent before the first write
        self.is_ahead = False  # whether audio may be written
        step = round(STEP_SECONDS * self.bytes_per_second)
        self._samples = ctypes.create_string_buffer(step)
        self._frame = _Frame()
        libre.auframe_init(
            ctypes.byref(self._frame), _S16LE, self._samples, 0, self.samples_per_second, self.channels
        )

    def step(self) -> None:
        """Add audio to the stack's buffer, and set when to do so again."""
        now = time.monotonic()
        # Audio that is missing after a long delay was not sent, and the buffer has no room for all of it.
        self.due_at = max(self.due_at, now - AHEAD_SECONDS)
        if self._packets is None:
            self._packets = self._packets_of(self._stream)
            self._add(b"", self._packet_seconds)
        if not self.is_ahead:
            if self._packets_of(self._stream) == self._packets and now < self._began_at + MAX_CHECK_SECONDS:
                self.due_at = now + CHECK_SECONDS
                return
            self.is_ahead = True
            self.due_at = now
            for _ in range(round(AHEAD_SECONDS / STEP_SECONDS)):
                self._add(b"", STEP_SECONDS)
        size = len(self._samples)
        taken = bytes(self.filled[:size])
        del self.filled[:size]
        self.short_steps += 0 < len(taken) < size
        self._add(taken, STEP_SECONDS)
        self.due_at += STEP_SECONDS

    def _add(self, samples: bytes, seconds: float) -> None:
        size = round(seconds * self.bytes_per_second)
        ctypes.memmove(self._samples, samples.ljust(size, b"\0"), size)
        self._frame.count = size // 2
        self._frame.microseconds = time.monotonic_ns() // 1000
        self._write(ctypes.byref(self._frame), self._argument)


class CallTransmission:
    """The audio that one call sends, whichever source the call has at present. Any thread may use this object."""

    def __init__(self) -> None:
        self.source: _Source | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the call could ever send audio."""
        return self.source is not None

    def buffer(self) -> Buffer:
        """Return the state of the call's buffer. Raises NotSending."""
        source = self._live_source()
        return Buffer(
            number=source.number,
            samples_per_second=source.samples_per_second,
            channels=source.channels,
            capacity=source.capacity,
            filled=len(source.filled),
            seconds_ahead=AHEAD_SECONDS + max(0.0, source.due_at - time.monotonic()),
            short_steps=source.short_steps,
        )

    def write(self, number: int, pcm: bytes | memoryview) -> int:
        """Add 16-bit samples to the buffer of this number. Return how many bytes were added. Raises NotSending."""
        source = self._live_source()
        with source.lock:
            if source.has_ended or source.number != number:
                raise NotSending
            added = pcm[: max(0, source.capacity - len(source.filled))]
            source.filled += added
            return len(added)

    def _live_source(self) -> _Source:
        source = self.source
        if source is None or source.has_ended or not source.is_ahead:
            raise NotSending
        return source


@dataclass(order=True, slots=True)
class _Due:
    at: float
    source: _Source = field(compare=False)


class _Filler:
    """Fills the buffers of all calls in a thread of its own, which ends with the process."""

    def __init__(self) -> None:
        self._due: list[_Due] = []  # a heap
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, source: _Source) -> None:
        with self._changed:
            heapq.heappush(self._due, _Due(source.due_at, source))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sip-audio", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            for source in self._wait():
                self._fill(source)

    def _wait(self) -> list[_Source]:
        """Wait until steps are due, and return their sources."""
        with self._changed:
            while not self._due or self._due[0].at > time.monotonic():
                self._changed.wait(self._due[0].at - time.monotonic() if self._due else None)
            until = time.monotonic() + EARLY_SECONDS
            sources = []
            while self._due and self._due[0].at <= until:
                sources.append(heapq.heappop(self._due).source)
            return sources

    def _fill(self, source: _Source) -> None:
        with source.lock:
            if source.has_ended:
                return
            try:
                source.step()
            except Exception:
                log.exception("The audio of a call could not be sent")
                return
        with self._changed:
            heapq.heappush(self._due, _Due(source.due_at, source))


_filler = _Filler()


class Transmission:
    """Creates the sources of calls. Methods with an underscore run in the stack's thread."""

    def __init__(self, libre: ctypes.CDLL) -> None:
        self._libre = libre
        self._calls: dict[str, CallTransmission] = {}
        self._sources: dict[int, _Source] = {}  # by address
        # The library keeps pointers to these for as long as the stack runs.
        self._registration = ctypes.c_void_p()
        self._allocate_pointer = _Allocate(self._allocate)
        self._destroy_pointer = _Handler(self._destroy)

    def of(self, call_id: str) -> CallTransmission:
        return self._calls.setdefault(call_id, CallTransmission())

    def end(self, call_id: str) -> None:
        self._calls.pop(call_id, None)

    def declare(self) -> None:
        """Declare the types of the functions that are used. Raises AttributeError if one is missing."""
        pointer, number = ctypes.c_void_p, ctypes.c_int
        arguments: dict[str, tuple[Any, list[Any]]] = {
            "baresip_ausrcl": (pointer, []),
            "ausrc_register": (number, [pointer, pointer, ctypes.c_char_p, _Allocate]),
            "auframe_init": (
                None,
                [pointer, number, pointer, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint8],
            ),
            "mem_zalloc": (pointer, [ctypes.c_size_t, pointer]),
            "audio_strm": (pointer, [pointer]),
            "stream_metric_get_tx_n_packets": (ctypes.c_uint32, [pointer]),
            "uag_list": (pointer, []),
            "ua_calls": (pointer, [pointer]),
            "list_head": (pointer, [pointer]),
            "call_audio": (pointer, [pointer]),
            "call_id": (ctypes.c_char_p, [pointer]),
        }
        for name, (result, types) in arguments.items():
            function = getattr(self._libre, name)
            function.restype, function.argtypes = result, types

    def register_source(self) -> int:
        """Offer the stack the source SOURCE. Return an error number, 0 for none."""
        return int(
            self._libre.ausrc_register(
                ctypes.byref(self._registration),
                self._libre.baresip_ausrcl(),
                _SOURCE_NAME,
                self._allocate_pointer,
            )
        )

    def _allocate(
        self, result: Any, _: int, parameters: int, device: bytes, write: int, fail: int, argument: int
    ) -> int:
        """Create the source of a call. The stack destroys it when the call ends, is held, or is renegotiated."""
        try:
            given = _Parameters.from_address(parameters)
            if given.format != _S16LE:
                return errno.ENOTSUP
            address = self._libre.mem_zalloc(
                ctypes.sizeof(ctypes.c_void_p), ctypes.cast(self._destroy_pointer, ctypes.c_void_p)
            )
            if not address:
                return errno.ENOMEM
            source = self._sources[address] = _Source(given, write, argument, self._libre)
            if call_id := self._call_id_of(argument):
                self.of(call_id).source = source
            _filler.add(source)
            result[0] = address
            return 0
        except Exception:
            log.exception("A call cannot send audio")
            return errno.EINVAL

    def _call_id_of(self, audio: int) -> str:
        """Return the Call-ID of the call that has this audio (baresip's `struct audio`), or ""."""
        for agent in self._elements(self._libre.uag_list()):
            for call in self._elements(self._libre.ua_calls(agent)):
                if self._libre.call_audio(call) == audio:
                    return (self._libre.call_id(call) or b"").decode("utf-8", "replace")
        return ""

    def _elements(self, elements: int) -> Iterator[int]:
        """Yield the data of each element of a list (libre's `struct le`: previous, next, list, data)."""
        place = self._libre.list_head(elements)
        while place:
            _, place, _, data = (ctypes.c_size_t * 4).from_address(place)
            yield data

    def _destroy(self, address: int) -> None:
        """End a source. The stack frees the call's buffer afterwards, so nothing may be added from now on."""
        source = self._sources.pop(address, None)
        if source is not None:
            with source.lock:
                source.has_ended = True
