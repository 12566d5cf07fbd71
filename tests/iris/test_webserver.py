"""The web server: slow clients occupy no threads, and each request gets one complete response."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.iris.webserving import WebServer, read_all, read_answer, web_server
from tests.live import wait_for

CLOSE = b"Host: a\r\nConnection: close\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(
        tmp_path_factory.mktemp("web"), IRIS_MAX_UPLOAD_BYTES="1000000", IRIS_MAX_BODY_BYTES="1000000"
    ) as running:
        yield running


def echo_of(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    found: dict[str, Any] = json.loads(body)
    return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf of it",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
    ],
)
def test_half_a_request_occupies_no_thread(server: WebServer, half: bytes) -> None:
    slow = [server.connect() for _ in range(12)]
    try:
        for sock in slow:
            sock.sendall(half)

        assert echo_of(server.ask(b"GET /x HTTP/1.1\r\n" + CLOSE + b"\r\n"))["path"] == "/x"
    finally:
        for sock in slow:
            sock.close()


def test_clients_that_stop_reading_occupy_no_thread(server: WebServer) -> None:
    slow = [server.connect(receive_buffer=4096) for _ in range(8)]
    try:
        for sock in slow:
            sock.sendall(b"GET /big HTTP/1.1\r\n" + CLOSE + b"\r\n")

        assert echo_of(server.ask(b"GET /x HTTP/1.1\r\n" + CLOSE + b"\r\n"))["path"] == "/x"

        whole = read_all(slow[0])
        assert whole.count(b"x" * 65536) == 160
        assert whole.endswith(b"0\r\n\r\n")
    finally:
        for sock in slow:
            sock.close()


def test_idle_connections_occupy_no_thread(server: WebServer) -> None:
    idle = [server.connect() for _ in range(12)]
    try:
        for sock in idle:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            head, _ = read_answer(sock)
            assert b"Connection: keep-alive" in head
        assert echo_of(server.ask(b"GET /x HTTP/1.1\r\n" + CLOSE + b"\r\n"))["path"] == "/x"
        for sock in idle:
            sock.sendall(b"GET /again HTTP/1.1\r\nHost: a\r\n\r\n")
            assert json.loads(read_answer(sock)[1])["path"] == "/again"
    finally:
        for sock in idle:
            sock.close()


def test_health_checks_do_not_wait_for_busy_threads(server: WebServer) -> None:
    busy = [server.connect() for _ in range(6)]
    try:
        for sock in busy:
            sock.sendall(b"GET /wait HTTP/1.1\r\n" + CLOSE + b"\r\n")

        for path, thread in ((b"/health", "health"), (b"/health/live", "live"), (b"/health?x=1", "health")):
            answer = echo_of(server.ask(b"GET " + path + b" HTTP/1.1\r\n" + CLOSE + b"\r\n"))
            assert answer["thread"].startswith(thread)
        server.ask(b"GET /health/release HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert [echo_of(read_all(sock))["path"] for sock in busy] == 6 * ["/wait"]
    finally:
        for sock in busy:
            sock.close()


@pytest.mark.parametrize("pieces", [1, 7, 1000])
@pytest.mark.parametrize("size", [0, 1, 70_000, 900_000])
def test_a_body_arrives_as_it_was_sent(server: WebServer, size: int, pieces: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    step = max(1, size // pieces)
    parts = [body[at : at + step] for at in range(0, size, step)]
    with server.connect() as plain, server.connect() as chunked:
        plain.sendall(b"POST /p HTTP/1.1\r\n" + CLOSE + b"Content-Length: %d\r\n\r\n" % size)
        chunked.sendall(b"POST /c HTTP/1.1\r\n" + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n")
        for part in parts:
            plain.sendall(part)
            chunked.sendall(b"%x;a=b\r\n%s\r\n" % (len(part), part))
        chunked.sendall(b"0\r\nX-Trailer: 1\r\n\r\n")

        for sock in (plain, chunked):
            answer = echo_of(read_all(sock))
            assert (answer["length"], answer["sha"]) == (size, hashlib.sha256(body).hexdigest())


def test_pipelined_requests_are_answered_in_order(server: WebServer) -> None:
    with server.connect() as sock:
        sock.sendall(
            b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
            b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
            b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nGET"
            b"GET /4 HTTP/1.1\r\n" + CLOSE + b"\r\n"
        )
        answers = read_all(sock).split(b"HTTP/1.1 200 OK")[1:]

    assert [json.loads(answer.partition(b"\r\n\r\n")[2])["path"] for answer in answers] == [
        "/1",
        "/2",
        "/unread",
        "/4",
    ]


def test_a_client_that_expects_100_continue_gets_it_once(server: WebServer) -> None:
    with server.connect() as sock:
        sock.sendall(b"POST /c HTTP/1.1\r\n" + CLOSE + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"body")
        answer = read_all(sock)

    assert answer.count(b"100 Continue") == 0
    assert echo_of(answer)["length"] == 4


def test_a_body_over_the_limit_is_refused_before_it_has_arrived(server: WebServer) -> None:
    """The application refuses the request immediately, and the client gets the response although it is still sending."""
    with server.connect() as sock:
        sock.sendall(b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + 100_000 * b"x")
        head, _ = read_answer(sock)
        assert head.startswith(b"HTTP/1.1 200")
        assert read_all(sock) in (b"", b"<reset>"), "the connection ends"


REFUSED = [
    (b"GET /" + 9000 * b"a" + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET /" + 90_000 * b"a", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + 10_000 * b"a" + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + 200 * b"X: a\r\n" + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + 90_000 * b"a", 431),
    (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    (b"nonsense\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1e3\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: rot13\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + 9000 * b"1", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + 900 * b"X: aaaaaaa\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\n\r\n", 417),
]


@pytest.mark.parametrize(("raw", "expected"), REFUSED)
def test_malformed_requests_are_refused(server: WebServer, raw: bytes, expected: int) -> None:
    assert status(server.ask(raw)) == expected


@pytest.mark.parametrize(
    ("address", "shape"),
    [(b"/api/system/campaigns/", {"status", "success", "message", "errors", "data"})]
    + [(b"/api/v1/campaigns/", {"message", "detail"})],
)
def test_a_refusal_has_the_dialect_of_its_path(server: WebServer, address: bytes, shape: set[str]) -> None:
    answer = server.ask(b"GET " + address + b"?" + 9000 * b"a" + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")

    assert status(answer) == 414
    assert b"Content-Type: application/json" in head
    assert set(json.loads(body)) == shape


def test_refused_requests_are_logged_without_their_contents(server: WebServer) -> None:
    server.ask(b"GET /?to=9779841555123 HTTP/1.1\r\nHost: a\r\nPassword 73519\r\n\r\n")
    server.ask(b"GET /broken?to=9779841555123 HTTP/1.1\r\nHost: a\r\n\r\n")

    log = server.log.read_text()

    assert "A request was refused with 400: InvalidHeader" in log
    assert "9841555123" not in log
    assert "73519" not in log


def test_a_response_that_fails_midway_closes_the_connection(server: WebServer) -> None:
    assert server.ask(b"GET /broken HTTP/1.1\r\nHost: a\r\n\r\n").endswith((b"part", b"part<reset>"))


SHORT = """
from iris.webserver import connection
connection.HEAD_SECONDS = connection.GRACE_SECONDS = 0.5
"""


@pytest.fixture(scope="module")
def short_deadlines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("short_deadlines")
    with web_server(folder, "--keep-alive=1", "--worker-connections=20", worker=SHORT) as running:
        yield running


def test_requests_and_responses_have_deadlines(short_deadlines: WebServer) -> None:
    halves = [
        b"GET / HTT",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
        b"POST /api/v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
    ]
    for half in halves:
        answer = short_deadlines.ask(half)
        assert status(answer) == 408
        assert b"Connection: close" in answer
    with short_deadlines.connect() as idle:
        assert read_all(idle) == b"", "an idle connection is closed without a response"
    with short_deadlines.connect(receive_buffer=4096) as unread:
        unread.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(4):  # the last one ends long after the deadline of the other connection
            waited = short_deadlines.connect()
            waited.sendall(b"G")
            assert status(read_all(waited)) == 408
        assert not read_all(unread).endswith(b"0\r\n\r\n"), (
            "the response to a client that stops reading is aborted"
        )


def test_a_client_that_sends_single_bytes_does_not_extend_its_deadline(short_deadlines: WebServer) -> None:
    with short_deadlines.connect() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        sock.settimeout(0.05)
        answer = b""
        for _ in range(1000):
            try:
                sock.sendall(b"x")
                answer = sock.recv(65536)
                break
            except TimeoutError:
                continue

        assert status(answer) == 408


def test_new_connections_evict_idle_and_slow_ones(short_deadlines: WebServer) -> None:
    waiting: list[socket.socket] = []
    try:
        for _ in range(60):
            waiting.append(short_deadlines.connect())
            waiting[-1].sendall(b"GET / HT")

        assert echo_of(short_deadlines.ask(b"GET /x HTTP/1.1\r\n" + CLOSE + b"\r\n"))["path"] == "/x"
        assert short_deadlines.process.poll() is None
    finally:
        for sock in waiting:
            sock.close()


def test_a_stopping_server_completes_its_requests(tmp_path: Path) -> None:
    with web_server(tmp_path) as server, server.connect() as idle, server.connect() as sock:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        read_answer(idle)
        sock.sendall(b"POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nha")
        server.ask(
            b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n"
        )  # its response proves that the two previous requests have arrived
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "Handling signal: term" in server.log.read_text(), seconds=20)
        sock.sendall(b"lf")

        assert echo_of(read_all(sock))["length"] == 4
        assert read_all(idle) == b""
        assert server.process.wait(60) == 0
