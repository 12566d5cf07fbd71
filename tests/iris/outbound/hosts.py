"""Servers in this process whose responses a test chooses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from iris import outbound
from iris.outbound import Deadline, request

Serve = Callable[[socket.socket], None]


class Host:
    """A test server on 127.0.0.1. It calls `serve` for each connection."""

    def __init__(self, serve: Serve) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.asked: list[bytes] = []
        self._serve = serve
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            asked = b""
            # Posted bodies are JSON objects; all other requests end with their headers.
            while not asked.endswith(b"}" if asked.startswith(b"POST") else b"\r\n\r\n") and (
                more := connection.recv(65536)
            ):
                asked += more
            self.asked.append(asked)
            self._serve(connection)

    def close(self) -> None:
        # shutdown() wakes the thread that waits in accept(); close() would not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()


def answering(*parts: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return serve


def dripping(start: bytes, drop: bytes) -> Serve:
    """Send `start`, and then `drop` repeatedly until the client disconnects."""
    gone = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.sendall(start)
        while not gone.wait(0.05):
            connection.sendall(drop)

    return serve


def get(
    host: Host, path: str = "/", *, seconds: float = 5, max_bytes: int = 1000, **how: Any
) -> outbound.Answer:
    return request(
        "GET",
        f"http://127.0.0.1:{host.port}{path}",
        deadline=Deadline(seconds),
        max_bytes=max_bytes,
        **how,
    )


OK = b"HTTP/1.1 200 OK\r\n"
