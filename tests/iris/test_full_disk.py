"""With a really full disk, requests that store a file are a 503 with Retry-After, and no partial file remains."""

from __future__ import annotations

import ctypes
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Account
from campaigns.models import Campaign, Service, SheetImport
from campaigns.tasks import fill
from iris import health
from iris.celery import app
from telephony.media import recording_path
from telephony.models import Audio
from telephony.speech import audio, store
from telephony.speech.engine import Pcm
from tests.cpu import cpu_at_most
from tests.factories import make_account, make_campaign, owner_of
from tests.iris.test_failing_parts import read_only_server
from tests.iris.webserving import web_server

BYTES = 512 * 1024
MNT_DETACH = 2
PROMPT_SECONDS = 2  # of CPU time

_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A separate file system with very little space."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if _libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={BYTES}".encode()) != 0:
        pytest.skip(f"A small disk cannot be mounted here: {os.strerror(ctypes.get_errno())}.")
    try:
        yield folder
    finally:
        _libc.umount2(os.fsencode(folder), MNT_DETACH)


def fill_up(disk: Path) -> None:
    """Use all remaining bytes of the disk."""
    with open(disk / "filler", "ab", buffering=0) as file:
        for size in (65536, 1):
            try:
                while True:
                    file.write(size * b"x")
            except OSError:
                continue
    assert os.statvfs(disk).f_bavail == 0


def left_on(disk: Path) -> list[str]:
    return sorted(str(path.relative_to(disk)) for path in disk.rglob("*") if path.is_file())


@pytest.fixture
def media(disk: Path, settings: Settings) -> Path:
    """The media folder of iris, on the full disk."""
    settings.MEDIA_ROOT = disk / "media"
    (disk / "media").mkdir()
    fill_up(disk)
    return disk


