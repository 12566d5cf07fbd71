"""A large sheet is imported in the background in chunks, and survives failures of the worker."""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import Any

import psycopg
import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from campaigns import runs, services
from campaigns.models import Campaign, Recipient, Service, SheetImport
from campaigns.recipients import background_imports, editing, imports, sheet_reader, sheets
from iris.errors import Conflict
from tests.campaigns.recipients.importing import create_with_sheet, large_sheet
from tests.campaigns.recipients.workbooks import xlsx
from tests.factories import client_of, make_account, make_sheet

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def everything_is_large(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 0
    monkeypatch.setattr(sheet_reader, "CHUNK", 2)


def test_a_large_sheet_is_imported_in_the_background_and_its_file_deleted() -> None:
    campaign, pending = create_with_sheet()
    assert (campaign.number_count, campaign.recipients.count()) == (0, 0)
    background_imports.resume_import(pending.pk)
    campaign.refresh_from_db()
    pending.refresh_from_db()
    assert (campaign.number_count, campaign.tags) == (5, ["tags_name"])
    assert list(campaign.recipients.order_by("pk").values_list("tags__tags_name", flat=True)) == [
        f"Person {row}" for row in range(5)
    ]
    assert (pending.status, pending.imported, [error["row"] for error in pending.errors]) == ("done", 5, [5])
    assert not default_storage.exists(pending.file)


def test_an_interrupted_import_resumes_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign, pending = create_with_sheet()

    def die(point: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(background_imports, "failpoint", die)
        with pytest.raises(KeyboardInterrupt):
            background_imports.resume_import(pending.pk)
    pending.refresh_from_db()
    assert (pending.imported, campaign.recipients.count()) == (2, 2)
    background_imports.resume_import(pending.pk)
    background_imports.resume_import(pending.pk)
    campaign.refresh_from_db()
    assert (campaign.number_count, campaign.recipients.count()) == (5, 5)


def test_of_two_processes_that_resume_an_import_only_the_first_continues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    campaign, pending = create_with_sheet()

    def overtake(point: str) -> None:
        """After the first chunk of one process, let another process read the rest."""
        monkeypatch.setattr(background_imports, "failpoint", lambda point: None)
        background_imports.resume_import(pending.pk)

    monkeypatch.setattr(background_imports, "failpoint", overtake)
    background_imports.resume_import(pending.pk)
    campaign.refresh_from_db()
    pending.refresh_from_db()
    assert (pending.status, campaign.number_count, campaign.recipients.count()) == ("done", 5, 5)


@pytest.mark.django_db(transaction=True)
def test_an_import_resumes_after_the_database_was_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign, pending = create_with_sheet()
    copy, passed = imports.copy_lines, []

    def copy_without_database(campaign: Campaign, lines: list[str]) -> int:
        def cut_off() -> Any:
            for line in lines:
                passed.append(line)
                if len(passed) == 4:  # in the middle of the second chunk
                    with psycopg.connect(**connection.get_connection_params()) as other:
                        other.execute(
                            "SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid]
                        )
                yield line

        return copy(campaign, cut_off())

    with monkeypatch.context() as patched:
        patched.setattr(imports, "copy_lines", copy_without_database)
        with pytest.raises(OperationalError):
            background_imports.resume_import(pending.pk)
    pending.refresh_from_db()
    assert (pending.status, pending.imported) == ("importing", 2)
    background_imports.resume_import(pending.pk)
    campaign.refresh_from_db()
    assert (campaign.number_count, campaign.recipients.count()) == (5, 5)


def test_an_import_that_fails_in_the_middle_adds_no_recipients(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign, pending = create_with_sheet()
    steps = sheets.Sheet.steps

    def broken(sheet: sheets.Sheet, *, after: int = 0) -> Any:
        for at, row in enumerate(steps(sheet, after=after)):
            if at == 3:
                raise sheets.NotASheet("The file is damaged.")
            yield row

    monkeypatch.setattr(sheets.Sheet, "steps", broken)
    background_imports.resume_import(pending.pk)
    campaign.refresh_from_db()
    pending.refresh_from_db()
    assert (pending.status, pending.message) == ("failed", "The file is damaged.")
    assert (campaign.number_count, campaign.recipients.count()) == (0, 0)


def test_a_failed_import_deletes_its_recipients_without_reading_them(monkeypatch: pytest.MonkeyPatch) -> None:
    _, pending = create_with_sheet()
    monkeypatch.setattr(background_imports, "_commit", lambda *args, **options: 1 / 0)
    with CaptureQueriesContext(connection) as queries:
        background_imports.resume_import(pending.pk)
    pending.refresh_from_db()
    assert pending.status == "failed"
    assert not [query for query in queries if re.search('^SELECT.*FROM "campaigns_recipient"', query["sql"])]


def test_rows_are_stored_as_the_sheet_has_them() -> None:
    """Values keep characters that have a meaning in COPY's format or in JSON."""
    texts = ["back\\slash \\n \\. \\N", "quotes \" and '", "two\nlines", "100 % of {name}", "नेपाली 🙂", "\\"]
    headings = ["numbers", '100 % \\ "x"', "size"]
    people = [[9841000000 + row, text, 0.5] for row, text in enumerate(texts)]
    campaign, pending = create_with_sheet(make_sheet(headings, *people))
    background_imports.resume_import(pending.pk)
    stored = campaign.recipients.order_by("pk").values_list("number", "to", "tags")
    assert list(stored) == [
        (str(number), f"+977{number}", {'tags_100_%_\\_"x"': text, "tags_size": size})
        for number, text, size in people
    ]


def test_a_row_with_other_tags_than_the_previous_row_keeps_its_own_tags() -> None:
    campaign, _ = create_with_sheet()
    tags: list[dict[str, Any]] = [{"a": 1}, {"a": 2, "b": "x"}, {}, {"b": None}, {"b": True}, {"b": 1.5}]
    imports.copy_rows(campaign, [("9841000000", "+9779841000000", its) for its in tags])
    assert list(campaign.recipients.order_by("pk").values_list("tags", flat=True)) == tags


def test_an_import_resumes_after_its_row_even_if_rows_are_numbered_twice() -> None:
    row = '<row r="1"><c r="A1"><v>984100000{}</v></c></row>'
    campaign, pending = create_with_sheet(BytesIO(xlsx("".join(row.format(last) for last in range(5)))))
    pending.row = 2
    pending.save()
    background_imports.resume_import(pending.pk)
    assert list(campaign.recipients.order_by("pk").values_list("number", flat=True)) == [
        "9841000002",
        "9841000003",
        "9841000004",
    ]


def test_tag_sizes_cover_the_longest_value_of_all_chunks() -> None:
    campaign, pending = create_with_sheet(
        make_sheet(
            ["numbers", "name"],
            *[[9841000000 + row, "x" * length] for row, length in enumerate([1, 9, 3, 2, 7])],
        )
    )
    background_imports.resume_import(pending.pk)
    campaign.refresh_from_db()
    assert campaign.tag_sizes["tags_name"]["longest"] == "x" * 9
    assert campaign.tag_sizes["tags_name"]["septets"] == 9


def test_an_import_without_a_valid_row_fails_with_a_message() -> None:
    _, pending = create_with_sheet(make_sheet(["numbers"], ["none"]))
    background_imports.resume_import(pending.pk)
    pending.refresh_from_db()
    assert pending.status == "failed"
    assert "valid phone number" in pending.message


def test_a_campaign_cannot_begin_during_an_import() -> None:
    campaign, _ = create_with_sheet()
    with pytest.raises(Conflict, match="still being imported"):
        runs.begin(campaign=campaign, message="Hello")


def test_the_campaign_details_show_the_progress_of_an_import() -> None:
    campaign, pending = create_with_sheet()
    client: APIClient = client_of(campaign.owner)

    def import_details() -> Any:
        answer = client.get(f"/api/system/campaigns/{campaign.pk}/details/")
        return json.loads(answer.content)["data"]["details"][0]["import"]

    assert import_details() == {"status": "importing", "imported": 0, "message": None, "errors": []}
    background_imports.resume_import(pending.pk)
    assert import_details()["status"] == "done"
    assert import_details()["imported"] == Recipient.objects.count() == 5


# Kinds of large sheets ---------------------------------------------------------------------------------------


def uploaded(content: bytes, settings: Any) -> tuple[Campaign, SheetImport | None]:
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 5 * 2**20
    campaign, *_ = services.create_campaign(
        account=make_account(credits=10), name="Dense", service=Service.SMS, sheet=BytesIO(content)
    )
    return campaign, campaign.imports.first()


def test_a_sheet_of_20_000_rows_is_imported_in_the_request_and_one_of_20_001_later(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a limit on processor time: it is not the subject of this test, and depends on the load of the machine.
    budget = sheets.in_request()
    budget.seconds = 60
    monkeypatch.setattr(sheets, "in_request", lambda: budget)
    monkeypatch.setattr(sheet_reader, "CHUNK", 20_000)
    row = b"9841000001\n"
    campaign, pending = uploaded(b"numbers\n" + 20_000 * row, settings)
    assert (campaign.number_count, pending) == (20_000, None)
    campaign, pending = uploaded(b"numbers\n" + 20_001 * row, settings)
    assert campaign.number_count == 0
    assert pending is not None
    background_imports.resume_import(pending.pk)
    campaign.refresh_from_db()
    assert campaign.number_count == 20_001


def test_a_small_file_with_a_huge_sheet_is_imported_by_a_worker(settings: Any) -> None:
    _, pending = uploaded(xlsx("<row/>" * 150_000), settings)
    assert pending is not None
    background_imports.resume_import(pending.pk)
    pending.refresh_from_db()
    assert (pending.status, pending.message.split(".")[0]) == ("failed", "The sheet is empty")


def test_a_background_import_beyond_its_budget_fails_and_names_the_limit(settings: Any) -> None:
    campaign, pending = create_with_sheet(make_sheet(["numbers"], *[[9841000000 + row] for row in range(5)]))
    settings.IRIS_SHEET_MAX_ROWS = 4
    background_imports.resume_import(pending.pk)
    pending.refresh_from_db()
    campaign.refresh_from_db()
    assert (pending.status, campaign.number_count, campaign.recipients.count()) == ("failed", 0, 0)
    assert pending.message.startswith("The sheet has more than 4 rows. Send the numbers as several files")


def test_a_sheet_is_read_while_no_transaction_is_open(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 5 * 2**20
    depth = len(connection.savepoint_ids)
    open_sheet, seen = sheets.open_sheet, []

    def noting(*args: Any, **options: Any) -> Any:
        seen.append(len(connection.savepoint_ids))
        return open_sheet(*args, **options)

    monkeypatch.setattr(sheets, "open_sheet", noting)
    owner = make_account(credits=10)
    campaign, *_ = services.create_campaign(account=owner, name="x", service=Service.SMS, sheet=large_sheet())
    editing.import_sheet(campaign=campaign, file=large_sheet())
    assert seen == [depth, depth]
    assert campaign.recipients.count() == 10


def test_a_stored_sheet_is_deleted_if_its_campaign_is_not_created(monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[str] = []
    save = default_storage.save

    def noting(*args: Any) -> str:
        stored.append(save(*args))
        return stored[-1]

    monkeypatch.setattr(default_storage, "save", noting)
    monkeypatch.setattr(Campaign.objects, "create", lambda **fields: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        create_with_sheet()
    (name,) = stored
    assert not default_storage.exists(name)


def test_rows_that_were_skipped_before_an_interruption_are_still_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, pending = create_with_sheet(
        make_sheet(["numbers"], ["a"], [9841000001], [9841000002], ["b"], [9841000003])
    )
    with monkeypatch.context() as killed:
        killed.setattr(background_imports, "failpoint", lambda point: 1 / 0)
        killed.setattr(background_imports, "_fail", lambda pending, message: None)
        background_imports.resume_import(pending.pk)
    pending.refresh_from_db()
    assert (pending.status, [error["row"] for error in pending.errors]) == ("importing", [2])
    background_imports.resume_import(pending.pk)
    pending.refresh_from_db()
    assert [error["row"] for error in pending.errors] == [2, 5]
