"""One connection of the worker, and how long it may take for what."""

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
GRACE_SECONDS = (
    30  # for a body, and for taking an answer; then they are as fast as MIN_BYTES_PER_SECOND on average
)
MIN_BYTES_PER_SECOND = 8 * 1024  # bytes a second
LINGER_SECONDS = 2


class State(enum.Enum):
    IDLE = "between two requests"
    RECEIVING = "in the middle of a request"
    WORKING = "a thread has it"
    SENDING = "the client is taking our answer"
    LINGERING = "we have ended it, the client has not"


class Connection:
    """`sock` is where the answer goes, `raw` the socket itself. `rest` are bytes of the request after this one."""

    incoming: Incoming

    def __init__(self, sock: socket.socket, client: Any, server: Any) -> None:
        self.raw = sock
        self.sock = Outlet(sock)
        self.client = client
        self.server = server
        self.state = State.IDLE
        self.since = time.monotonic()
        self.until = math.inf  # of IDLE
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
        """When it is ended, unless it gets on."""
        if self.state is State.IDLE:
            return self.until
        if self.state is State.RECEIVING:
            if not self.incoming.has_head:
                return self.since + HEAD_SECONDS
            return self.since + GRACE_SECONDS + self.incoming.size / MIN_BYTES_PER_SECOND
        if self.state is State.SENDING:
            average = self.since + GRACE_SECONDS + (self.sock.sent - self._sent_before) / MIN_BYTES_PER_SECOND
            # What the kernel took is not yet with the client: one that has stopped reading is seen by the silence.
            return min(average, max(self.since, self.sock.progress_at) + GRACE_SECONDS)
        if self.state is State.LINGERING:
            return self.since + LINGER_SECONDS
        return math.inf

    def close(self) -> None:
        self.sock.close()
        with contextlib.suppress(OSError):
            self.raw.close()
