"""Recordings over HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from telephony import speech
from telephony.media import audio_url, recording_path
from telephony.models import Audio
from telephony.speech import address_keys, audio, store
from telephony.speech.engine import Pcm
from tests.telephony.speech.recordings import tone

pytestmark = [pytest.mark.django_db, pytest.mark.urls("telephony.media")]


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def recording() -> Audio:
    return audio.store_upload(io.BytesIO(audio.encode_wav(Pcm(tone(rate=8000), 8000))))


def body_of(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


@pytest.mark.parametrize(("extension", "content_type"), [("wav", "audio/wav"), ("mp3", "audio/mpeg")])
def test_recording_is_downloaded_without_a_token_and_cacheable(
    client: Client, recording: Audio, extension: Any, content_type: str
) -> None:
    response = client.get(audio_url(recording, format=extension).removeprefix("http://127.0.0.1:8000"))

    content = body_of(response)
    assert response.status_code == 200
    assert response["Content-Type"] == content_type
    assert "immutable" in response["Cache-Control"]
    assert response["Accept-Ranges"] == "bytes"
    assert int(response["Content-Length"]) == len(content)
    assert audio.decode(io.BytesIO(content)).seconds == pytest.approx(2, abs=0.15)


def test_mp3_is_created_on_the_first_request(client: Client, recording: Audio, media: Path) -> None:
    assert not list(media.rglob("*.mp3"))

    first = body_of(client.get(recording_path(recording.name)))
    second = body_of(client.get(recording_path(recording.name)))

    assert first == second
    assert len(list(media.rglob("*.mp3"))) == 1
    assert len(first) < len(audio.read_wav(recording)) / 2


def test_head_returns_the_size_without_the_body(client: Client, recording: Audio) -> None:
    response = client.head(recording_path(recording.name, "wav"), headers={"Range": "bytes=0-9"})

    assert response.status_code == 200
    assert response["Content-Length"] == str(44 + 2 * 16000)
    assert body_of(response) == b""


@pytest.mark.parametrize(
    ("asked", "status", "part", "content_range"),
    [
        ("bytes=0-", 206, slice(0, None), "bytes 0-32043/32044"),
        ("bytes=0-1", 206, slice(0, 2), "bytes 0-1/32044"),
        ("bytes=100-199", 206, slice(100, 200), "bytes 100-199/32044"),
        ("bytes=32000-99999", 206, slice(32000, None), "bytes 32000-32043/32044"),
        ("bytes=-100", 206, slice(-100, None), "bytes 31944-32043/32044"),
        ("bytes=-99999", 206, slice(0, None), "bytes 0-32043/32044"),
        ("bytes=32044-", 416, slice(0, 0), "bytes */32044"),
        ("bytes=-0", 416, slice(0, 0), "bytes */32044"),
        # Python refuses to parse integers of more than 4,300 digits.
        pytest.param(f"bytes={'9' * 5000}-", 416, slice(0, 0), "bytes */32044", id="start beyond the end"),
        pytest.param(
            f"bytes=0-{'9' * 5000}", 206, slice(0, None), "bytes 0-32043/32044", id="end beyond the end"
        ),
        pytest.param(
            f"bytes=-{'9' * 5000}",
            206,
            slice(0, None),
            "bytes 0-32043/32044",
            id="suffix longer than the file",
        ),
        pytest.param(f"bytes={'0' * 5000}1-2", 206, slice(1, 3), "bytes 1-2/32044", id="leading zeros"),
        pytest.param(
            f"bytes={'9' * 5000}-5", 200, slice(0, None), None, id="start after the end of the range"
        ),
        ("bytes=5-2", 200, slice(0, None), None),
        ("bytes=-", 200, slice(0, None), None),
        ("bytes=0-1,5-6", 200, slice(0, None), None),
        ("lines=1-2", 200, slice(0, None), None),
        ("bytes=०-१", 200, slice(0, None), None),
    ],
)
def test_range_request_returns_the_requested_bytes(
    client: Client, recording: Audio, asked: str, status: int, part: slice, content_range: str | None
) -> None:
    response = client.get(recording_path(recording.name, "wav"), headers={"Range": asked})

    content = body_of(response)
    assert response.status_code == status
    assert content == audio.read_wav(recording)[part]
    assert response.get("Content-Range") == content_range
    assert response["Content-Length"] == str(len(content))


def test_if_range_with_another_etag_returns_the_whole_file(client: Client, recording: Audio) -> None:
    url = recording_path(recording.name, "wav")
    etag = client.get(url)["ETag"]

    assert client.get(url, headers={"Range": "bytes=0-9", "If-Range": etag}).status_code == 206
    assert client.get(url, headers={"Range": "bytes=0-9", "If-Range": '"other"'}).status_code == 200


def test_if_none_match_with_the_current_etag_returns_304(client: Client, recording: Audio) -> None:
    url = recording_path(recording.name, "wav")

    response = client.get(url, headers={"If-None-Match": client.get(url)["ETag"]})

    assert response.status_code == 304
    assert body_of(response) == b""


@pytest.mark.parametrize(
    "path",
    [
        "0" * 40 + ".wav",
        "0" * 40 + ".mp3",
        "../" * 3 + "etc/passwd.wav",
        "..%2f..%2firis.wav",
        "%00.wav",
        "é.wav",
        "RECORDING.wav",
        "NAME.exe",
        "NAME",
        "NAME.wav/",
        "NAME.wav.mp3",
    ],
)
def test_paths_that_name_no_recording_return_404(
    client: Client, recording: Audio, media: Path, path: str
) -> None:
    (media / "secret.wav").write_bytes(b"secret")

    path = path.replace("RECORDING", recording.name.upper().replace("0", "A")).replace("NAME", recording.name)

    folder = recording_path(recording.name).rpartition("/")[0]
    assert client.get(f"{folder}/{path}").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        lambda path, key: path.replace(f"{key}/", ""),
        lambda path, key: path.replace(key, ""),
        lambda path, key: path.replace(key, key[:-1]),
        lambda path, key: path.replace(key, f"9{key}"),
        lambda path, key: path.replace(key, address_keys.key_of("0" * 40)),
        lambda path, key: path.replace(key, "%FF.%00"),
    ],
    ids=[
        "no key",
        "an empty key",
        "a shorter signature",
        "a later expiry",
        "the key of another recording",
        "no text",
    ],
)
def test_a_recording_needs_the_key_of_its_address(
    client: Client, recording: Audio, change: Callable[[str, str], str]
) -> None:
    path = recording_path(recording.name)
    assert client.get(path).status_code == 200
    assert client.get(change(path, path.split("/")[-2])).status_code == 404


def test_an_address_of_a_recording_is_valid_for_a_day(
    client: Client, recording: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr("telephony.speech.address_keys.time.time", lambda: now)
    path = recording_path(recording.name)
    now += address_keys.VALID_SECONDS
    assert client.get(path).status_code == 200
    now += 3601
    assert client.get(path).status_code == 404


def test_recording_cannot_be_written_over_http(client: Client, recording: Audio) -> None:
    assert client.post(recording_path(recording.name, "wav")).status_code == 405


def test_audio_url_uses_the_requested_host_or_the_public_url(
    settings: Any, rf: Any, recording: Audio
) -> None:
    settings.IRIS_PUBLIC_URL = "https://calls.example.org"
    settings.ALLOWED_HOSTS = ["calls.example.org", "intranet"]
    path = recording_path(recording.name)

    assert audio_url(recording) == f"https://calls.example.org{path}"
    assert audio_url(recording, rf.get("/", headers={"Host": "intranet"})) == f"http://intranet{path}"
    assert audio_url(recording, rf.get("/", headers={"Host": "calls.example.org"})) == (
        f"https://calls.example.org{path}"
    )
    assert audio_url(recording, format="wav").endswith(".wav")


def test_speech_is_downloaded_like_uploads(client: Client) -> None:
    spoken = speech.speak(text="नमस्ते")

    assert client.get(recording_path(spoken.name)).status_code == 200
    assert store.exists(spoken.name, "mp3")
