"""Write tables as CSV and XLSX in parts, so that another process can continue where one has stopped.

The bytes of all parts, one after another, are the file. A writer's `state` is all it needs to continue. An XLSX file is a
ZIP archive of XML files. Here each member is written front to back: its checksum and its size follow the data. The
compressed data of a member may consist of several streams that follow one another, because each ends at a full byte.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, TypeAlias
from xml.sax.saxutils import quoteattr

from campaigns.models.report_files import ReportFormat
from iris.spreadsheets import cell, line_writer

Cell: TypeAlias = str | int | float | Decimal | datetime | None
Row: TypeAlias = Sequence[Cell]

MAX_ROWS = 1_048_576  # in one sheet, for all programs that read XLSX
MAX_UNPACKED = 3 * 2**30  # of one sheet; a ZIP member of 4 GB needs an extension that not all programs read
MAX_FILE = 4 * 2**30 - 2**20  # the same holds for the whole archive
MAX_CHARACTERS = 32_767  # of a cell, counted in UTF-16
LEVEL = 3  # of the compression: higher levels take twice the time and save little in a table
EXACT = 10**15  # spreadsheets calculate with 15 digits, so larger numbers are written as text


class TooLargeToWrite(Exception):
    """The file would be larger than programs can read."""


class TableWriter(Protocol):
    """Writes a table: `begin`, `add` any number of times, `end`. `take` returns the bytes since the last call of it."""

    def begin(self, title: str, headings: Sequence[str]) -> None: ...

    def add(self, rows: Iterable[Row]) -> None: ...

    def end(self) -> None: ...

    def take(self) -> bytes: ...

    @property
    def state(self) -> dict[str, Any]: ...

    @property
    def size(self) -> int:
        """About how many bytes `take` would return."""
        ...


def writer_of(format: str, state: Mapping[str, Any]) -> TableWriter:
    return XlsxWriter(state) if format == ReportFormat.XLSX else CsvWriter()


class CsvWriter:
    """CSV in UTF-8. Texts that a spreadsheet would calculate begin with an apostrophe."""

    def __init__(self) -> None:
        self._write = line_writer()
        self._lines: list[str] = []
        self.size = 0

    def begin(self, title: str, headings: Sequence[str]) -> None:
        self._lines.append("\ufeff")  # without the byte order mark, Excel assumes another encoding
        self.add([headings])

    def add(self, rows: Iterable[Row]) -> None:
        write = self._write
        lines = "".join([write([cell(_as_text(value)) for value in row]) for row in rows])
        self._lines.append(lines)
        self.size += len(lines)

    def end(self) -> None:
        pass

    def take(self) -> bytes:
        written = "".join(self._lines).encode()
        self._lines, self.size = [], 0
        return written

    @property
    def state(self) -> dict[str, Any]:
        return {}


def _as_text(value: Cell) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return f"{value:f}" if isinstance(value, Decimal) else value


class XlsxWriter:
    """XLSX with the headings on every sheet. Texts are the same as in CSV, with the same apostrophes."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._title: str = state.get("title", "")
        self._headings: list[str] = list(state.get("headings", ()))
        self._offset: int = state.get("offset", 0)
        # The finished members of the archive as (name, offset, checksum, packed, unpacked), and the unfinished sheet.
        self._members: list[tuple[str, int, int, int, int]] = [tuple(one) for one in state.get("members", ())]
        self._sheet: list[int] | None = state.get("sheet")  # offset, checksum, packed, unpacked, rows
        self._packer: zlib._Compress | None = None
        self._written: list[bytes] = []
        self.size = 0

    @property
    def state(self) -> dict[str, Any]:
        return {
            "title": self._title,
            "headings": self._headings,
            "offset": self._offset,
            "members": self._members,
            "sheet": self._sheet,
        }

    def begin(self, title: str, headings: Sequence[str]) -> None:
        self._title, self._headings = title, list(headings)
        self._open_sheet()

    def add(self, rows: Iterable[Row]) -> None:
        assert self._sheet is not None
        lines: list[str] = []
        used = self._sheet[4]
        for row in rows:
            if used == MAX_ROWS or self._sheet[3] > MAX_UNPACKED:
                self._pack("".join(lines))
                self._sheet[4] = used
                self._close_sheet()
                self._open_sheet()
                lines, used = [], self._sheet[4]
            lines.append(f"<row>{''.join([_cell(value) for value in row])}</row>")
            used += 1
        self._pack("".join(lines))
        self._sheet[4] = used

    def end(self) -> None:
        self._close_sheet()
        sheets = len(self._members)
        for name, content in _other_members(self._title, sheets):
            self._add_member(name, content.encode())
        directory = b"".join(_entry(*member) for member in self._members)
        count = len(self._members)
        tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(directory), self._offset, 0)
        self._write(directory + tail)

    def take(self) -> bytes:
        if self._packer is not None:
            self._flush(zlib.Z_FULL_FLUSH)
        written = b"".join(self._written)
        self._written, self.size = [], 0
        return written

    def _open_sheet(self) -> None:
        offset = self._offset
        self._write(_header(_sheet_name(self._sheets + 1)))
        self._sheet = [offset, 0, 0, 0, 1]
        headings = "".join(_heading(text) for text in self._headings)
        self._pack(f"{_SHEET_BEGIN}{_columns(self._headings)}<sheetData><row>{headings}</row>")

    def _close_sheet(self) -> None:
        assert self._sheet is not None
        self._pack("</sheetData></worksheet>")
        self._flush(zlib.Z_FINISH)
        offset, checksum, packed, unpacked, _ = self._sheet
        self._members.append((_sheet_name(self._sheets + 1), offset, checksum, packed, unpacked))
        self._write(_descriptor(checksum, packed, unpacked))
        self._sheet = None

    @property
    def _sheets(self) -> int:
        return len(self._members)

    def _add_member(self, name: str, content: bytes) -> None:
        offset = self._offset
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        packed = packer.compress(content) + packer.flush()
        checksum = zlib.crc32(content)
        self._write(_header(name) + packed + _descriptor(checksum, len(packed), len(content)))
        self._members.append((name, offset, checksum, len(packed), len(content)))

    def _pack(self, text: str) -> None:
        assert self._sheet is not None
        content = text.encode()
        if self._packer is None:
            self._packer = zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
        packed = self._packer.compress(content)
        self._sheet[1] = zlib.crc32(content, self._sheet[1])
        self._sheet[2] += len(packed)
        self._sheet[3] += len(content)
        self._write(packed)

    def _flush(self, mode: int) -> None:
        assert self._packer is not None
        assert self._sheet is not None
        packed = self._packer.flush(mode)
        self._packer = None
        self._sheet[2] += len(packed)
        self._write(packed)

    def _write(self, content: bytes) -> None:
        self._offset += len(content)
        if self._offset > MAX_FILE:
            raise TooLargeToWrite
        self._written.append(content)
        self.size += len(content)


