"""campaigns.recipients.sheets refuses files that are no sheets, damaged, hostile or too large."""

import io
import tracemalloc
import zipfile
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.recipients.sheets import NotASheet, SheetTooLarge
from tests.campaigns.recipients import workbooks
from tests.campaigns.recipients.reading import opened, rejection_message, saved
from tests.campaigns.recipients.workbooks import archive, rows_of, xlsx
from tests.scale import at_scale


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty"),
        (b"\xef\xbb\xbf", "The file is empty"),
        (b"\xff\xfe", "The file is empty"),
        (b" \r\n\t\n", "The file is empty"),
        (b",,,\n,,\n", "The sheet is empty"),
        (b"<!DOCTYPE html><table><tr><td>9841234567", "a web page"),
        (b"\xef\xbb\xbf\n <html xmlns:x='urn:schemas-microsoft-com:office:excel'>", "a web page"),
        (b'<?xml version="1.0"?><Workbook/>', "an XML document"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x89PNG\r\n\x1a\n\0\0", "an image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "an image"),
        (b"ID3\x04\0\0", "a recording"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a recording"),
        (b"\x1f\x8b\x08\0", "a packed archive"),
        (b'{"number": 9841234567}', "JSON"),
        (b"[9841234567, 9801234567]", "JSON"),
        (b"{\\rtf1 9841234567}", "a text document"),
        (b"\x00\x01\x02\x03", "neither a spreadsheet nor a text file"),
        (b"9841234567\x00", "neither a spreadsheet nor a text file"),
        (b"\xfe\x9c\x00\xff", "neither a spreadsheet nor a text file"),
        ("number,name\n9841234567,Zoë\n".encode("latin-1"), "not in UTF-8"),
        (b"number\n" * 20_000 + b"\xff\xff", "beyond row"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2_000, "cannot be read as a spreadsheet"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "protected by a password",
        ),
        (b"PK\x05\x06" + b"\0" * 18, "an empty archive"),
        (b"PK\x03\x04 and no more", "damaged"),
        (archive({"numbers.xlsx": b"PK\x03\x04"}), "a packed archive"),
        (archive({"word/document.xml": "<w/>", "[Content_Types].xml": "<Types/>"}), "a Word document"),
        (archive({"[Content_Types].xml": "<Types/>", "xl/other.xml": "<x/>"}), "damaged"),
        (saved([]), "The sheet is empty"),
        (saved([[None, " "], []]), "The sheet is empty"),
    ],
)
def test_a_file_that_is_no_sheet_is_refused_with_its_kind(content: bytes, sentence: str) -> None:
    assert sentence in rejection_message(content)


def test_an_archive_with_too_much_unpacked_data_is_refused(settings: Any) -> None:
    settings.IRIS_SHEET_MAX_UNPACKED_BYTES = 1_000_000
    assert "unpacks to 5 MB; 1 MB are allowed" in rejection_message(
        xlsx(rows_of([[9841234567]]), extra={"x": bytes(5 * 2**20)})
    )


def test_an_archive_with_false_sizes_is_refused_as_damaged() -> None:
    rows = rows_of([[9841234567]] * 3_000)
    content = xlsx(rows)
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        true = packed.getinfo("xl/worksheets/sheet1.xml").file_size
    lying = content.replace(true.to_bytes(4, "little"), (20_000).to_bytes(4, "little"))
    assert lying != content
    assert "damaged" in rejection_message(lying)


def test_an_archive_with_a_wrong_checksum_is_refused_as_damaged() -> None:
    content = xlsx(rows_of([[9841234567]] * 3))
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        checksum = packed.getinfo("xl/worksheets/sheet1.xml").CRC
    assert "damaged" in rejection_message(content.replace(checksum.to_bytes(4, "little"), b"\1\2\3\4"))


def test_a_truncated_workbook_is_refused_as_damaged() -> None:
    content = xlsx(rows_of([[9841234567]] * 50))
    for length in range(4, len(content), 97):
        assert rejection_message(content[:length])


def test_an_archive_with_too_many_members_is_refused() -> None:
    assert "more parts" in rejection_message(archive({str(at): b"" for at in range(2_001)}))


def test_a_protected_archive_is_refused() -> None:
    content = bytearray(xlsx(rows_of([[9841234567]])))
    at = content.rindex(b"PK\x01\x02")
    content[at + 8] |= 1
    assert "protected by a password" in rejection_message(bytes(content))


