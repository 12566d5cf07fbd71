"""Imports whose sheet is missing in the storage, or cannot be read from it."""

from __future__ import annotations

import platform
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.utils import timezone

from campaigns.models import SheetImport
from campaigns.recipients import background_imports, sheet_reader
from tests.campaigns.recipients.importing import create_with_sheet
from tests.factories import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def everything_is_large(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 0
    monkeypatch.setattr(sheet_reader, "CHUNK", 2)


def lose(pending: SheetImport) -> Path:
    path = Path(default_storage.path(pending.file))
    return path.rename(path.with_suffix(".elsewhere"))


def test_an_import_waits_for_a_missing_sheet(caplog: pytest.LogCaptureFixture) -> None:
    campaign, pending = create_with_sheet()
    elsewhere = lose(pending)
    background_imports.import_all()
    pending.refresh_from_db()
    assert (pending.status, pending.tries) == ("importing", 0)
    assert "keeps trying" in pending.message
    shown = client_of(campaign.owner).get(f"/api/system/campaigns/{campaign.pk}/details/").json()
    assert shown["data"]["details"][0]["import"]["message"] == pending.message
    path = default_storage.path(pending.file)
    assert path in caplog.text
    assert platform.node() in caplog.text
    assert path in import_status()
    assert not background_imports.due()

    elsewhere.rename(path)
    SheetImport.objects.update(retry_at=timezone.now())
    background_imports.import_all()
    pending.refresh_from_db()
    assert (pending.status, pending.imported, pending.message) == ("done", 5, "")
    assert import_status() == "No sheet is being imported.\n"


def import_status() -> str:
    out = StringIO()
    call_command("import_status", stdout=out)
    return out.getvalue()


def test_an_import_fails_after_its_sheet_was_missing_for_an_hour_and_blames_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    campaign, pending = create_with_sheet()
    lose(pending)
    background_imports.import_all()
    SheetImport.objects.update(retry_at=None, missing_since=timezone.now() - background_imports.MAX_MISSING)
    background_imports.import_all()
    pending.refresh_from_db()
    assert (pending.status, campaign.recipients.count()) == ("failed", 0)
    assert "a fault of the server and not of the sheet" in pending.message
    assert default_storage.path(pending.file) in caplog.text


def test_a_storage_failure_during_reading_is_not_reported_as_a_damaged_sheet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, pending = create_with_sheet(BytesIO(b"numbers\n" + b"9841000001\n" * 50_000))
    monkeypatch.setattr(sheet_reader, "CHUNK", 10_000)
    read = sheet_reader._Stored.readinto
    seen = [0]

    class Stale:
        def read(self, size: int) -> bytes:
            raise OSError(116, "Stale file handle")

    def failing(stored: Any, buffer: Any) -> int:
        if seen[0] > 300_000:  # bytes, of two chunks and more
            stored._file = Stale()
        count = read(stored, buffer)
        seen[0] += count
        return count

    with monkeypatch.context() as patched:
        patched.setattr(sheet_reader._Stored, "readinto", failing)
        background_imports.import_all()
    pending.refresh_from_db()
    assert (pending.status, "Stale" in pending.trouble) == ("importing", True)
    assert pending.imported == 20_000
    background_imports.resume_import(pending.pk)
    pending.refresh_from_db()
    assert (pending.status, pending.imported) == ("done", 50_000)
