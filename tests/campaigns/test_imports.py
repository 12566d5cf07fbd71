"""A very large sheet is imported in the background, chunk by chunk, whatever happens to the worker."""

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

from campaigns import imports, runs, services, sheets
from campaigns.models import Campaign, Recipient, Service, SheetImport
from iris.errors import Conflict
from tests.campaigns.workbooks import xlsx
from tests.factories import client_of, make_sheet, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def everything_is_large(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 0
    monkeypatch.setattr(imports, "CHUNK", 2)


def a_sheet() -> BytesIO:
    people = [[9841000000 + row, f"Person {row}"] for row in range(5)]
    return make_sheet(["numbers", "name"], *people[:3], ["wrong", "Nobody"], *people[3:])


def made(sheet: BytesIO | None = None) -> tuple[Campaign, SheetImport]:
    campaign, errors = services.create_campaign(
        owner=make_user(credits=10), name="Large", service=Service.SMS, sheet=sheet or a_sheet()
    )
    assert errors == []
    return campaign, campaign.imports.get()


def test_its_rows_come_later_and_its_file_goes() -> None:
    campaign, pending = made()
    assert (campaign.number_count, campaign.recipients.count()) == (0, 0)
    imports.go_on(pending.pk)
    campaign.refresh_from_db()
    pending.refresh_from_db()
    assert (campaign.number_count, campaign.tags) == (5, ["tags_name"])
    assert list(campaign.recipients.order_by("pk").values_list("tags__tags_name", flat=True)) == [
        f"Person {row}" for row in range(5)
    ]
    assert (pending.status, pending.imported, [error["row"] for error in pending.errors]) == ("done", 5, [5])
    assert not default_storage.exists(pending.file)


def test_one_that_was_interrupted_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign, pending = made()

    def die(point: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(imports, "failpoint", die)
        with pytest.raises(KeyboardInterrupt):
            imports.go_on(pending.pk)
    pending.refresh_from_db()
    assert (pending.imported, campaign.recipients.count()) == (2, 2)
    imports.go_on(pending.pk)
    imports.go_on(pending.pk)
    campaign.refresh_from_db()
    assert (campaign.number_count, campaign.recipients.count()) == (5, 5)


def test_of_two_processes_that_go_on_with_one_only_the_first_does(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign, pending = made()

    def overtake(point: str) -> None:
        """After the first chunk of one process, another one reads the rest."""
        monkeypatch.setattr(imports, "failpoint", lambda point: None)
        imports.go_on(pending.pk)

    monkeypatch.setattr(imports, "failpoint", overtake)
    imports.go_on(pending.pk)
    campaign.refresh_from_db()
    pending.refresh_from_db()
    assert (pending.status, campaign.number_count, campaign.recipients.count()) == ("done", 5, 5)


@pytest.mark.django_db(transaction=True)
def test_one_whose_database_goes_away_goes_on_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign, pending = made()
    read, passed = imports._measured, []

    def read_on_without_database(*arguments: Any) -> Any:
        for row in read(*arguments):
            passed.append(row)
            if len(passed) == 4:  # in the middle of the second chunk
                with psycopg.connect(**connection.get_connection_params()) as other:
                    other.execute(
                        "SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid]
                    )
            yield row

    with monkeypatch.context() as patched:
        patched.setattr(imports, "_measured", read_on_without_database)
        with pytest.raises(OperationalError):
            imports.go_on(pending.pk)
    pending.refresh_from_db()
    assert (pending.status, pending.imported) == ("importing", 2)
    imports.go_on(pending.pk)
    campaign.refresh_from_db()
    assert (campaign.number_count, campaign.recipients.count()) == (5, 5)


def test_one_that_breaks_off_in_the_middle_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign, pending = made()
    rows = list(sheets.open_sheet(a_sheet()))[:2]

    class Broken:
        columns: list[str] = ["tags_name"]
        errors: list[dict[str, Any]] = []

        def __iter__(self) -> Any:
            yield from rows
            raise sheets.NotASheet("The file is damaged.")

    monkeypatch.setattr(sheets, "open_sheet", lambda file: Broken())
    imports.go_on(pending.pk)
    campaign.refresh_from_db()
    pending.refresh_from_db()
    assert (pending.status, pending.message) == ("failed", "The file is damaged.")
    assert (campaign.number_count, campaign.recipients.count()) == (0, 0)


def test_one_is_refused_without_reading_what_it_had_added(monkeypatch: pytest.MonkeyPatch) -> None:
    _, pending = made()
    monkeypatch.setattr(imports, "_import_rest", lambda pending, sheet: 1 / 0)
    with CaptureQueriesContext(connection) as queries:
        imports.go_on(pending.pk)
    pending.refresh_from_db()
    assert pending.status == "failed"
    assert not [query for query in queries if re.search('^SELECT.*FROM "campaigns_recipient"', query["sql"])]


def test_rows_are_stored_as_the_sheet_has_them() -> None:
    """Whatever COPY's format or JSON might take for something else."""
    texts = ["back\\slash \\n \\. \\N", "quotes \" and '", "two\nlines", "100 % of {name}", "नेपाली 🙂", "\\"]
    headings = ["numbers", '100 % \\ "x"', "size"]
    people = [[9841000000 + row, text, 0.5] for row, text in enumerate(texts)]
    campaign, pending = made(make_sheet(headings, *people))
    imports.go_on(pending.pk)
    stored = campaign.recipients.order_by("pk").values_list("number", "to", "tags")
    assert list(stored) == [
        (str(number), f"+977{number}", {'tags_100_%_\\_"x"': text, "tags_size": size})
        for number, text, size in people
    ]


def test_a_row_with_other_tags_than_the_one_before_keeps_its_own() -> None:
    campaign, _ = made()
    tags: list[dict[str, Any]] = [{"a": 1}, {"a": 2, "b": "x"}, {}, {"b": None}, {"b": True}, {"b": 1.5}]
    imports.copy_rows(campaign, [("9841000000", "+9779841000000", its) for its in tags])
    assert list(campaign.recipients.order_by("pk").values_list("tags", flat=True)) == tags


def test_an_import_goes_on_after_its_row_even_if_rows_are_numbered_twice() -> None:
    row = '<row r="1"><c r="A1"><v>984100000{}</v></c></row>'
    campaign, pending = made(BytesIO(xlsx("".join(row.format(last) for last in range(5)))))
    pending.row = 2
    pending.save()
    imports.go_on(pending.pk)
    assert list(campaign.recipients.order_by("pk").values_list("number", flat=True)) == [
        "9841000002",
        "9841000003",
        "9841000004",
    ]


def test_the_longest_value_of_all_chunks_is_what_a_message_may_cost() -> None:
    campaign, pending = made(
        make_sheet(
            ["numbers", "name"],
            *[[9841000000 + row, "x" * length] for row, length in enumerate([1, 9, 3, 2, 7])],
        )
    )
    imports.go_on(pending.pk)
    campaign.refresh_from_db()
    assert campaign.tag_sizes["tags_name"]["longest"] == "x" * 9
    assert campaign.tag_sizes["tags_name"]["septets"] == 9


def test_one_without_a_valid_row_says_so() -> None:
    _, pending = made(make_sheet(["numbers"], ["none"]))
    imports.go_on(pending.pk)
    pending.refresh_from_db()
    assert pending.status == "failed"
    assert "valid phone number" in pending.message


def test_a_campaign_cannot_begin_before_its_numbers_are_there() -> None:
    campaign, _ = made()
    with pytest.raises(Conflict, match="still being imported"):
        runs.begin(campaign=campaign, message="Hello")


def test_the_details_show_how_far_it_is() -> None:
    campaign, pending = made()
    client: APIClient = client_of(campaign.owner)

    def shown() -> Any:
        answer = client.get(f"/api/system/campaigns/{campaign.pk}/details/")
        return json.loads(answer.content)["data"]["details"][0]["import"]

    assert shown() == {"status": "importing", "imported": 0, "message": None, "errors": []}
    imports.go_on(pending.pk)
    assert shown()["status"] == "done"
    assert shown()["imported"] == Recipient.objects.count() == 5
