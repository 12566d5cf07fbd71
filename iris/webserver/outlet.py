"""The way out of one connection: what the client does not take at once is kept, so that a slow reader costs no thread."""

import errno
import select
import socket
import tempfile
import time
from typing import IO

MEMORY_BYTES = 256 * 1024
KEPT_BYTES = 256 * 2**20  # of one answer; its thread waits for the client beyond that
BLOCK = 64 * 1024
GRACE_SECONDS = 30
MIN_BYTES_PER_SECOND = 64 * 1024  # bytes a second that a client takes for whom a thread waits


class Outlet:
    """What gunicorn's Response takes for the socket. Used by one thread at a time: first the request's, then the loop's."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._kept: IO[bytes] | None = None
        self._read_at = self._write_at = 0
        self._broken = False
        self.sent = 0
        self.progress_at = 0.0

    @property
    def waiting(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._write_at - self._read_at

    def sendall(self, data: bytes) -> None:
        """Send or keep all of it. Raises OSError where the client is gone, or takes too little for too long."""
        if self._broken:
            raise OSError(errno.EPIPE, "The connection is closed.")
        if not self.waiting:
            data = data[self._send(data) :]
        if data:
            self._keep(data)
        if self.waiting > KEPT_BYTES:
            self._wait()

    def send(self, data: bytes) -> int:
        """gunicorn's "100 Continue", which the worker has sent already where the client waited for it."""
        return len(data)

    def flush(self) -> bool:
        """Send what the client takes now; True when nothing is left. Raises OSError where the client is gone."""
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
        """gunicorn's answer to an error amid a response; `close` follows."""
        raise OSError(errno.ENOTCONN, "The worker closes its connections itself.")

    def close(self) -> None:
        """Give up the response: the connection ends without the rest, so that the client sees that it is cut off."""
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
        """Wait until half of what is kept has left."""
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT)
        began, sent = time.monotonic(), self.sent
        while self.waiting > KEPT_BYTES // 2:
            left = began + GRACE_SECONDS + (self.sent - sent) / MIN_BYTES_PER_SECOND - time.monotonic()
            if left <= 0:
                self._broken = True
                raise OSError(errno.ETIMEDOUT, "The client takes the answer too slowly.")
            if poll.poll(left * 1000):
                self.flush()
