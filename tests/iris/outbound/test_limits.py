"""Requests to URLs that clients chose: their limits of time and size."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from iris.outbound import AnswerTooLarge, Deadline, NoAnswer, request, sockets
from tests.cpu import cpu_at_most
from tests.iris.outbound.hosts import OK, answering, dripping, get


class TestLimits:
    """Slow and oversized responses end the request, with little CPU time and memory."""

    DRIPPED = {
        "nothing": (b"", b""),
        "the status line": (b"HTTP", b"/"),
        "a header": (OK + b"X: ", b"a"),
        "headers": (OK, b"A: b\r\n"),
        "a body with a length": (OK + b"Content-Length: 900\r\n\r\n", b"a"),
        "a body without one": (OK + b"\r\n", b"a"),
        "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        "the size of a chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
        "answers before the answer": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    }

    @pytest.mark.parametrize("dripped", DRIPPED.values(), ids=DRIPPED.keys())
    def test_the_deadline_ends_a_response_that_arrives_byte_by_byte(
        self, host: Any, dripped: tuple[bytes, bytes]
    ) -> None:
        web = host(dripping(*dripped))
        start = time.monotonic()
        with pytest.raises(NoAnswer, match="too slow"):
            get(web, seconds=0.5)
        assert time.monotonic() - start >= 0.4  # so the deadline ended it

    def test_the_deadline_includes_the_tls_handshake(self, host: Any) -> None:
        web = host(dripping(b"\x16", b"\x03"))
        with pytest.raises(NoAnswer):
            request("GET", f"https://127.0.0.1:{web.port}/", deadline=Deadline(0.5), max_bytes=10)

    def test_the_deadline_includes_the_name_lookup(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked, go_on = threading.Event(), threading.Event()

        def slow(*_: Any, **__: Any) -> Any:
            asked.set()
            go_on.wait(60)
            return []

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        try:
            with pytest.raises(NoAnswer, match="too slow"):
                request("GET", "https://slow.example/", deadline=Deadline(0.3), max_bytes=10)
            assert asked.is_set()
        finally:
            go_on.set()

    def test_several_requests_share_a_deadline(self, host: Any) -> None:
        web = host(dripping(OK, b"A: b\r\n"))
        deadline = Deadline(0.4)
        for _ in range(3):
            with pytest.raises(NoAnswer, match="too slow"):
                request("GET", f"http://127.0.0.1:{web.port}/", deadline=deadline, max_bytes=10)
        assert len(web.asked) == 1

    BLOWN_UP = {
        "a long body": OK + b"Content-Length: 100000\r\n\r\n" + bytes(100000),
        "a body without an end": OK + b"\r\n" + bytes(300_000),
        "a long header": OK + b"X: " + b"a" * 300_000,
        "many headers": OK + b"A: b\r\n" * 50_000,
        "many answers before the answer": b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000,
        "chunks of one byte": OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 100_000,
        "a chunk with a long extension": OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 300_000,
        "trailers": OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 50_000,
        "a chunk of a huge size": OK
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"f" * 5000
        + b"\r\n"
        + bytes(300_000),
    }

    @pytest.mark.parametrize("answer", BLOWN_UP.values(), ids=BLOWN_UP.keys())
    def test_responses_that_are_too_large_are_aborted(self, host: Any, answer: bytes) -> None:
        web = host(answering(answer))
        with cpu_at_most(1.5, clock=time.thread_time), pytest.raises((AnswerTooLarge, NoAnswer)):
            get(web)

    def test_chunks_of_one_byte_are_aborted_at_the_cpu_limit(
        self, host: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sockets, "CPU_SECONDS", 0.1)
        web = host(answering(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 1_000_000))
        with (
            cpu_at_most(1, clock=time.thread_time),
            pytest.raises(NoAnswer, match="too much processor time"),
        ):
            get(web, seconds=60, max_bytes=10_000_000)

    def test_a_body_is_truncated_with_cut(self, host: Any) -> None:
        web = host(answering(OK + b"\r\n" + b"a" * 5000))
        assert get(web, max_bytes=1000, cut=True).body == b"a" * 1000

    def test_a_body_of_the_maximum_size_is_read(self, host: Any) -> None:
        web = host(answering(OK + b"Content-Length: 1000\r\n\r\n" + b"a" * 1000))
        assert get(web, max_bytes=1000).body == b"a" * 1000

    def test_an_incomplete_response_is_an_error(self, host: Any) -> None:
        for answer in (
            OK + b"Content-Length: 10\r\n\r\nab",
            OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nab",
            b"",
            b"x",
        ):
            with pytest.raises(NoAnswer):
                get(host(answering(answer)))
