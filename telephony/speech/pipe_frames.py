"""What goes through the pipes between iris and its speech process: frames of a JSON header and a body of bytes."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

SIZES = struct.Struct(">IQ")  # bytes of the header, and of the body

Frame = tuple[dict[str, Any], bytes]


def packed(header: dict[str, Any], body: bytes = b"") -> bytes:
    # Escaped to ASCII, so that half a character, which people do send, arrives as it was sent.
    described = json.dumps(header, default=str).encode("ascii")
    return SIZES.pack(len(described), len(body)) + described + body


def sizes_in(beginning: bytes) -> tuple[int, int]:
    header, body = SIZES.unpack(beginning)
    return header, body


def read(source: BinaryIO) -> Frame | None:
    """The next frame of a file that blocks; None when it ends, even in the middle of a frame."""
    beginning = source.read(SIZES.size)
    if len(beginning) < SIZES.size:
        return None
    header, body = sizes_in(beginning)
    content = source.read(header + body)
    if len(content) < header + body:
        return None
    return json.loads(content[:header]), content[header:]