@pytest.mark.parametrize(
    "sheet",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
        + workbooks.worksheet("<row><c><v>&b;</v></c></row>")[38:],
        workbooks.worksheet("<row>" * 100_000),
        workbooks.worksheet("<row r='1'>" + "<a>" * 1_000_000),
        workbooks.worksheet('<row r="1"><c r="A1" t="s"><v>7</v></c></row>'),
        workbooks.worksheet('<row r="1"><c r="A1" t="s"><v>-1</v></c></row>'),
        workbooks.worksheet('<row r="1"><c r="A1"><v>&undefined;</v></c></row>'),
        workbooks.worksheet('<row r="1"><c r="A1" t="str"><v>&#xD800;</v></c></row>'),
        workbooks.worksheet(f'<row r="1"><c r="A1" {"x" * 100_000}><v>1</v></c></row>'),
        workbooks.worksheet('<row r="1"><c r="A1"><v>1</v></row></c>'),
        workbooks.worksheet('<row r="1"><c r="A1"><v>9841234567</v></c></row>').replace("</sheetData>", ""),
        workbooks.worksheet('<row r="1">' + f"<c><v>{'1' * 200_000}</v></c></row>"),
        "<?xml version='1.0'?><worksheet>" + " " * 5_000_000,
        workbooks.worksheet('<row r="1"><c r="A1"><v>1</v></c></row>').encode() + b"\xff",
        "<?xml version='1.0'?>\N{GRINNING FACE}".encode() + b"\xff\xff",
    ],
)
def test_a_hostile_or_broken_part_is_refused(sheet: str | bytes) -> None:
    assert rejection_message(xlsx(sheet))


def test_two_cells_in_opposite_corners_take_little_memory() -> None:
    rows = (
        '<row r="1"><c r="A1"><v>9841234567</v></c></row>'
        '<row r="1048576"><c r="A1048576"><v>9801234567</v></c><c r="XFD1048576"><v>1</v></c></row>'
    )
    assert [row.row for row in opened(xlsx(rows))] == [1, 1048576]


def test_empty_rows_of_a_wide_sheet_take_little_memory() -> None:
    rows = '<row r="1"><c r="A1" t="str"><v>number</v></c><c r="IV1" t="str"><v>last</v></c></row>'
    content = xlsx(f'{rows}{"<row/>" * 50_000}<row r="60000"><c r="A60000"><v>9841234567</v></c></row>')
    tracemalloc.start()
    try:
        assert [row.row for row in opened(content)] == [60000]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * 2**20


def test_a_long_text_that_many_cells_share_is_stored_once() -> None:
    rows = "".join(
        f'<row r="{at}"><c r="A{at}"><v>9841234567</v></c><c r="B{at}" t="s"><v>0</v></c></row>'
        for at in range(1, 5_001)
    )
    content = xlsx(rows, strings=f"<si><t>{'न' * 30_000}</t></si>")
    tracemalloc.start()
    try:
        sheet = opened(content)
        assert list(sheet) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sheet.error_count == 5_000
    assert peak < 30 * 2**20


@pytest.mark.parametrize(
    "content",
    [workbooks.ods([["9841234567", "x"]], repeated=1_000_000), workbooks.xlsb([[9841234567.0]], corner=True)],
)
def test_an_old_format_file_that_needs_too_much_memory_is_refused(content: bytes) -> None:
    assert "spreadsheet program" in rejection_message(content)


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        list(opened(content))
    except (NotASheet, SheetTooLarge):
        return


WORKBOOK = xlsx(
    rows_of([["number", "name"], [9841234567, "Ram"]]) + '<row r="3"><c r="A3" t="s"><v>0</v></c></row>',
    strings="<si><t>9801234567</t></si>",
    styles='<cellXfs><xf numFmtId="14"/></cellXfs>',
)


@pytest.mark.field
@given(at=st.integers(0, len(WORKBOOK) - 1), byte=st.integers(0, 255))
@settings(deadline=None, max_examples=at_scale(100, 5000), suppress_health_check=[HealthCheck.too_slow])
def test_a_workbook_with_one_wrong_byte_is_read_or_refused(at: int, byte: int) -> None:
    content = bytearray(WORKBOOK)
    content[at] = byte
    try:
        rows = list(opened(bytes(content)))
    except (NotASheet, SheetTooLarge):
        return
    assert len(rows) <= 3


PARTS = [
    "[Content_Types].xml",
    "xl/workbook.xml",
    "xl/_rels/workbook.xml.rels",
    "xl/worksheets/sheet1.xml",
    "xl/styles.xml",
]


@pytest.mark.field
@given(
    part=st.sampled_from(PARTS),
    content=st.binary(max_size=50) | st.sampled_from([b"<a/>", b"<worksheet><sheetData>"]),
)
@settings(deadline=None, max_examples=at_scale(100, 5000))
def test_a_workbook_with_any_part_replaced_is_read_or_refused(part: str, content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(WORKBOOK)) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    try:
        list(opened(archive({**members, part: content})))
    except (NotASheet, SheetTooLarge):
        return
