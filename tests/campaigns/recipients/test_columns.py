"""iris finds the column with the phone numbers, and the row with the headings."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from campaigns.models import Campaign, Recipient
from campaigns.recipients.sheets import open_sheet
from campaigns.recipients.sheets.columns import NumberColumnUnclear
from campaigns.recipients.sheets.headings import has_phone_word, is_id
from tests.factories import make_account
from tests.v0 import Caller

RAM, SITA, HARI = 9841000001, 9841000002, 9841000003


def opened(rows: list[Any], **options: Any) -> Any:
    text = "\n".join(",".join("" if cell is None else str(cell) for cell in row) for row in rows)
    return open_sheet(io.BytesIO(text.encode()), **options)


def numbers(rows: list[Any], **options: Any) -> list[int]:
    return [int(row.number) for row in opened(rows, **options)]


@pytest.mark.parametrize(
    "heading",
    [
        *(
            "Parent Phone",
            "Guardian Mobile",
            "Father's Mobile",
            "Contact No. *",
            "Mobile Number (10 digit)",
            "Phone No (Father)",
        ),
        *(
            "Cell No",
            "WhatsApp Number",
            "Mobile1",
            "Phone 1",
            "URN:Tel",
            "parent_mobile",
            "parentMobile",
            "Tel. No.",
            "Ph. No.",
        ),
        *(
            "मोबाइल नं.",
            "मोबाईल नं",
            "सम्पर्क नं.",
            "फोन नं.",
            "अभिभावकको मोबाइल नम्बर",
            "सम्पर्क नम्बर *",
            "Customer Mobile",
        ),
    ],
)
def test_a_heading_with_a_phone_word_names_the_column(heading: str) -> None:
    sheet = opened([["Consumer No", "Name", heading], [9812000001, "Ram", RAM], [9812000002, "Sita", SITA]])
    assert [int(row.number) for row in sheet] == [RAM, SITA]
    assert sheet.number_heading == heading
    assert sheet.number_column == "C"
    assert sheet.columns[1] == "tags_Name"


@pytest.mark.parametrize(
    "heading", ["Consumer No", "Student ID", "क्र.सं.", "S.N.", "Roll No.", "ग्राहक नं.", "Account"]
)
def test_the_numbers_of_an_id_column_are_never_called(heading: str) -> None:
    assert numbers([[heading, "Name", "X"], [14352001, "Ram", RAM], [61520123, "Sita", SITA]]) == [RAM, SITA]
    with pytest.raises(NumberColumnUnclear, match="number_column"):
        opened([[heading, "Name"], [14352001, "Ram"], [61520123, "Sita"]])


def test_two_columns_of_phone_numbers_are_refused_until_the_client_chooses_one() -> None:
    rows = [["Name", "Father Mobile", "Mother Mobile"], ["Ram", RAM, SITA], ["Hari", HARI, SITA]]
    with pytest.raises(NumberColumnUnclear) as caught:
        opened(rows)
    assert "“Father Mobile” (column B), “Mother Mobile” (column C)" in caught.value.message
    assert caught.value.errors[0]["field"] == "number_column"
    assert numbers(rows, number_column="mother mobile") == [SITA, SITA]
    assert numbers(rows, number_column="B") == [RAM, HARI]


def test_an_unknown_number_column_is_refused_with_the_names_of_the_columns() -> None:
    with pytest.raises(NumberColumnUnclear, match="no column “Telephone”. It has “number” [(]column A[)]"):
        opened([["number", "name"], [RAM, "Ram"]], number_column="Telephone")


def test_without_a_phone_word_the_only_column_of_numbers_is_used_even_with_landlines() -> None:
    sheet = opened([["Name", "Whom to call"], ["Ram", "01-5912345"], ["Sita", SITA], ["Hari", HARI]])
    assert [row.to for row in sheet] == ["+97715912345", f"+977{SITA}", f"+977{HARI}"]


def test_a_column_with_too_few_numbers_is_not_chosen_automatically() -> None:
    rows: list[list[Any]] = [
        ["Name", "Remark"],
        *[["Ram", f"note {at}"] for at in range(7)],
        *[["Sita", SITA]] * 3,
    ]
    with pytest.raises(NumberColumnUnclear, match="“Remark” [(]column B[)]"):
        opened(rows)


def test_the_first_column_is_used_if_most_of_its_values_are_numbers() -> None:
    assert numbers([["Whom", "Name"], [RAM, "Ram"], ["wrong", "Sita"], [HARI, "Hari"]]) == [RAM, HARI]
    assert numbers([["Whom", "Also"], [RAM, SITA], [HARI, SITA]]) == [RAM, HARI], "two are as good: the first"


def test_a_column_with_numbers_is_preferred_to_an_exact_heading_without_any() -> None:
    assert numbers([["Contact", "Parent Phone"], ["Ram", RAM], ["Sita", SITA]]) == [RAM, SITA]


@pytest.mark.parametrize(
    "above",
    [
        [["Shree Sample School"], ["Class 5 Section A"]],
        [["Shree Sample School"], [], ["Contact list 2082"]],
        [["Phone", "", "", ""]],
        [["Student", "", "Parent", ""]],
        [["Shree Sample School", 9801000009]],
    ],
)
def test_titles_and_group_headings_above_the_heading_are_skipped(above: list[list[Any]]) -> None:
    sheet = opened(
        [*above, ["S.N.", "Name", "Class", "Mobile No."], [1, "Ram", 5, RAM], [2, "Sita", 5, SITA]]
    )
    assert sheet.columns == ["tags_S.N.", "tags_Name", "tags_Class"]
    assert [int(row.number) for row in sheet] == [RAM, SITA]
    assert sheet.errors == []


def test_titles_above_an_unknown_heading_are_skipped() -> None:
    sheet = opened([["Shree Sample School"], ["S.N.", "Name", "X"], [1, "Ram", RAM], [2, "Sita", SITA]])
    assert (sheet.columns, sheet.number_heading) == (["tags_S.N.", "tags_Name"], "X")


def test_a_first_row_with_an_invalid_number_is_reported_instead_of_used_as_heading() -> None:
    sheet = opened([["98410", "Hari"], [RAM, "Ram"], [SITA, "Sita"]])
    assert [int(row.number) for row in sheet] == [RAM, SITA]
    assert [error["row"] for error in sheet.errors] == [1]


def test_the_columns_of_a_wide_sheet_are_decided_from_fewer_rows() -> None:
    heading = ["Name", *[f"Column {at}" for at in range(200)], "Parent mobile"]
    sheet = opened([heading, *[["Ram", *[1234567890123] * 200, RAM]] * 500])
    assert sheet.number_heading == "Parent mobile"


@pytest.mark.parametrize(
    ("heading", "is_phone", "counts"),
    [
        ("Hotel", False, False),
        ("Cancelled", False, False),
        ("Contact ID", False, True),
        ("Customer", False, True),
        ("Customer phone", True, False),
        ("नाम", False, False),
        ("मोबाइलमा पठाउने", True, False),
        ("Roll", False, True),
        ("Paid", False, False),
    ],
)
def test_headings_are_classified_as_phone_or_id(heading: str, is_phone: bool, counts: bool) -> None:
    assert (has_phone_word(heading), is_id(heading)) == (is_phone, counts)


@pytest.mark.django_db
class TestApi:
    ROWS = "Name,Father Mobile,Mother Mobile\nRam,9841000001,9841000002\n"

    def fields(self, **more: Any) -> dict[str, Any]:
        sheet = SimpleUploadedFile("numbers.csv", self.ROWS.encode())
        return {"name": "Ward", "services": "SMS", "send_to_number_file": sheet, **more}

    def test_v0_names_the_candidates_and_the_field_that_chooses(self) -> None:
        caller = Caller(make_account())
        answer = caller.post("/api/system/campaigns/", self.fields(), format="multipart", status=400)
        assert "“Father Mobile” (column B)" in answer["message"]
        assert answer["errors"][0]["field"] == "number_column"
        assert not Campaign.objects.exists()

    def test_v0_imports_the_chosen_column_and_names_it(self) -> None:
        caller = Caller(make_account())
        fields = self.fields(number_column="Mother Mobile")
        answer = caller.post("/api/system/campaigns/", fields, format="multipart", status=201)
        assert answer["data"]["details"][0]["number_column"] == "Mother Mobile"
        assert Recipient.objects.get().number == "9841000002"
