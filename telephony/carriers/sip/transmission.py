"""Fill the buffer from which the stack sends audio ahead of time, so that a late thread leaves no gap.

The stack has two threads for each call. One fills a buffer in steps of a packet, the other sends a packet of it every
20 ms. Left alone, the buffer is nearly always empty. Whenever the first thread is a little late, the second sends nothing
for 20 ms, and the rest of the call is that much later. So the source of iris fills the buffer in larger steps, and some
steps ahead. Then the first thread also wakes up less often.
"""

from __future__ import annotations

import ctypes
import errno
import logging
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger(__name__)

SOURCE = "iris"
_SOURCE_NAME = SOURCE.encode()  # the library keeps a pointer to it
_STACK_SOURCE = b"aumem"  # the source of the stack's Python binding
PACKET_MILLISECONDS = 20
STEP_MILLISECONDS = 100  # how much audio the filling thread adds at a time
AHEAD_MILLISECONDS = 60  # the least that is in the buffer before the next step
# The first read empties the buffer down to one packet, so more is added only afterwards. It comes 4 ms after the first
# write, and up to 9 ms later because timers are merged. The second read comes a packet after the first.
FIRST_READ_MILLISECONDS = 14
_TIMER_BYTES = 256  # more than libre's `struct tmr` has

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
_Read = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_Handler = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


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


@dataclass(slots=True)
class _Source:
    """The audio source of one call. `write` adds a frame to the call's buffer."""

    parameters: _Parameters
    write: Any
    fail: int
    argument: int
    is_read: bool = False  # whether the sending thread has begun
    stack_source: ctypes.c_void_p = field(default_factory=ctypes.c_void_p)
    timer: Any = field(default_factory=lambda: ctypes.create_string_buffer(_TIMER_BYTES))


class Transmission:
    """Creates the audio sources of calls. All methods run in the stack's thread."""

    def __init__(self, libre: ctypes.CDLL) -> None:
        self._libre = libre
        self._sources: dict[int, _Source] = {}  # by address
        # The library keeps pointers to these for as long as the stack runs.
        self._registration = ctypes.c_void_p()
        self._allocate_pointer = _Allocate(self._allocate)
        self._destroy_pointer = _Handler(self._destroy)
        self._on_timer_pointer = _Handler(self._on_timer)

    def declare(self) -> None:
        """Declare the types of the functions that are used. Raises AttributeError if one is missing."""
        pointer, number = ctypes.c_void_p, ctypes.c_int
        arguments: dict[str, tuple[Any, list[Any]]] = {
            "baresip_ausrcl": (pointer, []),
            "ausrc_register": (number, [pointer, pointer, ctypes.c_char_p, _Allocate]),
            "ausrc_alloc": (
                number,
                [pointer, pointer, ctypes.c_char_p, pointer, ctypes.c_char_p, pointer, pointer, pointer],
            ),
            "auframe_init": (
                None,
                [pointer, number, pointer, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint8],
            ),
            "tmr_jiffies_usec": (ctypes.c_uint64, []),
            "tmr_init": (None, [pointer]),
            "tmr_start_dbg": (None, [pointer, ctypes.c_uint64, _Handler, pointer, ctypes.c_char_p, number]),
            "tmr_cancel": (None, [pointer]),
            "mem_zalloc": (pointer, [ctypes.c_size_t, pointer]),
            "mem_deref": (pointer, [pointer]),
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
        """Create the source of a call. The stack destroys it when the call ends or its audio is renegotiated."""
        address = self._libre.mem_zalloc(
            ctypes.sizeof(ctypes.c_void_p), ctypes.cast(self._destroy_pointer, ctypes.c_void_p)
        )
        if not address:
            return errno.ENOMEM
        source = _Source(
            parameters=_Parameters.from_buffer_copy(_Parameters.from_address(parameters)),
            write=_Read(write),
            fail=fail,
            argument=argument,
        )
        self._sources[address] = source
        self._libre.tmr_init(source.timer)
        self._wait(address, source, 0)  # the stack is still preparing the call
        result[0] = address
        return 0

    def _wait(self, address: int, source: _Source, milliseconds: int) -> None:
        self._libre.tmr_start_dbg(source.timer, milliseconds, self._on_timer_pointer, address, b"iris", 0)

    def _on_timer(self, address: int) -> None:
        """Add the first packet; then, once it was sent, what is to be ahead, and start the thread that goes on."""
        source = self._sources.get(address)
        if source is None:
            return
        if not source.is_read:
            source.is_read = True
            self._add_silence(source, PACKET_MILLISECONDS)
            self._wait(address, source, FIRST_READ_MILLISECONDS)
            return
        self._add_silence(source, AHEAD_MILLISECONDS)
        source.parameters.milliseconds = STEP_MILLISECONDS
        error = self._libre.ausrc_alloc(
            ctypes.byref(source.stack_source),
            self._libre.baresip_ausrcl(),
            _STACK_SOURCE,
            ctypes.byref(source.parameters),
            None,
            ctypes.cast(source.write, ctypes.c_void_p),
            source.fail,
            source.argument,
        )
        if error:  # the call ends as one without sound
            log.error("The stack cannot send audio: error %d", error)

    def _add_silence(self, source: _Source, milliseconds: int) -> None:
        parameters = source.parameters
        count = parameters.samples_per_second * parameters.channels * milliseconds // 1000
        silence = ctypes.create_string_buffer(2 * count)  # 16-bit samples
        frame = _Frame()
        self._libre.auframe_init(
            ctypes.byref(frame),
            parameters.format,
            silence,
            count,
            parameters.samples_per_second,
            parameters.channels,
        )
        frame.microseconds = self._libre.tmr_jiffies_usec()
        source.write(ctypes.byref(frame), source.argument)

    def _destroy(self, address: int) -> None:
        source = self._sources.pop(address, None)
        if source is not None:
            self._libre.tmr_cancel(source.timer)
            if source.stack_source:
                self._libre.mem_deref(source.stack_source)
