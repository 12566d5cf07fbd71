"""The tables that reports write as CSV and XLSX, in parts, as programs read them."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from campaigns.report_files import formats
from campaigns.report_files.formats import Cell, Row, TooLargeToWrite, writer_of

HEADINGS = ["number", "credits", "at", "name"]
NOON = datetime(2026, 11, 30, 12, 5)
ROWS: list[Row] = [
    ["9841000001", Decimal("1.50"), NOON, "सीता"],
    ["+9779841000002", Decimal("0.00"), None, ' <b> & "quoted" '],
    ["9841000003", 12, None, ""],
    ["9841000004", 2.5, None, None],
]


def write(format: str, rows: Sequence[Row], *, parts: int = 1, title: str = "People") -> bytes:
    """Write a table in parts, each with a writer of its own, as processes do that continue where others stopped."""
    state: dict[str, Any] = {}
    written = b""
    for part in range(parts):
        writer = writer_of(format, json.loads(json.dumps(state)))
        if part == 0:
            writer.begin(title, HEADINGS)
        writer.add(rows[part * len(rows) // parts : (part + 1) * len(rows) // parts])
        if part == parts - 1:
            writer.end()
        written += writer.take()
        state = writer.state
    return written


def read(content: bytes) -> list[list[tuple[Cell, ...]]]:
    """Return the rows of each sheet of an XLSX file."""
    book = load_workbook(io.BytesIO(content))
    return [[tuple(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets]


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_xlsx_has_numbers_moments_and_texts(parts: int) -> None:
    assert read(write("xlsx", ROWS, parts=parts)) == [
        [
            tuple(HEADINGS),
            ("9841000001", 1.5, NOON, "सीता"),
            ("+9779841000002", 0, None, ' <b> & "quoted" '),
            ("9841000003", 12, None, None),
            ("9841000004", 2.5, None, None),
        ]
    ]


def test_parts_make_the_same_csv_as_one_writer() -> None:
    written = write("csv", ROWS, parts=3)
    assert written == write("csv", ROWS)
    rows = list(csv.reader(io.StringIO(written.decode("utf-8-sig"))))
    assert rows[1] == ["9841000001", "1.50", "2026-11-30 12:05", "सीता"]


def test_every_member_of_the_archive_is_intact() -> None:
    with zipfile.ZipFile(io.BytesIO(write("xlsx", ROWS, parts=4))) as archive:
        assert archive.testzip() is None
        assert "xl/worksheets/sheet1.xml" in archive.namelist()


@pytest.mark.parametrize("format", ["xlsx", "csv"])
@pytest.mark.parametrize("text", ["=1+1", "+1-1", "@SUM(A1)", "a;=1+1", "\t=1", " =1", "-2", "＝1"])
def test_no_cell_is_a_formula(format: str, text: str) -> None:
    written = write(format, [["9841000001", 1, None, text]])
    if format == "xlsx":
        value = read(written)[0][1][3]
        with zipfile.ZipFile(io.BytesIO(written)) as archive:
            assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")
    else:
        value = next(csv.reader(io.StringIO(written.decode("utf-8-sig").split("\n", 1)[1])))[3]
    assert "'" in str(value)


def test_a_full_sheet_continues_on_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_ROWS", 3)
    sheets = read(write("xlsx", [[f"98410{n:05}", n, None, "x"] for n in range(7)], parts=3))
    assert [len(sheet) for sheet in sheets] == [3, 3, 3, 2]
    assert {sheet[0] for sheet in sheets} == {tuple(HEADINGS)}
    assert [row[1] for sheet in sheets for row in sheet[1:]] == list(range(7))


def test_a_sheet_that_is_too_large_for_the_archive_continues_on_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(formats, "MAX_UNPACKED", 1_000)
    sheets = read(write("xlsx", [["9841000001", 1, None, "x" * 2_000]] * 3, parts=3))
    assert [len(sheet) for sheet in sheets] == [2, 2, 2]


def test_a_file_that_no_program_could_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_FILE", 500)
    with pytest.raises(TooLargeToWrite):
        write("xlsx", ROWS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x01b", "a\x01b"),
        ("_x0041_", "_x0041_"),
        ("a\r\nb", "a\r\nb"),
        ("a\nb", "a\nb"),
        ("\ufffe", "\ufffe"),
        ("😀" * 20_000, "😀" * 16_383),
        ("x" * 40_000, "x" * 32_767),
        (10**15, str(10**15)),
        (True, "True"),
    ],
)
def test_any_text_can_be_read_again(text: Cell, shown: str) -> None:
    value = read(write("xlsx", [["9841000001", 1, None, text]]))[0][1][3]
    # openpyxl writes such characters as Excel does, but does not read them so.
    assert formats._SPECIAL.sub(lambda found: f"_x{ord(found[0]):04X}_", shown) in (value, shown)
    assert (
        str(value)
        .replace("_x005F_", "_")
        .replace("_x0001_", "\x01")
        .replace("_x000D_", "\r")
        .replace("_xFFFE_", "\ufffe")
        == shown
    )


@given(
    st.lists(
        st.tuples(
            st.text(max_size=8).filter(lambda text: "\x00" not in text),
            st.integers() | st.none(),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=20,
    ),
    st.integers(1, 4),
)
def test_any_table_is_a_workbook_that_programs_open(rows: list[tuple[Cell, ...]], parts: int) -> None:
    sheets = read(write("xlsx", rows, parts=parts))
    assert len(sheets) == 1
    assert len(sheets[0]) == 1 + len(rows)
