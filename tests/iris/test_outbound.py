"""Requests to URLs that clients chose: their allowed targets, and their limits of time and size."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from iris import outbound
from iris.errors import InvalidInput
from iris.outbound import (
    AddressRefused,
    AnswerTooLarge,
    Deadline,
    NoAnswer,
    addresses,
    is_public,
    parse_address,
    request,
    requests,
    sockets,
)

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


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Serve], Host]]:
    """Return a function that starts hosts. Their ports are allowed, and 127.0.0.1 counts as public."""
    made: list[Host] = []
    monkeypatch.setattr(requests, "is_public", lambda ip: ip == "127.0.0.1")

    def make(serve: Serve) -> Host:
        made.append(Host(serve))
        monkeypatch.setattr(addresses, "PORTS", {80, 443, *(one.port for one in made)})
        return made[-1]

    yield make
    for one in made:
        one.close()


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


class TestExchange:
    def test_a_response_has_its_status_headers_and_body(self, host: Any) -> None:
        web = host(answering(b"HTTP/1.1 404 Not Found\r\nX-One: 1\r\nContent-Length: 2\r\n\r\nno"))
        answer = get(web, "/ä?c=ü")
        assert (answer.status, answer.headers["x-one"], answer.body) == (404, "1", b"no")
        (asked,) = web.asked
        assert asked.startswith(b"GET /%C3%A4?c=%C3%BC HTTP/1.1\r\n")

    def test_a_body_and_headers_are_posted(self, host: Any) -> None:
        web = host(answering(OK + b"Content-Length: 0\r\n\r\n"))
        answer = request(
            "POST",
            f"http://127.0.0.1:{web.port}/hook?x=1",
            deadline=Deadline(5),
            max_bytes=1000,
            body=b'{"a": 1}',
            headers={"Content-Type": "application/json", "webhook-id": "7"},
        )
        assert answer.status == 200
        head, _, body = web.asked[0].partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0] == b"POST /hook?x=1 HTTP/1.1"
        assert f"Host: 127.0.0.1:{web.port}".encode() in lines
        assert {b"Content-Length: 8", b"webhook-id: 7", b"Content-Type: application/json"} <= set(lines)
        assert body == b'{"a": 1}'

    def test_a_post_is_never_redirected(self, host: Any) -> None:
        web = host(answering(b"HTTP/1.1 307 X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"))
        address = f"http://127.0.0.1:{web.port}/"
        answer = request("POST", address, deadline=Deadline(5), max_bytes=10, body=b"{}", redirects=3)
        assert answer.status == 307
        assert len(web.asked) == 1

    @pytest.mark.parametrize(
        "there",
        [
            "http://10.0.0.1/",
            "http://[::1]/",
            "http://127.0.0.1:1/",
            "file:///etc/passwd",
            "gopher://x/",
            "//[x",
        ],
    )
    def test_the_target_of_a_redirect_is_checked_in_the_same_way(self, host: Any, there: str) -> None:
        web = host(answering(f"HTTP/1.1 302 X\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode()))
        with pytest.raises(AddressRefused):
            get(web, redirects=3)
        assert len(web.asked) == 1

    def test_too_many_redirects_are_an_error(self, host: Any) -> None:
        web = host(answering(b"HTTP/1.1 302 X\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"))
        with pytest.raises(NoAnswer, match="redirects too often"):
            get(web, redirects=3)
        assert len(web.asked) == 4

    def test_proxies_of_the_environment_are_ignored(self, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        web = host(answering(OK + b"Content-Length: 2\r\n\r\nhi"))
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9/")
        assert get(web).body == b"hi"


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
        before = time.thread_time()
        with pytest.raises((AnswerTooLarge, NoAnswer)):
            get(web)
        assert time.thread_time() - before < 1.5

    def test_chunks_of_one_byte_are_aborted_at_the_cpu_limit(
        self, host: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sockets, "CPU_SECONDS", 0.1)
        web = host(answering(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 1_000_000))
        before = time.thread_time()
        with pytest.raises(NoAnswer, match="too much processor time"):
            get(web, seconds=60, max_bytes=10_000_000)
        assert time.thread_time() - before < 1

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


class TestRebinding:
    def test_the_request_connects_to_the_checked_address(
        self, host: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The second lookup of the name would return a private address, so there must be no second lookup."""
        web = host(answering(OK + b"Content-Length: 2\r\n\r\nhi"))
        lookups: list[str] = []

        def once(name: str, port: int, **_: Any) -> Any:
            lookups.append(name)
            ip = "127.0.0.1" if len(lookups) == 1 else "10.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]

        monkeypatch.setattr(socket, "getaddrinfo", once)
        address = f"http://rebinding.example:{web.port}/"
        assert request("GET", address, deadline=Deadline(5), max_bytes=10).body == b"hi"
        assert lookups == ["rebinding.example"]
        assert f"Host: rebinding.example:{web.port}".encode() in web.asked[0]

    def test_a_name_with_a_private_address_among_its_addresses_is_refused(
        self, host: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        web = host(answering(OK))

        def public_and_private(name: str, port: int, **_: Any) -> Any:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.1", "10.0.0.1")
            ]

        monkeypatch.setattr(socket, "getaddrinfo", public_and_private)
        with pytest.raises(AddressRefused, match="public internet"):
            request("GET", f"http://both.example:{web.port}/", deadline=Deadline(5), max_bytes=10)
        assert web.asked == []

    def test_the_next_address_is_tried_if_one_does_not_respond(
        self, host: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        web = host(answering(OK + b"Content-Length: 2\r\n\r\nhi"))
        with socket.create_server(("127.0.0.1", 0)) as closed:
            refused = closed.getsockname()[1]

        def two(name: str, port: int, **_: Any) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", to)) for to in (refused, port)]

        monkeypatch.setattr(socket, "getaddrinfo", two)
        assert (
            request("GET", f"http://two.example:{web.port}/", deadline=Deadline(5), max_bytes=10).body
            == b"hi"
        )


class TestTLS:
    @pytest.fixture
    def served(self, host: Any, tmp_path: Path, require_program: Callable[[str], str]) -> tuple[Host, Path]:
        openssl = require_program("openssl")
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        subprocess.run(
            [
                *(
                    openssl,
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                ),
                *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost", "-days", "2"),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
            ],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        def serve(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(65536)
                secure.sendall(OK + b"Content-Length: 2\r\n\r\nhi")

        web = host(serve)
        # The TLS handshake reads the connection, so nothing else may read from it before.
        web._one = lambda connection: serve_quietly(serve, connection)
        return web, certificate

    def test_a_certificate_must_be_trusted(
        self, served: tuple[Host, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        web, certificate = served
        address = f"https://127.0.0.1:{web.port}/"
        with pytest.raises(NoAnswer, match="does not answer"):
            request("GET", address, deadline=Deadline(5), max_bytes=10)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert request("GET", address, deadline=Deadline(5), max_bytes=10).body == b"hi"


def serve_quietly(serve: Serve, connection: socket.socket) -> None:
    with suppress(OSError):
        serve(connection)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "   ",
        "https://",
        "https:///path",
        "example.com/x",
        "//example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "gopher://example.com/",
        "http://example.com:22/",
        "http://example.com:8000/",
        "http://example.com:99999/",
        "http://example.com:-1/",
        "http://example.com:x/",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://:@example.com/",
        "http://example.com@10.0.0.1/",
        "http://exa mple.com/",
        "http://example.com/a b",
        "http://example.com/\r\nX: y",
        "http://example.com\t/",
        "http://example.com\\@10.0.0.1/",
        "http:\\\\example.com/",
        "http://example.com%2f@10.0.0.1/",
        "http://exam%70le.com/",
        "http://example..com/",
        "http://.example.com/",
        "http://-example.com/",
        "http://" + "a" * 64 + ".com/",
        "http://" + "a." * 130 + "com/",
        "http://" + "ü" * 1900 + ".com/",
        "http://example.com/" + "a" * 2000,
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.01/",
        "http://1.2.3.4.5/",
        "http://example.0x1/",
        "http://1.2.3.256/",
        "http://[::1/",
        "http://[::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[1.2.3.4]/",
        "http://[v1.x]/",
        "http://\x00/",
        "http://\ud800/",
        "http://１２７.1/",
    ],
)
def test_a_malformed_url_is_refused_without_a_lookup(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with pytest.raises(AddressRefused) as refused:
        request("GET", address, deadline=Deadline(5), max_bytes=10)
    assert isinstance(refused.value, InvalidInput)


@pytest.mark.parametrize(
    ("address", "host", "path"),
    [
        ("https://example.com", "example.com", "/"),
        (" HTTPS://Example.COM./A?b=c#d ", "example.com", "/A?b=c"),
        ("http://8.8.8.8:443/x", "8.8.8.8", "/x"),
        ("http://[2606:4700::1111]/", "2606:4700::1111", "/"),
        ("https://bücher.example/ä?ö=%20", "xn--bcher-kva.example", "/%C3%A4?%C3%B6=%20"),
        ("https://उदाहरण.example/", "xn--p1b6ci4b4b3a.example", "/"),
        ("https://my_host.example/a@b", "my_host.example", "/a@b"),
    ],
)
def test_a_valid_url_is_parsed(address: str, host: str, path: str) -> None:
    target = parse_address(address)
    assert (target.host, target.path) == (host, path)


@pytest.mark.parametrize(
    "ip", ["8.8.8.8", "1.1.1.1", "103.10.28.1", "2606:4700::1111", "2400:1a00::1", "2a00:1450::1"]
)
def test_globally_routable_addresses_are_public(ip: str) -> None:
    assert is_public(ip)


@pytest.mark.parametrize(
    "ip",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.200", "192.0.2.1", "192.88.99.1",
        "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
        "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8",
        "64:ff9b::8.8.8.8", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "100::1", "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1", "2001:10::1", "2001:20::1", "2002:a00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "4000::1",
        "fc00::1", "fd00::1", "fe80::1", "fe80::1%eth0", "fec0::1", "feff::1", "ff02::1", "ff0e::1",
        "2606:4700::5efe:a00:1", "2606:4700::200:5efe:10.0.0.1", "2606:4700::1111%1",
        "", "x", "8.8.8", "08.8.8.8",
    ],
)  # fmt: skip
def test_other_addresses_are_not_public(ip: str) -> None:
    assert not is_public(ip)
