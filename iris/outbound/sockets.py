"""Sockets whose every operation ends at a deadline."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

from iris.outbound.addresses import OutboundError

CPU_SECONDS = (
    1.0  # of processor time for one request: a body in chunks of one byte costs far more than it weighs
)


class NoAnswer(OutboundError):
    """The host cannot be found, refuses the connection, breaks off, or is too slow."""

    default_code = "no_answer"


class AnswerTooLarge(OutboundError):
    """The body is longer than the caller allows."""

    default_code = "answer_too_large"


class Deadline:
    """A moment until which one or several requests must be done."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self, host: str = "the host") -> float:
        """The seconds that are left, more than 0. Raises NoAnswer when there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise too_slow(host)
        return left


class Limits:
    """What one request may still take: time, processor time, and bytes."""

    def __init__(self, deadline: Deadline, host: str, size: int) -> None:
        self._deadline, self._host, self._size = deadline, host, size
        self._cpu = time.thread_time() + CPU_SECONDS

    def left(self) -> float:
        if time.thread_time() > self._cpu:
            raise NoAnswer(f"{self._host} sends its answer in a way that costs too much to read")
        return self._deadline.left(self._host)

    def received(self, count: int) -> None:
        self._size -= count
        if self._size < 0:
            raise AnswerTooLarge(f"{self._host} answers with more than is allowed")


class PlainSocket(socket.socket):
    """A socket whose every operation ends at the deadline, however little each brings."""

    limits: Limits

    def sendall(self, *args: Any) -> None:
        self.settimeout(self.limits.left())
        super().sendall(*args)

    def recv_into(self, *args: Any) -> int:
        self.settimeout(self.limits.left())
        count = super().recv_into(*args)
        self.limits.received(count)
        return count


class TLSSocket(ssl.SSLSocket):
    """The same, encrypted."""

    limits: Limits

    def send(self, *args: Any) -> int:
        self.settimeout(self.limits.left())
        return super().send(*args)

    def recv_into(self, *args: Any) -> int:
        self.settimeout(self.limits.left())
        count = super().recv_into(*args)
        self.limits.received(count)
        return count


def too_slow(host: str) -> NoAnswer:
    return NoAnswer(f"{host} is too slow")
