"""Imports of several accounts take turns, and a hanging reader delays no other import."""

from __future__ import annotations

import threading
from io import BytesIO
from typing import Any

import pytest

from campaigns import services
from campaigns.models import Service, SheetImport
from campaigns.recipients import background_imports, sheet_reader, sheets
from tests.campaigns.recipients.importing import create_with_sheet
from tests.factories import make_account, make_sheet

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def everything_is_large(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 0
    monkeypatch.setattr(sheet_reader, "CHUNK", 2)


def test_imports_of_several_accounts_alternate_chunk_by_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second account's sheet is finished before the second sheet of the first account begins."""
    owner = make_account(credits=10)
    large = [
        services.create_campaign(account=owner, name="Large", service=Service.SMS, sheet=long_sheet(40))[0]
        for _ in range(2)
    ]
    small, _ = create_with_sheet()
    order: list[int] = []
    commit = background_imports._commit

    def noting(pending: SheetImport, chunk: Any, **options: Any) -> None:
        assert pending.campaign_id is not None
        order.append(pending.campaign_id)
        commit(pending, chunk, **options)

    monkeypatch.setattr(background_imports, "_commit", noting)
    background_imports.import_all()
    assert order.index(small.pk) < 10
    assert [campaign.recipients.count() for campaign in (*large, small)] == [40, 40, 5]
    first_of_second = order.index(large[1].pk)
    assert set(order[first_of_second:]) == {large[1].pk}


def long_sheet(rows: int) -> BytesIO:
    return make_sheet(["numbers"], *[[9841000000 + row] for row in range(rows)])


def test_more_accounts_than_readers_all_make_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_imports, "MAX_READERS", 2)
    monkeypatch.setattr(background_imports, "SHORT_TIME_SLICE_SECONDS", 0)
    campaigns = [create_with_sheet(long_sheet(8))[0] for _ in range(5)]
    served: list[int] = []
    for _ in range(40):
        background_imports.import_all()
        served.append(sum(campaign.recipients.exists() for campaign in campaigns))
        if served[-1] == 5:
            break
    # Each time slice ends when its two imports have made progress. The next one takes the waiting accounts.
    assert served[:3] == [2, 4, 5]
    while background_imports.due():
        background_imports.import_all()
    assert [campaign.recipients.count() for campaign in campaigns] == [8] * 5


def test_a_hanging_reader_delays_no_other_import_and_finally_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hung, pending = create_with_sheet()
    other, _ = create_with_sheet()
    released = threading.Event()
    steps = sheets.Sheet.steps
    hanging = threading.local()
    run = sheet_reader.SheetReader.run

    def marked(reader: sheet_reader.SheetReader) -> None:
        hanging.name = reader._file
        run(reader)

    def hang(sheet: sheets.Sheet, *, after: int = 0) -> Any:
        if hanging.name == pending.file:
            released.wait(120)
        yield from steps(sheet, after=after)

    monkeypatch.setattr(sheet_reader.SheetReader, "run", marked)
    monkeypatch.setattr(sheets.Sheet, "steps", hang)
    monkeypatch.setattr(background_imports, "MAX_READER_SILENCE_SECONDS", 0.5)
    try:
        background_imports.import_all()
        assert other.recipients.count() == 5
        for _ in range(background_imports.MAX_TRIES):
            background_imports.resume_import(pending.pk)
    finally:
        released.set()
    pending.refresh_from_db()
    assert (pending.status, hung.recipients.count()) == ("failed", 0)
    assert pending.message.startswith("Reading the sheet failed several times")
