"""Requests to URLs that clients chose: redirects, checked addresses, TLS."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from iris.outbound import AddressRefused, Deadline, NoAnswer, request
from tests.iris.outbound.hosts import OK, Host, Serve, answering, get


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