_FLAGS = 0x0808  # checksum and sizes follow the data; names are in UTF-8
_DATE = (2026 - 1980) << 9 | 1 << 5 | 1  # programs show no date of a member
_NEEDS = 20  # version 2.0 of ZIP


def _header(name: str) -> bytes:
    encoded = name.encode()
    fixed = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", _NEEDS, _FLAGS, 8, 0, _DATE, 0, 0, 0, len(encoded), 0)
    return fixed + encoded


def _descriptor(checksum: int, packed: int, unpacked: int) -> bytes:
    return struct.pack("<4sIII", b"PK\x07\x08", checksum, packed, unpacked)


def _entry(name: str, offset: int, checksum: int, packed: int, unpacked: int) -> bytes:
    encoded = name.encode()
    fixed = struct.pack(
        "<4sHHHHHHIIIHHHHHII",
        b"PK\x01\x02", _NEEDS, _NEEDS, _FLAGS, 8, 0, _DATE, checksum, packed, unpacked,
        len(encoded), 0, 0, 0, 0, 0, offset,
    )  # fmt: skip
    return fixed + encoded


_EPOCH = datetime(1899, 12, 30)
# Characters that XML cannot contain or would change, and texts that look like their replacement.
_SPECIAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\r\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def _cell(value: Cell) -> str:
    if value is None or value == "":
        return "<c/>"
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t{_escaped(value)}</t></is></c>'
    if isinstance(value, Decimal):
        return f'<c s="1"><v>{value:f}</v></c>'
    if isinstance(value, datetime):
        return f'<c s="2"><v>{(value - _EPOCH).total_seconds() / 86400!r}</v></c>'
    if isinstance(value, int | float) and not isinstance(value, bool) and -EXACT < value < EXACT:
        return f"<c><v>{value!r}</v></c>"
    return f'<c t="inlineStr"><is><t{_escaped(str(value))}</t></is></c>'


