"""All parts of a sheet that are not imported are reported to the client."""

from __future__ import annotations

import io
from typing import Any

import pytest

from campaigns.recipients.sheets import NotASheet, Sheet, open_sheet
from tests.campaigns.recipients.workbooks import archive, rows_of, xlsx

HEADING: list[object] = ["numbers", "name"]


def opened(content: bytes | str) -> Sheet:
    return open_sheet(io.BytesIO(content if isinstance(content, bytes) else content.encode()))


def read(content: bytes | str) -> tuple[list[tuple[str, Any]], list[dict[str, Any]]]:
    sheet = opened(content)
    found = [(row.number, row.tags.get("tags_name")) for row in sheet]
    assert [(row.number, row.tags.get("tags_name")) for row in sheet] == found, "again the same"
    return found, sheet.errors


def test_further_worksheets_with_rows_are_reported() -> None:
    ward = rows_of([HEADING, [9841000001, "Ram"]])
    found, errors = read(xlsx(ward, "", rows_of([[], ["x"]]), rows_of([HEADING])))
    assert found == [("9841000001", "Ram")]
    assert [error["row"] for error in errors] == [2, 1]
    assert "The worksheet “Sheet3” has rows too, and was not read" in errors[0]["message"]
    assert "“Sheet4”" in errors[1]["message"]


@pytest.mark.parametrize("hidden", ['hidden="1"', "hidden='true'", 'ht="0" hidden="1" customHeight="1"'])
def test_rows_hidden_by_a_filter_are_skipped_and_reported(hidden: str) -> None:
    rows = [HEADING, *[[9841000000 + at, f"Person {at}"] for at in range(2, 6)]]
    xml = (
        rows_of(rows)
        .replace('<row r="3"', f'<row {hidden} r="3"')
        .replace('<row r="4"', f'<row r="4" {hidden}')
    )
    found, errors = read(xlsx(xml))
    assert [number for number, _ in found] == ["9841000002", "9841000005"]
    ((error),) = errors
    assert error["row"] == 3
    assert error["message"].startswith("2 rows are hidden in the sheet")


def test_a_sheet_with_only_hidden_rows_is_refused_with_the_reason() -> None:
    xml = rows_of([HEADING, [9841000001, "Ram"]]).replace("<row ", '<row hidden="1" ')
    with pytest.raises(NotASheet, match="2 rows are hidden"):
        opened(xlsx(xml))


def test_an_unclosed_quotation_mark_skips_only_its_own_row() -> None:
    found, errors = read('numbers,name\n9841000001,Ram\n9841000002,"Sita\n9841000003,Hari\n9841000004,Gita\n')
    assert found == [("9841000001", "Ram"), ("9841000003", "Hari"), ("9841000004", "Gita")]
    assert [error["row"] for error in errors] == [3]
    assert 'a " that is never closed' in errors[0]["message"]


@pytest.mark.parametrize(
    "closing", ['9841000004,"Gita\n', '9841000004,Gita"\n', '9841000004,"Gita"\n', '"9841000004",Gita\n']
)
def test_rows_between_two_single_quotation_marks_are_imported(closing: str) -> None:
    found, errors = read(
        f'numbers,name\n9841000001,Ram\n9841000002,"Sita\n9841000003,Hari\n{closing}9841000005,Anu\n'
    )
    assert {"9841000001", "9841000003", "9841000005"} <= {number for number, _ in found}
    assert 3 in [error["row"] for error in errors]
    assert not any("\n" in str(name) for _, name in found)


def test_two_hundred_rows_after_an_unclosed_quotation_mark_are_read() -> None:
    rows = "".join(f"98410{at:05},Person {at}\n" for at in range(10, 2210))
    found, errors = read('numbers,name\n9841000002,"Sita\n' + rows)
    assert len(found) == 2200
    assert [error["row"] for error in errors] == [2]


def test_a_cell_with_several_lines_is_one_cell() -> None:
    found, errors = read('numbers,name\n9841000001,"Ram\nWard 4, Tole A\nTel 015912345"\n')
    assert found == [("9841000001", "Ram\nWard 4, Tole A\nTel 015912345")]
    assert errors == []


def test_a_sheet_with_many_unclosed_quotation_marks_is_refused() -> None:
    with pytest.raises(NotASheet, match="like 100 above it"):
        read("numbers,name\n" + '9841000001,"Sita\n' * 500)


def test_an_overlong_line_and_its_rest_are_skipped() -> None:
    found, errors = read("numbers\n9841000001\n" + "9" * 1_000_000 + "9841000002\n9841000003\n")
    assert [number for number, _ in found] == ["9841000001", "9841000003"]
    assert [error["row"] for error in errors] == [3]


