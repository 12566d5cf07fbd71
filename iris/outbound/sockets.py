"""Sockets with one deadline for all operations together."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

from iris.outbound.addresses import OutboundError

# CPU time for one request. A body in chunks of one byte needs far more CPU time than its size suggests.
CPU_SECONDS = 1.0


class NoAnswer(OutboundError):
    """The host cannot be resolved, refuses or drops the connection, or is too slow."""

    default_code = "no_answer"


class AnswerTooLarge(OutboundError):
    """The body is longer than the caller allows."""

    default_code = "answer_too_large"


class Deadline:
    """The time by which one or several requests must be complete."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self, host: str = "the host") -> float:
        """Return the remaining seconds, always more than 0. Raises NoAnswer after the deadline."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise too_slow(host)
        return left


class Limits:
    """The remaining time, CPU time and bytes of one request."""

    def __init__(self, deadline: Deadline, host: str, size: int) -> None:
        self._deadline, self._host, self._size = deadline, host, size
        self._cpu = time.thread_time() + CPU_SECONDS

    def left(self) -> float:
        """Return the remaining seconds. Raises NoAnswer if none are left, or if the CPU time is used up."""
        if time.thread_time() > self._cpu:
            raise NoAnswer(f"{self._host} sends its response in pieces that take too much processor time")
        return self._deadline.left(self._host)

    def received(self, count: int) -> None:
        """Subtract received bytes. Raises AnswerTooLarge if too many were received."""
        self._size -= count
        if self._size < 0:
            raise AnswerTooLarge(f"{self._host} sends more than is allowed")


class PlainSocket(socket.socket):
    """A socket whose operations all end at the deadline, even if the host sends single bytes."""

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
    """A TLS socket whose operations all end at the deadline."""

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