def _heading(text: str) -> str:
    return f'<c t="inlineStr" s="3"><is><t{_escaped(text)}</t></is></c>'


def _escaped(text: str) -> str:
    """Return the end of the tag `<t`, and the text as XML."""
    text = str(cell(text))
    if len(text) > MAX_CHARACTERS // 2:
        text = text.encode("utf-16-le")[: 2 * MAX_CHARACTERS].decode("utf-16-le", "ignore")
    space = "" if text == text.strip() else ' xml:space="preserve"'
    if _SPECIAL.search(text):
        text = _SPECIAL.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    return f"{space}>{text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}"


def _columns(headings: Sequence[str]) -> str:
    widths = "".join(
        f'<col min="{place}" max="{place}" width="{min(max(len(text) + 3, 12), 40)}" customWidth="1"/>'
        for place, text in enumerate(headings, start=1)
    )
    return f"<cols>{widths}</cols>"


def _sheet_name(number: int) -> str:
    return f"xl/worksheets/sheet{number}.xml"


_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
# The first row stays on the screen while people scroll.
_SHEET_BEGIN = (
    f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2"'
    ' activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
)
_PLAIN = 'fillId="0" borderId="0"'
# The formats of cells: none, an amount, a moment, a heading.
_STYLES = (
    f'{_XML}<styleSheet xmlns="{_MAIN}"><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm"/>'
    '</numFmts><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/>'
    '<name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill><fill>'
    '<patternFill patternType="gray125"/></fill></fills><borders count="1"><border><left/><right/><top/><bottom/>'
    f'<diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" {_PLAIN}/></cellStyleXfs>'
    f'<cellXfs count="4"><xf numFmtId="0" fontId="0" {_PLAIN} xfId="0"/>'
    f'<xf numFmtId="2" fontId="0" {_PLAIN} xfId="0" applyNumberFormat="1"/>'
    f'<xf numFmtId="164" fontId="0" {_PLAIN} xfId="0" applyNumberFormat="1"/>'
    f'<xf numFmtId="0" fontId="1" {_PLAIN} xfId="0" applyFont="1"/></cellXfs><cellStyles count="1">'
    '<cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)


def _other_members(title: str, sheets: int) -> list[tuple[str, str]]:
    """Return the members of the archive that name the sheets and their formats."""
    numbers = range(1, sheets + 1)
    named = "".join(
        f'<sheet name={quoteattr(title if number == 1 else f"{title} {number}")} sheetId="{number}" r:id="rId{number}"/>'
        for number in numbers
    )
    related = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in numbers
    )
    parts = "".join(
        f'<Override PartName="/{_sheet_name(number)}" ContentType="{_TYPE}.worksheet+xml"/>'
        for number in numbers
    )
    return [
        (
            "xl/workbook.xml",
            f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{named}</sheets></workbook>',
        ),
        (
            "xl/_rels/workbook.xml.rels",
            f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{related}<Relationship Id="rId{sheets + 1}"'
            f' Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
        ),
        ("xl/styles.xml", _STYLES),
        (
            "_rels/.rels",
            f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1"'
            f' Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        ),
        (
            "[Content_Types].xml",
            f'{_XML}<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType='
            f'"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType='
            f'"application/xml"/><Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>{parts}</Types>',
        ),
    ]