@pytest.fixture
def temporary(disk: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder, on the full disk."""
    fill_up(disk)
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    return disk


@pytest.fixture
def account(transactional_db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def ask(account: Account) -> Callable[..., Any]:
    """Return a function that sends a request and asserts a prompt 503 with Retry-After, in the request's dialect."""

    def ask(method: str, path: str, data: Any, format: str = "json") -> Any:
        client = APIClient(raise_request_exception=False)
        client.force_authenticate(owner_of(account))
        with cpu_at_most(PROMPT_SECONDS):
            response = getattr(client, method)(path, data, format=format)
        assert response.status_code == 503, response.content
        assert response.headers["Retry-After"] == "5"
        assert "cannot store files" in response.json()["message"]
        return response

    return ask


def sound(seconds: float = 1) -> bytes:
    samples = b"".join(int(9000 * (n % 20 > 9)).to_bytes(2, "little") for n in range(int(8000 * seconds)))
    return audio.encode_wav(Pcm(samples, 8000))


def upload(content: bytes, name: str = "a.wav") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def uploads(campaign: Campaign) -> list[tuple[str, str, Any, str]]:
    """Return one request of each kind that stores a file."""
    return [
        (
            "patch",
            f"/api/v1/campaign/create/{campaign.pk}/message/",
            {"audio_file": upload(sound())},
            "multipart",
        ),
        (
            "post",
            f"/api/system/campaigns/{campaign.pk}/begin/",
            {"aud_file": upload(sound(2))},
            "multipart",
        ),
        ("post", "/api/system/test/voice/", {"message": "नमस्कार साथी", "voice_input": "np_rija"}, "json"),
    ]


def test_uploads_of_recordings_and_speech_on_a_full_disk_are_a_503(
    media: Path, account: Account, ask: Callable[..., Any]
) -> None:
    campaign = make_campaign(owner=account, service=Service.CALL)
    for method, path, data, format in uploads(campaign):
        ask(method, path, data, format)

    assert left_on(media) == ["filler"]
    assert not Audio.objects.exists()
    assert not campaign.runs.exists()


@pytest.mark.parametrize("kind", ["large", "costly"])
def test_sheets_for_a_worker_on_a_full_disk_are_a_503(
    media: Path, account: Account, ask: Callable[..., Any], settings: Settings, kind: str
) -> None:
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 1000 if kind == "large" else 10**9
    rows = 1000 if kind == "large" else 30_000
    sheet = "numbers\n" + "".join(f"98{n:08d}\n" for n in range(rows))
    ask(
        "post",
        "/api/system/campaigns/",
        {"name": "a", "services": "SMS", "send_to_number_file": upload(sheet.encode(), "a.csv")},
        "multipart",
    )

    assert left_on(media) == ["filler"]
    assert not Campaign.objects.exists()


def test_uploads_that_do_not_fit_into_the_temporary_folder_are_a_503(
    temporary: Path, account: Account, ask: Callable[..., Any]
) -> None:
    campaign = make_campaign(owner=account, service=Service.CALL)
    path = f"/api/v1/campaign/create/{campaign.pk}/message/"
    ask(
        "patch", path, {"audio_file": upload(sound(100))}, "multipart"
    )  # uploads larger than 1 MB are stored while they arrive
    ask("patch", path, {"audio_file": upload(sound())}, "multipart")

    assert left_on(temporary) == ["filler"]


def test_uploads_without_any_usable_temporary_folder_are_a_503(
    disk: Path, account: Account, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that needs its first temporary file: Python tries all temporary folders, and none is usable."""
    fill_up(disk)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(disk)])
    campaign = make_campaign(owner=account, service=Service.CALL)

    ask(
        "patch",
        f"/api/v1/campaign/create/{campaign.pk}/message/",
        {"audio_file": upload(sound())},
        "multipart",
    )


def test_a_recording_whose_mp3_cannot_be_stored_is_a_503_and_its_wav_is_served(
    disk: Path, settings: Settings, client: Client, transactional_db: None
) -> None:
    settings.MEDIA_ROOT = disk / "media"
    name = store.keyed_name("heard on a full disk")
    store.write(name, "wav", sound())
    fill_up(disk)

    answer = client.get(recording_path(name))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert left_on(disk) == ["filler", f"media/{store.path_of(name, 'wav')}"]
    assert client.get(recording_path(name, "wav")).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_health_reports_full_disks_of_media_and_broker(
    disk: Path, settings: Settings, client: Client
) -> None:
    settings.MEDIA_ROOT = disk / "media"
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"folder": str(disk / "broker")}
    health.record_heartbeat()
    answer = client.get("/health").json()
    assert (answer["media"], answer["broker"]) == ("ok", "ok")

    fill_up(disk)

    answer = client.get("/health")
    assert answer.status_code == 503
    assert answer.json()["media"] == "cannot be written: No space left on device"
    assert answer.json()["broker"] == "does not answer"
    assert left_on(disk) == ["filler"]


def test_a_nudge_that_the_broker_cannot_store_is_skipped(
    disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nudge: Any = fill.apply_async
    with app.connection_for_write(
        "iris-files://local//", transport_options={"folder": str(disk / "broker")}
    ) as broker:
        nudge(connection=broker)
        kept = left_on(disk)
        assert len(kept) == 1
        fill_up(disk)

        assert nudge(connection=broker, retry=False) is None

        assert left_on(disk) == sorted(["filler", *kept])
        assert "The broker did not accept campaigns.tasks.fill" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_uploads_are_a_503_if_the_media_folder_is_a_file(
    tmp_path: Path, account: Account, ask: Callable[..., Any], settings: Settings
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MEDIA_ROOT.touch()
    campaign = make_campaign(owner=account, service=Service.CALL)
    for method, path, data, format in uploads(campaign):
        ask(method, path, data, format)


def test_a_stored_sheet_is_deleted_if_its_row_cannot_be_written(
    tmp_path: Path, account: Account, settings: Settings
) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 10
    client = APIClient()
    client.force_authenticate(owner_of(account))
    sheet = "numbers\n" + "".join(f"98{n:08d}\n" for n in range(100))
    sent = {"name": "a", "services": "SMS", "send_to_number_file": upload(sheet.encode(), "a.csv")}
    with read_only_server():
        answer = client.post("/api/system/campaigns/", sent, format="multipart")

    assert answer.status_code == 503
    assert left_on(tmp_path) == []
    assert not SheetImport.objects.exists()


def test_a_body_that_the_web_server_cannot_buffer_is_a_503(tmp_path: Path) -> None:
    """The process may write no file larger than 100 kB. RLIMIT_FSIZE needs neither a small disk nor root."""
    (tmp_path / "web").mkdir()
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))"
    with web_server(tmp_path / "web", worker=f"def post_fork(server, worker):\n    {limit}") as server:
        head = b"POST /api/v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        answer = server.ask(head % 500_000 + 500_000 * b"x")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 5\r\n" in answer
        assert server.ask(head % 50_000 + 50_000 * b"x").startswith(b"HTTP/1.1 200 ")
