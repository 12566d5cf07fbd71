"""Receive only the packets that a call needs, because receiving costs the stack as much as sending.

The stack plays the received audio with a thread for each call, although nobody listens. And most calls need only key
presses, not audio: iris records spoken survey responses and nothing else.
"""

from __future__ import annotations

import ctypes
import logging
import socket
import struct
import sys
from typing import Any

log = logging.getLogger(__name__)

PLAYER = "iris"
_PLAYER_NAME = PLAYER.encode()  # the library keeps a pointer to it
_PCMU, _PCMA, _COMFORT_NOISE = 0, 8, 13  # payload types (RFC 3551)
_SO_ATTACH_FILTER = 26
_UDP_HEADER = 8  # bytes; the kernel gives the filter of a UDP socket the packet with this header

_LOAD_BYTE, _AND, _JUMP_IF_EQUAL, _RETURN = 0x30, 0x54, 0x15, 0x06  # instructions of a classic BPF program
# Drops RTP packets (version 2) with audio. Everything else passes: key presses, RTCP, STUN.
_DROP_AUDIO = (
    (_LOAD_BYTE, 0, 0, _UDP_HEADER),
    (_AND, 0, 0, 0xC0),
    (_JUMP_IF_EQUAL, 0, 5, 0x80),  # another version: pass
    (_LOAD_BYTE, 0, 0, _UDP_HEADER + 1),
    (_AND, 0, 0, 0x7F),
    (_JUMP_IF_EQUAL, 3, 0, _PCMU),
    (_JUMP_IF_EQUAL, 2, 0, _PCMA),
    (_JUMP_IF_EQUAL, 1, 0, _COMFORT_NOISE),
    (_RETURN, 0, 0, 0xFFFF),  # pass
    (_RETURN, 0, 0, 0),  # drop
)

_Allocate = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
)


class Reception:
    """Reduces what the stack receives. All methods run in the stack's thread."""

    def __init__(self, libre: ctypes.CDLL) -> None:
        self._libre = libre
        # The library keeps pointers to both for as long as the stack runs.
        self._player = ctypes.c_void_p()
        self._allocate_pointer = _Allocate(self._allocate)

    def declare(self) -> None:
        """Declare the types of the functions that are used. Raises AttributeError if one is missing."""
        pointer, number = ctypes.c_void_p, ctypes.c_int
        arguments: dict[str, tuple[Any, list[Any]]] = {
            "baresip_auplayl": (pointer, []),
            "auplay_register": (number, [pointer, pointer, ctypes.c_char_p, _Allocate]),
            "mem_zalloc": (pointer, [ctypes.c_size_t, pointer]),
            "stream_rtp_sock": (pointer, [pointer]),
            "rtp_sock": (pointer, [pointer]),
            "udp_sock_fd": (number, [pointer, number]),
        }
        for name, (result, types) in arguments.items():
            function = getattr(self._libre, name)
            function.restype, function.argtypes = result, types

    def register_player(self) -> int:
        """Offer the stack the player PLAYER, which has no thread. Return an error number, 0 for none.

        Received audio stays in the stack's buffer, which drops the oldest audio when it is full. `CallAudio.read` must read
        the audio before it is dropped.
        """
        return int(
            self._libre.auplay_register(
                ctypes.byref(self._player),
                self._libre.baresip_auplayl(),
                _PLAYER_NAME,
                self._allocate_pointer,
            )
        )

    def _allocate(self, result: Any, *_: object) -> int:
        """Create a player that does nothing. The stack frees it."""
        result[0] = self._libre.mem_zalloc(ctypes.sizeof(ctypes.c_void_p), None)
        return 0

    def ignore_audio(self, stream: int) -> None:
        """Let the kernel drop the audio that a stream receives. Key presses still arrive."""
        rtp = self._libre.stream_rtp_sock(stream)
        descriptor = self._libre.udp_sock_fd(self._libre.rtp_sock(rtp), socket.AF_INET) if rtp else -1
        if descriptor >= 0:
            drop_audio(descriptor)


def drop_audio(descriptor: int) -> None:
    """Let the kernel drop audio packets of a UDP socket before they wake this process. Does nothing outside Linux."""
    if sys.platform != "linux":
        return
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_AUDIO)
    code = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("HP", len(_DROP_AUDIO), ctypes.addressof(code))
    with socket.socket(fileno=descriptor) as borrowed:
        try:
            borrowed.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_program)
        except OSError as e:
            log.warning("The kernel cannot drop received audio, which only costs time: %s", e)
        finally:
            borrowed.detach()