@pytest.mark.parametrize(
    "cells",
    [
        '<c r="a2"><v>9841000001</v></c><c r="b2" t="str"><v>Ram</v></c>',
        '<c r="A2"><v>9841000001</v></c><c r="B2" t="inlineStr"><v>0</v><is><t>Ram</t></is></c>',
        '<c r="A2"><v>9841000001</v></c><c r="B2" t="inlineStr"><is><t>Ram</t></is><v>0</v></c>',
        '<c r="A2"><v>9841000001</v></c></row><row r="2"><c r="B2" t="str"><v>Ram</v></c>',
        '<c><v>9841000001</v></c><c r="?" t="str"><v>Ram</v></c>',
    ],
)
def test_cells_with_unusual_xml_are_read(cells: str) -> None:
    heading = rows_of([HEADING])
    assert read(xlsx(f'{heading}<row r="2">{cells}</row>')) == ([("9841000001", "Ram")], [])


def test_columns_beyond_the_limit_are_reported_once() -> None:
    far = '<c r="IW2" t="str"><v>x</v></c>'
    cells = '<c r="A{0}"><v>984100000{0}</v></c>'
    rows = "".join(f'<row r="{at}">{cells.format(at)}{far}</row>' for at in (2, 3))
    found, errors = read(xlsx(rows_of([HEADING]) + rows))
    assert len(found) == 2
    assert [error["message"] for error in errors] == [
        "Columns beyond the first 256 are not read. Leave out the columns that no message needs."
    ]


@pytest.mark.parametrize("folder", ["", "wtf/"])
def test_a_workbook_with_parts_in_other_folders_is_read(folder: str) -> None:
    import zipfile

    packed = zipfile.ZipFile(io.BytesIO(xlsx(rows_of([HEADING, [9841000001, "Ram"]]))))
    members = {
        name.replace("xl/", folder, 1): packed.read(name)
        .decode()
        .replace('"xl/workbook.xml"', f'"{folder}workbook.xml"')
        .replace("/xl/", "/" + folder)
        for name in packed.namelist()
    }
    assert read(archive(members)) == ([("9841000001", "Ram")], [])


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ('t="d"><v>PT0H11M0.000S</v>', "0:11"),
        ('t="d"><v>PT36H5M7S</v>', "36:05:07"),
        ('t="d"><v>2026-02-01T10:30:00</v>', "2026-02-01 10:30:00"),
        ('s="1"><v>7</v>', "007"),
        ('s="2"><v>0.125</v>', "12.5%"),
        ('s="3"><v>1.5</v>', "36:00"),
        ('s="4"><v>0.1</v>', "10%"),
        ('s="5"><v>1250.5</v>', 1250.5),
    ],
)
def test_numbers_are_read_as_the_sheet_shows_them(cell: str, shown: object) -> None:
    codes = ["000", "0.0%", "[h]:mm", "0%", '"Rs. "#,##0.00']
    formats = "".join(
        f'<numFmt numFmtId="{200 + at}" formatCode="{code.replace(chr(34), "&quot;")}"/>'
        for at, code in enumerate(codes)
    )
    styles = f"<numFmts>{formats}</numFmts><cellXfs><xf numFmtId='0'/>" + "".join(
        f'<xf numFmtId="{200 + at}"/>' for at in range(len(codes))
    )
    row = f'<row r="2"><c r="A2"><v>9841000001</v></c><c r="B2" {cell}</c></row>'
    assert read(xlsx(rows_of([HEADING]) + row, styles=f"{styles}</cellXfs>")) == ([("9841000001", shown)], [])


@pytest.mark.parametrize(
    ("cell", "numbers"),
    [
        ("9841000001/9851000001", ["9841000001", "9851000001"]),
        ("9841000001, 9851000001", ["9841000001", "9851000001"]),
        ("9841000001,", ["9841000001"]),
        ("9841000001;", ["9841000001"]),
        ("tel:+9779841000001", ["+9779841000001"]),
        ("Mob: 9841000001", ["9841000001"]),
        ("मो. ९८४१०००००१", ["9841000001"]),
        ("9841000001\n01-5912345", ["9841000001", "01-5912345"]),
        ("9841000001 / 9841000001", ["9841000001"]),
        ("9,841,000,001", ["9841000001"]),
    ],
)
def test_several_numbers_in_one_cell_become_several_recipients(cell: str, numbers: list[str]) -> None:
    found, errors = read(xlsx(rows_of([HEADING, [cell, "Ram"], [9841000009, "Sita"]])))
    assert found == [*[(number, "Ram") for number in numbers], ("9841000009", "Sita")]
    assert errors == []


@pytest.mark.parametrize("cell", ["9,841,000", "9841000001 / 98", "9841000001 (Ram)", "1 / 2"])
def test_a_cell_with_an_uncertain_list_of_numbers_is_reported(cell: str) -> None:
    found, errors = read(xlsx(rows_of([HEADING, [cell, "Ram"], [9841000009, "Sita"]])))
    assert [number for number, _ in found] == ["9841000009"]
    assert [error["row"] for error in errors] == [2]
