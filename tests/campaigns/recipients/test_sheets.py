"""campaigns.recipients.sheets finds the numbers and tags of a sheet, and reports rows that have none."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from campaigns.recipients.sheets import SheetRow, SheetTooLarge, open_sheet
from tests.campaigns.recipients import workbooks
from tests.campaigns.recipients.reading import RAM, opened, rejection_message, saved


def test_a_sheet_gives_numbers_with_a_tag_for_every_other_column() -> None:
    sheet = opened(
        saved(
            [
                ["numbers", "name", "age", "salary"],
                [9841234567, "राम ", 25, "३०,०००"],
                [9841234567, "सीता", 30.5, None],
                ["+977 980-1234567", " Hari\xa0Gopal ", 25.0, "x"],
            ]
        )
    )
    assert sheet.columns == ["tags_name", "tags_age", "tags_salary"]
    assert sheet.number_heading == "numbers"
    assert list(sheet) == [
        SheetRow(2, *RAM, {"tags_name": "राम", "tags_age": 25, "tags_salary": "३०,०००"}),
        SheetRow(3, *RAM, {"tags_name": "सीता", "tags_age": 30.5, "tags_salary": ""}),
        SheetRow(
            4,
            "+977 980-1234567",
            "+9779801234567",
            {"tags_name": "Hari Gopal", "tags_age": 25, "tags_salary": "x"},
        ),
    ]
    assert sheet.errors == []
    assert sheet.error_count == 0


@pytest.mark.parametrize(
    "heading",
    [
        *(
            "number",
            "Numbers",
            " PHONE ",
            "phone number",
            "Phone_Number",
            "phone-no.",
            "Mobile",
            "MOBILE NO.",
        ),
        *("contact", "Contact Number:", "फोन नम्बर", "मोबाइल", "सम्पर्क नम्बर"),
    ],
)
def test_a_column_with_a_known_heading_has_the_numbers(heading: str) -> None:
    sheet = opened(saved([["S.N.", "name", heading], [1, "Ram", 9841234567]]))
    assert sheet.columns == ["tags_S.N.", "tags_name"]
    assert list(sheet) == [SheetRow(2, *RAM, {"tags_S.N.": 1, "tags_name": "Ram"})]


def test_a_phone_column_is_preferred_to_a_contact_column() -> None:
    sheet = opened("contact,phone\nRam,9841234567\n")
    assert list(sheet) == [SheetRow(2, *RAM, {"tags_contact": "Ram"})]


def test_without_a_known_heading_the_first_column_has_the_numbers() -> None:
    sheet = opened("whom,name\n9841234567,Ram\n")
    assert sheet.number_heading == "whom"
    assert list(sheet) == [SheetRow(2, *RAM, {"tags_name": "Ram"})]


def test_headings_become_tags() -> None:
    sheet = opened("number, Full  name ,name,,name,{age},tags_ward,name\n9841234567,a,b,c,d,e,f,g\n")
    assert sheet.columns == [
        "tags_Full_name",
        "tags_name",
        "tags_name_2",
        "tags_age",
        "tags_ward",
        "tags_name_3",
    ]
    assert list(next(iter(sheet)).tags.values()) == ["a", "b", "d", "e", "f", "g"]


@pytest.mark.parametrize(
    ("text", "columns", "row"),
    [
        ("9841234567", [], SheetRow(1, *RAM, {})),
        ("9841234567,Ram,25", ["tags_column2", "tags_column3"], {"tags_column2": "Ram", "tags_column3": 25}),
        ("Ram;9841234567", ["tags_column1"], {"tags_column1": "Ram"}),
        ("\n\n98675432123", [], SheetRow(3, "98675432123", "", {})),
    ],
)
def test_tags_of_a_sheet_without_headings_are_named_by_position(
    text: str, columns: list[str], row: Any
) -> None:
    sheet = opened(text)
    assert sheet.columns == columns
    assert list(sheet) == [row if isinstance(row, SheetRow) else SheetRow(1, *RAM, row)]


def test_a_single_row_of_several_numbers_is_refused() -> None:
    assert "in one row" in rejection_message("9841234567,9801234567,9811234567\n")
    assert len(list(opened("9841234567,9801234567\n9841234568,9801234568\n"))) == 2


def test_blank_rows_are_skipped_and_invalid_ones_reported_with_their_row_number() -> None:
    sheet = opened(
        saved([[], ["number", "name"], ["abc", "x"], [], [9841234567, "Ram"], [None, "Sita"], [" ", " "]])
    )
    assert [row.row for row in sheet] == [5]
    assert [error["row"] for error in sheet.errors] == [3, 6]
    assert sheet.errors[0]["message"].startswith("“abc” has characters that no phone number has")
    assert sheet.errors[1]["message"].startswith("The phone number is missing")


def test_only_the_first_hundred_errors_are_kept_but_all_are_counted() -> None:
    sheet = opened("number\n" + "abc\n" * 250 + "9841234567\n")
    for _ in range(2):
        assert [row.row for row in sheet] == [252]
        assert [error["row"] for error in sheet.errors] == list(range(2, 102))
        assert sheet.error_count == 250


def test_a_sheet_can_be_iterated_twice() -> None:
    for content in (
        saved([["number"], [9841234567]]),
        b"number\n9841234567\n",
        workbooks.ods([["9841234567"]]),
    ):
        sheet = opened(content)
        assert list(sheet) == list(sheet)
        assert len(list(sheet)) == 1


def test_an_upload_is_read_and_left_open() -> None:
    for content in (saved([["number"], [9841234567]]), b"number\n9841234567\n"):
        upload = SimpleUploadedFile("phpA1b2C3", content, content_type="<Content-type header>")
        assert [row.number for row in open_sheet(upload)] == ["9841234567"]  # type: ignore[arg-type]
        assert not upload.closed


def test_short_rows_are_filled_and_long_rows_are_cut() -> None:
    sheet = opened("number,name,age\n9841234567\n9801234567,Sita,30,more\n")
    assert [row.tags for row in sheet] == [
        {"tags_name": "", "tags_age": ""},
        {"tags_name": "Sita", "tags_age": 30},
    ]


def test_an_overlong_value_is_reported() -> None:
    sheet = opened(f"number,name\n9841234567,{'x' * 1001}\n9841234567,{'x' * 1000}\n")
    assert [row.row for row in sheet] == [3]
    assert sheet.errors == [
        {"row": 2, "message": "The value of tags_name is longer than 1,000 characters. Shorten it."}
    ]


def test_too_many_rows_are_refused_with_the_limit(settings: Any) -> None:
    settings.IRIS_SHEET_MAX_ROWS = 3
    assert len(list(opened("number\n\n" + "9841234567\n" * 3 + "\n\n"))) == 3
    sheet = opened("number\n9841234567\nabc\n9841234567\n9841234567\n")
    with pytest.raises(SheetTooLarge, match="more than 3 rows"):
        list(sheet)
