"""One connection of the worker, with its states and deadlines."""

from __future__ import annotations

import contextlib
import enum
import math
import socket
import time
from typing import Any

from iris.webserver.incoming import Incoming
from iris.webserver.outlet import Outlet

BLOCK = 64 * 1024
HEAD_SECONDS = 10
# Time to receive a body or to send a response. After it, the average rate must be at least MIN_BYTES_PER_SECOND.
GRACE_SECONDS = 30
MIN_BYTES_PER_SECOND = 8 * 1024
LINGER_SECONDS = 2


class State(enum.Enum):
    IDLE = "between two requests"
    RECEIVING = "a request is arriving"
    WORKING = "a thread is processing the request"
    SENDING = "the response is being sent"
    LINGERING = "closed by us, not yet by the client"


class Connection:
    """A connection.

    `sock` is the Outlet for the response, `raw` the socket. `rest` contains the first bytes of the next request.
    """

    incoming: Incoming

    def __init__(self, sock: socket.socket, client: Any, server: Any) -> None:
        self.raw = sock
        self.sock = Outlet(sock)
        self.client = client
        self.server = server
        self.state = State.IDLE
        self.since = time.monotonic()
        self.until = math.inf  # the deadline of IDLE
        self.rest = b""
        self.requests = 0
        self.reusable = False
        self.watched = 0
        self.stored = 0
        self._sent_before = 0

    def enter(self, state: State, *, seconds: float = math.inf) -> None:
        self.state = state
        self.since = time.monotonic()
        self.until = self.since + seconds
        self._sent_before = self.sock.sent

    def deadline(self) -> float:
        """Return when the connection is closed unless it makes progress."""
        if self.state is State.IDLE:
            return self.until
        if self.state is State.RECEIVING:
            if not self.incoming.has_head:
                return self.since + HEAD_SECONDS
            return self.since + GRACE_SECONDS + self.incoming.size / MIN_BYTES_PER_SECOND
        if self.state is State.SENDING:
            average = self.since + GRACE_SECONDS + (self.sock.sent - self._sent_before) / MIN_BYTES_PER_SECOND
            # Bytes in the kernel's buffer count as sent although the client has not read them. So the time without progress
            # shows whether the client has stopped reading.
            return min(average, max(self.since, self.sock.progress_at) + GRACE_SECONDS)
        if self.state is State.LINGERING:
            return self.since + LINGER_SECONDS
        return math.inf

    def close(self) -> None:
        self.sock.close()
        with contextlib.suppress(OSError):
            self.raw.close()
