"""Buffer the response of one connection, so that a client that reads slowly does not occupy a thread."""

import errno
import select
import socket
import tempfile
import time
from typing import IO

MEMORY_BYTES = 256 * 1024
KEPT_BYTES = (
    256 * 2**20
)  # bytes of one response that are buffered; beyond that, its thread waits for the client
BLOCK = 64 * 1024
GRACE_SECONDS = 30
MIN_BYTES_PER_SECOND = 64 * 1024  # rate at which a client must read while a thread waits for it


class Outlet:
    """Replace the socket for gunicorn's Response.

    One thread at a time uses it: first the request's thread, then the loop's.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._kept: IO[bytes] | None = None
        self._read_at = self._write_at = 0
        self._broken = False
        self.sent = 0
        self.progress_at = 0.0

    @property
    def waiting(self) -> int:
        """Return the number of buffered bytes that are not sent yet."""
        return self._write_at - self._read_at

    def sendall(self, data: bytes) -> None:
        """Send or buffer all bytes. Raises OSError if the client has disconnected or reads too slowly."""
        if self._broken:
            raise OSError(errno.EPIPE, "The connection is closed.")
        if not self.waiting:
            data = data[self._send(data) :]
        if data:
            self._keep(data)
        if self.waiting > KEPT_BYTES:
            self._wait()

    def send(self, data: bytes) -> int:
        """Ignore gunicorn's "100 Continue": the worker has already sent it to a client that waited for it."""
        return len(data)

    def flush(self) -> bool:
        """Send as much as the socket accepts. Return True if the buffer is empty. Raises OSError on disconnect."""
        while self.waiting:
            assert self._kept is not None
            self._kept.seek(self._read_at)
            taken = self._send(self._kept.read(BLOCK))
            if not taken:
                return False
            self._read_at += taken
        self._forget()
        return True

    def shutdown(self, how: int) -> None:
        """Refuse gunicorn's shutdown after an error within a response. gunicorn calls `close` next."""
        raise OSError(errno.ENOTCONN, "The worker closes its connections itself.")

    def close(self) -> None:
        """Abort the response and close the connection, so that the client detects that the response is incomplete."""
        self._broken = True
        self._forget()

    @property
    def broken(self) -> bool:
        return self._broken

    def _send(self, data: bytes) -> int:
        try:
            taken = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        self.sent += taken
        self.progress_at = time.monotonic()
        return taken

    def _keep(self, data: bytes) -> None:
        if self._kept is None:
            self._kept = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 – used after this block
        self._kept.seek(self._write_at)
        self._write_at += self._kept.write(data)

    def _forget(self) -> None:
        if self._kept is not None:
            self._kept.close()
        self._kept = None
        self._read_at = self._write_at = 0

    def _wait(self) -> None:
        """Wait until half of the buffer is sent."""
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT)
        began, sent = time.monotonic(), self.sent
        while self.waiting > KEPT_BYTES // 2:
            left = began + GRACE_SECONDS + (self.sent - sent) / MIN_BYTES_PER_SECOND - time.monotonic()
            if left <= 0:
                self._broken = True
                raise OSError(errno.ETIMEDOUT, "The client reads the response too slowly.")
            if poll.poll(left * 1000):
                self.flush()
