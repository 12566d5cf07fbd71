"""Buffer one request while it arrives. This module only finds its end; gunicorn's parser parses the complete request."""

import re
import tempfile
from typing import IO

MEMORY_BYTES = 64 * 1024  # of one request; a longer request is buffered in a temporary file
HEAD_BYTES = 64 * 1024
LINE_BYTES = 8192  # maximum length of a chunk's size line, and of the trailers
SLACK_BYTES = 256 * 1024  # received beyond the limit, so that the application sees that the body is too large

_END_OF_HEAD = b"\r\n\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_CODING = re.compile(rb"\r\ntransfer-encoding[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect[ \t]*:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)


class Incoming:
    """The bytes of one request.

    `complete` means that a thread can process it. `overrun` means that the request is passed on before its end, because its
    body exceeds the limit or its length cannot be determined. Then the application or gunicorn's parser refuses it, and the
    connection is closed.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.complete = False
        self.overrun = False
        self.head = bytearray()
        self.has_head = False
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 – used after this block
        self._missing = 0  # remaining bytes of the body, or of the current chunk
        self._chunks: _Chunks | None = None

    def feed(self, data: bytes) -> bytes:
        """Buffer the bytes that belong to this request. Return the remaining bytes, which belong to the next request.

        Raises OSError if the disk of temporary files is full.
        """
        if self.complete:
            return data
        if not self.has_head:
            data = self._feed_head(data)
        if data and not self.complete:
            data = self._feed_body(data)
        return data

    def expects_continue(self) -> bool:
        """Return whether the client waits for "100 Continue" and should get it."""
        return not self.complete and _EXPECT.search(self.head) is not None

    def read(self, size: int) -> bytes:
        """Return the next bytes for the parser, b"" at the end."""
        return self._file.read(size)

    def rewind(self) -> None:
        self._file.seek(0)

    def close(self) -> None:
        self._file.close()

    def _feed_head(self, data: bytes) -> bytes:
        searched = max(0, len(self.head) - len(_END_OF_HEAD))
        self.head += data
        end = self.head.find(_END_OF_HEAD, searched)
        if end < 0:
            # gunicorn's parser will refuse this head. Pass it on, so that the client gets the parser's error response.
            if len(self.head) > HEAD_BYTES or _BARE_LF.search(self.head, searched):
                self._store(bytes(self.head))
                self.complete = self.overrun = True
            return b""
        end += len(_END_OF_HEAD)
        rest = bytes(self.head[end:])
        del self.head[end:]
        self.has_head = True
        self._store(bytes(self.head))
        self._measure()
        return rest

    def _measure(self) -> None:
        lengths, codings = _LENGTH.findall(self.head), _CODING.findall(self.head)
        if not lengths and not codings:
            self.complete = True
        elif len(lengths) == 1 and not codings and lengths[0].isdigit() and len(lengths[0]) <= 18:
            self._missing = int(lengths[0])
            self.complete = self._missing == 0
            if self._missing > self.limit:
                self.complete = self.overrun = True
        elif len(codings) == 1 and not lengths and codings[0].lower() == b"chunked":
            self._chunks = _Chunks()
        else:
            self.complete = self.overrun = True  # gunicorn's parser will report the error

    def _feed_body(self, data: bytes) -> bytes:
        if self._chunks is None:
            part, rest = data[: self._missing], data[self._missing :]
            self._store(part)
            self._missing -= len(part)
            self.complete = self._missing == 0
            return rest
        taken = self._chunks.measure(data)
        self._store(data[:taken])
        if self._chunks.broken or self._chunks.payload > self.limit + SLACK_BYTES:
            self.complete = self.overrun = True
        self.complete = self.complete or self._chunks.ended
        return data[taken:]

    def _store(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)


class _Chunks:
    """Find the end of a chunked body (RFC 9112, 7.1)."""

    def __init__(self) -> None:
        self.payload = 0
        self.ended = False
        self.broken = False
        self._left = 0  # remaining bytes of the current chunk
        self._ends = False  # the line end of the chunk comes next
        self._line = bytearray()
        self._trailers: int | None = None  # length of the trailers so far; None before the last chunk

    def measure(self, data: bytes) -> int:
        """Return how many of these bytes belong to the body: all, unless the body ends within them."""
        at = 0
        while at < len(data) and not (self.ended or self.broken):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                self.payload += step
                at += step
                self._ends = not self._left
                continue
            end = data.find(b"\n", at)
            step = (len(data) if end < 0 else end + 1) - at
            self._line += data[at : at + step]
            at += step
            limit = 2 if self._ends else LINE_BYTES
            if len(self._line) + (self._trailers or 0) > limit:
                self.broken = True
            elif end >= 0:
                self._take(bytes(self._line))
                self._line.clear()
        return at

    def _take(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            self.broken = True
        elif self._ends:
            self._ends = False
        elif self._trailers is not None:
            self._trailers += len(line)
            self.ended = line == b"\r\n"
        else:
            size = line.split(b";", 1)[0].strip()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,15}", size):
                self.broken = True
            elif int(size, 16) == 0:
                self._trailers = 0
            else:
                self._left = int(size, 16)
