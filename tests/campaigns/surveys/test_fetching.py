"""Recordings that are named by URL are fetched from public hosts only. URLs of this server need no request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from iris.outbound import addresses, requests
from telephony.media import audio_url
from telephony.speech.audio import NotAudio
from telephony.speech.fetching import NotFetched, fetch_recording, fetch_recordings
from tests.factories import make_audio
from tests.v1.test_surveys import tone


class Web(BaseHTTPRequestHandler):
    """The web server of these tests."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, headers, body = {
            "/song.wav": (200, {}, tone()),
            "/noise": (200, {}, b"no song"),
            "/large": (200, {}, bytes(3000)),
            "/moved": (302, {"Location": "/song.wav"}, b""),
            "/around": (302, {"Location": "/around"}, b""),
            "/inside": (302, {"Location": "http://10.0.0.1/song.wav"}, b""),
            "/file": (302, {"Location": "file:///etc/hostname"}, b""),
        }.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start a web server whose address alone counts as public."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(requests, "is_public", lambda ip: ip == "127.0.0.1")
    monkeypatch.setattr(addresses, "PORTS", {80, 443, server.server_port})
    Web.asked.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.django_db
class TestFetched:
    @pytest.mark.parametrize("path", ["/song.wav", "/moved"])
    def test_a_recording_is_fetched_and_stored(self, web: str, path: str) -> None:
        assert fetch_recording(web + path).seconds == pytest.approx(1, abs=0.1)

    @pytest.mark.parametrize(
        ("path", "sentence"),
        [
            ("/nothing", "status 404"),
            ("/around", "redirects too often"),
            ("/inside", "not on the public internet"),
            ("/file", "https://"),
        ],
    )
    def test_a_missing_recording_is_refused(self, web: str, path: str, sentence: str) -> None:
        with pytest.raises(NotFetched, match=sentence):
            fetch_recording(web + path)

    def test_too_many_addresses_are_refused_before_any_is_fetched(self, web: str) -> None:
        with pytest.raises(NotFetched, match="may name 10"):
            fetch_recordings([f"{web}/song.wav?{n}" for n in range(11)])
        assert Web.asked == []

    def test_a_repeated_address_is_fetched_once(self, web: str) -> None:
        found = fetch_recordings([f"{web}/song.wav"] * 30)
        assert len(set(found)) == 1
        assert Web.asked == ["/song.wav"]

    def test_an_invalid_address_is_refused_before_any_is_fetched(self, web: str) -> None:
        with pytest.raises(NotFetched, match="https://"):
            fetch_recordings([f"{web}/song.wav", "ftp://example.com/"])
        assert Web.asked == []

    def test_a_file_that_is_no_recording_is_refused(self, web: str) -> None:
        with pytest.raises(NotAudio):
            fetch_recording(f"{web}/noise")

    def test_a_recording_that_is_too_large_is_refused(self, web: str, settings: Any) -> None:
        settings.IRIS_MAX_UPLOAD_BYTES = 2000
        with pytest.raises(NotFetched, match="more than"):
            fetch_recording(f"{web}/large")

    def test_the_address_of_an_own_recording_is_resolved_without_a_request(self, web: str) -> None:
        audio = make_audio()
        assert fetch_recording(audio_url(audio)) == audio
        assert Web.asked == []

    def test_the_address_of_an_own_recording_is_refused_without_its_key(self, web: str) -> None:
        before, key, name = audio_url(make_audio()).rsplit("/", 2)
        for refused in (f"{before}/{name}", f"{before}//{name}", f"{before}/9{key}/{name}"):
            with pytest.raises(NotFetched, match="has expired"):
                fetch_recording(refused)
        assert Web.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/x",
        "http://localhost:1/x",
        "http://[::1]/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://0/x",
        "http://2130706433/x",
        "http://169.254.169.254/latest",
        "https://10.1.2.3/x",
        "http://127.0.0.1:99999/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "https://",
        "song.mp3",
        "http://exa mple.com/",
        "http://127.0.0.1/\r\nX: y",
        "",
    ],
)
def test_addresses_in_private_networks_are_never_requested(address: str) -> None:
    with pytest.raises(NotFetched):
        fetch_recording(address)
