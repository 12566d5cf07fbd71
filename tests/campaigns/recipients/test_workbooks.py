"""campaigns.recipients.sheets reads the rows of workbooks, however their parts are written."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.recipients.sheets import SheetRow
from tests.campaigns.recipients import workbooks
from tests.campaigns.recipients.reading import RAM, SITA, opened
from tests.campaigns.recipients.workbooks import rows_of, xlsx

DATA = Path(__file__).with_name("data")


TABLE = st.lists(
    st.lists(
        st.none()
        | st.integers(-(10**15), 10**16)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(alphabet="aन&<>\"' \n_x0D", max_size=8),
        max_size=5,
    ),
    max_size=6,
)


@given(TABLE)
@settings(deadline=None)
def test_the_pattern_and_expat_read_the_same_rows(table: list[list[Any]]) -> None:
    table = [["number", "b", "c", "d", "e"], *([9841234567, *row[1:]] for row in table)]
    rows = rows_of(table)
    plain = list(opened(xlsx(rows)))
    assert len(plain) == len(table) - 1
    assert plain == list(opened(xlsx(rows.replace("</row>", "<!-- other lane --></row>"))))
    assert plain == list(opened(xlsx(workbooks.prefixed_worksheet(table))))


@given(st.lists(st.sampled_from(["plain", "comment", "prefix", "blank", "gap"]), max_size=12))
@settings(deadline=None)
def test_rows_read_by_pattern_and_by_expat_keep_their_order_and_numbers(kinds: list[str]) -> None:
    rows, expected, at = "", [], 1
    for kind in kinds:
        at += 3 if kind == "gap" else 1
        cell = f'<c r="A{at}"><v>{9841000000 + at}</v></c>'
        if kind == "comment":
            cell += "<!-- <c -->"
        rows += f'<row r="{at}"/>' if kind == "blank" else f'<row r="{at}" spans="1:1">{cell}</row>\n'
        expected += [] if kind == "blank" else [(at, str(9841000000 + at))]
    # Long texts make the file span several chunks.
    filler = f'<row r="9000"><c r="B9000" t="str"><v>{"x" * 200_000}</v></c></row>'
    content = xlsx(rows_of([["number"]]) + rows + filler)
    assert [(row.row, row.number) for row in opened(content)] == expected


@given(
    st.lists(
        st.lists(st.sampled_from(["A", "B", "C", "Z", "AB", "IV", "XFD"]), max_size=5), min_size=1, max_size=9
    )
)
@settings(deadline=None)
def test_rows_may_grow_wider_and_have_gaps(table: list[list[str]]) -> None:
    rows = '<row r="1"><c r="A1" t="str"><v>number</v></c><c r="IV1" t="str"><v>last</v></c></row>'
    expected = []
    for at, columns in enumerate(table, start=2):
        letters = sorted({"A", *columns}, key=lambda letters: (len(letters), letters))
        cells = "".join(f'<c r="{column}{at}"><v>{9841000000 + at}</v></c>' for column in letters)
        rows += f'<row r="{at}">{cells}</row>'
        expected.append((at, 9841000000 + at if "IV" in letters else ""))
    narrow_first = f'<row r="1"/>{rows.replace("IV1", "B1", 1)}'
    assert [(row.row, row.tags["tags_last"]) for row in opened(xlsx(rows))] == expected
    assert [row.row for row in opened(xlsx(narrow_first))] == [at for at, _ in expected]


def test_a_sheet_without_heading_has_as_many_columns_as_its_first_row() -> None:
    rows = rows_of([[None], [9841234567, "Ram"], [9841234567, "Sita", None, "more"]])
    assert opened(xlsx(rows)).columns == ["tags_column2"]


def test_row_numbers_rise_even_if_the_file_numbers_rows_wrongly() -> None:
    rows = "".join(f'<row r="{at}"><c r="A{at}"><v>9841234567</v></c></row>' for at in (3, 3, 1, 9))
    assert [row.row for row in opened(xlsx(rows))] == [3, 4, 5, 9]


@pytest.mark.parametrize(
    "rows",
    [
        "<row><c><v>9841234567</v></c><c t='str'><v>Ram</v></c></row>",
        "<row r='1'><c r='B1' t='str'><v>Ram</v></c><c r='A1'><v>9841234567</v></c></row>",
        '<row spans="1:2" r="1"><c r="B1" t="str"><v>Ram</v></c><c r="A1"><v>9841234567</v></c></row>',
        '<row r="1"><c r="A1"><v>9841234567</v></c><c r="B1" t="str"><v>Ram</v></c><c r="XFD1"/></row>',
        '<?pi?><row r="1">\n <c r="A1"> <v>9841234567</v></c>\n <c r="B1" t="str"><v>Ram</v></c>\n</row>',
    ],
)
def test_rows_with_unusual_xml_are_read(rows: str) -> None:
    assert list(opened(xlsx(rows))) == [SheetRow(1, *RAM, {"tags_column2": "Ram"})]


def test_a_workbook_in_utf_16_is_read() -> None:
    sheet = workbooks.worksheet(rows_of([["number", "नाम"], [9841234567, "राम"]])).replace("UTF-8", "UTF-16")
    assert list(opened(xlsx(sheet.encode("utf-16")))) == [SheetRow(2, *RAM, {"tags_नाम": "राम"})]


def test_parts_are_found_regardless_of_case_and_slashes() -> None:
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(xlsx(rows_of([[9841234567]])))) as source,
        zipfile.ZipFile(content, "w") as target,
    ):
        for name in source.namelist():
            target.writestr(name.replace("sheet1", "Sheet1").replace("/", "\\"), source.read(name))
    assert len(list(opened(content.getvalue()))) == 1


@pytest.mark.parametrize(
    ("sheets", "states", "number"),
    [
        (["", rows_of([[9841234567]])], [], RAM),
        (['<row r="1"><c r="A1"/></row>', rows_of([[9841234567]])], [], RAM),
        ([rows_of([[9841234567]]), rows_of([[9801234567]])], [], RAM),
        ([rows_of([[9841234567]]), rows_of([[9801234567]])], ["hidden", "visible"], SITA),
        ([rows_of([[9841234567]]), ""], ["veryHidden", "visible"], RAM),
    ],
)
def test_the_first_worksheet_that_is_not_empty_is_read(
    sheets: list[str], states: list[str], number: tuple[str, str]
) -> None:
    assert list(opened(xlsx(*sheets, states=states))) == [SheetRow(1, *number, {})]


def test_chart_sheets_are_ignored() -> None:
    content = xlsx(
        "<?xml version='1.0'?><chartsheet/>", rows_of([[9841234567]]), kinds=["chartsheet", "worksheet"]
    )
    assert len(list(opened(content))) == 1


def test_an_xls_workbook_is_read() -> None:
    """numbers.xls has an empty sheet, and a second one whose table begins in B3."""
    sheet = opened((DATA / "numbers.xls").read_bytes())
    assert sheet.columns == ["tags_name", "tags_age", "tags_joined"]
    assert list(sheet) == [
        SheetRow(4, *RAM, {"tags_name": "राम", "tags_age": 25, "tags_joined": "2026-01-31"}),
        SheetRow(5, *SITA, {"tags_name": "Sita", "tags_age": 30.5, "tags_joined": ""}),
    ]
    assert [error["row"] for error in sheet.errors] == [7]


@pytest.mark.parametrize("make", [workbooks.ods, workbooks.xlsb])
def test_ods_and_xlsb_workbooks_are_read(make: Any) -> None:
    sheet = opened(make([["number", "name"], ["9841234567", "राम"], ["9801234567", "सीता"]]))
    assert list(sheet) == [SheetRow(2, *RAM, {"tags_name": "राम"}), SheetRow(3, *SITA, {"tags_name": "सीता"})]
