"""The frames exchanged between iris and its speech processes: a JSON header and a binary body."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

SIZES = struct.Struct(">IQ")  # length in bytes of the header and of the body

Frame = tuple[dict[str, Any], bytes]


def pack(header: dict[str, Any], body: bytes = b"") -> bytes:
    # Escaped to ASCII, so that unpaired surrogates, which clients do send, arrive unchanged.
    """Return one frame as bytes."""
    described = json.dumps(header, default=str).encode("ascii")
    return SIZES.pack(len(described), len(body)) + described + body


def unpack_sizes(start: bytes) -> tuple[int, int]:
    """Return the lengths in bytes of the header and the body."""
    header, body = SIZES.unpack(start)
    return header, body


def read(source: BinaryIO) -> Frame | None:
    """Read the next frame from a blocking file. Return None at its end, even in the middle of a frame."""
    start = source.read(SIZES.size)
    if len(start) < SIZES.size:
        return None
    header, body = unpack_sizes(start)
    content = source.read(header + body)
    if len(content) < header + body:
        return None
    return json.loads(content[:header]), content[header:]
