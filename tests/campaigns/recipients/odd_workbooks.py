"""Generate odd but legal spreadsheets, each from its seed, by four kinds of writers.

A sheet is a table with one column of phone numbers. Everything that senders do to their lists is put round it: titles,
blank rows, two heading rows, hidden rows, further worksheets, formulas, formats, unusual XML and encodings.
"""

from __future__ import annotations

import csv
import datetime
import io
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import openpyxl
import xlsxwriter  # type: ignore[import-untyped]
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

from tests.campaigns.recipients.workbooks import MAIN, archive, ods, xlsb, xlsx

PHONE_HEADINGS = (
    "number",
    "Mobile No.",
    "मोबाइल नं.",
    "Phone",
    "Guardian Mobile *",
    "contact_number",
    "सम्पर्क नं.",
)
OTHER_HEADINGS = (
    "Name",
    "नाम",
    "S.N.",
    "Ward No",
    "Due date",
    "Amount",
    "Share",
    "Remarks",
    "Class / Sec",
    "Name",
)
NAMES = (
    "Ram Bahadur",
    "सीता देवी",
    'O\'Neil "Ann"',
    "Hari, ward 4",
    "गीता\nवडा ५",
    "  Anu  ",
    "=Sita",
    "हरि 👨‍👩‍👧",
)
BROKEN_NUMBERS = ("-", "n/a", "98410", "not known", "#", "०००", "9841-00", "12/05/2080")


@dataclass
class Table:
    """The rows of one worksheet, from row 1. `hidden` are row numbers, from 1."""

    rows: list[list[object]]
    hidden: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class OddFile:
    """A file, and the phone numbers that were written into it (10 digits each)."""

    name: str
    content: bytes
    numbers: frozenset[str]


def odd_file(seed: int) -> OddFile:
    """Return the file of this seed. All writers take turns."""
    chance = random.Random(seed)
    kind, write = WRITERS[seed % len(WRITERS)]
    tables = [_table(chance, seed)]
    if chance.random() < 0.2:
        tables.append(_table(chance, seed + 500_000))
    content = write(chance, tables)
    numbers = frozenset(number for table in tables for number in phones_in(table.rows))
    if kind in _ONE_TABLE:
        numbers = frozenset(phones_in(tables[0].rows))
    return OddFile(f"{kind}-{seed}", content, numbers)


def phones_in(rows: list[list[object]]) -> list[str]:
    """Return the mobile numbers in a table's cells, as 10 digits."""
    return [phone for row in rows for cell in row for phone in phones_of(cell)]


def phones_of(cell: object) -> list[str]:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = str(cell).translate(_ASCII_DIGITS)
    return [
        match[-10:]
        for match in re.findall(r"(?<!\d)(?:00977|977)?9[78]\d{8}(?!\d)", re.sub(r"[ \-]", "", text))
    ]


_ASCII_DIGITS = {ord("०") + digit: str(digit) for digit in range(10)}


def _table(chance: random.Random, seed: int) -> Table:
    width = chance.randint(1, 6)
    at = chance.randrange(width)
    rows: list[list[object]] = []
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        rows.append([chance.choice(("Shree Sample School", "Class 5, Section A", "सूची २०८१"))])
    if chance.random() < 0.2:
        rows.append([])
    if width > 2 and chance.random() < 0.15:
        rows.append(["Student", None, "Parent"])
    headings: list[object] = [chance.choice(OTHER_HEADINGS) for _ in range(width)]
    headings[at] = chance.choice(PHONE_HEADINGS)
    if width > 1 or rows or chance.random() < 0.7:
        rows.append(headings)
    first = len(rows)
    for place in range(chance.randint(1, 25)):
        if chance.random() < 0.06:
            rows.append([None] * chance.randrange(width + 1))
        row = [_other_cell(chance) for _ in range(width)]
        row[at] = _phone_cell(chance, 9_840_000_000 + seed % 100_000 * 100 + place)
        rows.append(row[: chance.choice((width, width, width, max(at + 1, width - 1)))])
    hidden = set()
    if chance.random() < 0.15:
        hidden = {row for row in range(first + 1, len(rows) + 1) if chance.random() < 0.3}
    return Table(rows, hidden)


def _phone_cell(chance: random.Random, number: int) -> object:
    text = str(number)
    forms: tuple[Callable[[], object], ...] = (
        lambda: number,
        lambda: float(number),
        lambda: text,
        lambda: f"+977-{text}",
        lambda: f"00977{text}",
        lambda: f"{text[:4]} {text[4:7]} {text[7:]}",
        lambda: f"Mob: {text}",
        lambda: f"tel:+977{text}",
        lambda: f"{text},",
        lambda: f"{text} / 97{text[2:]}",
        lambda: "".join(chr(ord("०") + int(digit)) for digit in text),
        lambda: f"\u202a{text}\u202c",
        lambda: chance.choice(BROKEN_NUMBERS),
    )
    return forms[
        min(chance.randrange(len(forms) + 8), len(forms) - 1)
        if chance.random() < 0.4
        else chance.randrange(3)
    ]()


def _other_cell(chance: random.Random) -> object:
    return chance.choice(
        (
            chance.choice(NAMES),
            chance.choice(NAMES),
            chance.randint(1, 32),
            round(chance.uniform(0, 99_999), 2),
            datetime.date(2026, chance.randint(1, 12), chance.randint(1, 28)),
            datetime.datetime(2026, 3, 4, chance.randint(0, 23), 5),
            datetime.time(chance.randint(0, 23), 30),
            True,
            None,
            "",
            "x" * chance.choice((1, 200)),
        )
    )


def _openpyxl(chance: random.Random, tables: list[Table]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    if chance.random() < 0.15:
        sheet.title = "Read me"  # an empty sheet before the list
        sheet = book.create_sheet()
    for place, table in enumerate(tables):
        sheet = book.create_sheet(f"Ward {place}") if place else sheet
        for at, row in enumerate(table.rows, start=1):
            for column, value in enumerate(row, start=1):
                cell = sheet.cell(at, column)
                if isinstance(value, str) and value.startswith("="):
                    cell.data_type = "s"
                    cell._value = value
                elif value is not None:
                    cell.value = value
                if isinstance(value, int) and chance.random() < 0.1:
                    cell.number_format = chance.choice(
                        ("0", "@", "#,##0", "000", '"No. "0', "0.00%", "General")
                    )
                if chance.random() < 0.05:
                    cell.font = Font(bold=True)
            sheet.row_dimensions[at].hidden = at in table.hidden
        if chance.random() < 0.2 and table.rows and table.rows[0]:
            sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=3)
        if chance.random() < 0.2:
            sheet.freeze_panes = "A2"
        if chance.random() < 0.2:
            sheet.auto_filter.ref = f"A1:C{len(table.rows)}"
        if chance.random() < 0.2:
            sheet.column_dimensions["A"].hidden = True
        if chance.random() < 0.1:
            sheet.cell(
                len(table.rows) + chance.choice((3, 500)), 1
            ).number_format = "0.00"  # formatted, empty
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _xlsxwriter(chance: random.Random, tables: list[Table]) -> bytes:
    file = io.BytesIO()
    options = {
        "in_memory": True,
        "constant_memory": chance.random() < 0.3,  # inline strings
        "strings_to_numbers": chance.random() < 0.2,
        "use_zip64": chance.random() < 0.1,
        "default_date_format": "dd/mm/yyyy",
        "date_1904": chance.random() < 0.1,
    }
    with xlsxwriter.Workbook(file, options) as book:
        bold = book.add_format({"bold": True})
        for table in tables:
            sheet = book.add_worksheet()
            for at, row in enumerate(table.rows):
                if at + 1 in table.hidden:
                    sheet.set_row(at, None, None, {"hidden": True})
                for column, value in enumerate(row):
                    if isinstance(value, str) and value and chance.random() < 0.1:
                        sheet.write_rich_string(at, column, bold, value, " ") if value.strip() else None
                    elif isinstance(value, str):
                        sheet.write_string(at, column, value)
                    elif isinstance(value, (int, float)) and chance.random() < 0.1:
                        sheet.write_formula(at, column, f"={value!r}".replace("True", "TRUE()"), None, value)
                    elif isinstance(value, (datetime.date, datetime.time)):
                        sheet.write_datetime(at, column, value)
                    elif value is not None:
                        sheet.write(at, column, value)
    return file.getvalue()


def _by_hand(chance: random.Random, tables: list[Table]) -> bytes:
    """Write XML as less common programs do."""
    small, without_reference, shared = chance.random() < 0.15, chance.random() < 0.15, chance.random() < 0.4
    strings: list[str] = []
    parts = []
    for table in tables:
        xml = ""
        for at, row in enumerate(table.rows, start=1):
            hidden = ' hidden="1"' if at in table.hidden else ""
            xml += "<row>" if without_reference and not hidden else f'<row r="{at}"{hidden}>'
            for column, value in enumerate(row):
                reference = f"{'ABCDEF'[column]}{at}"
                where = "" if without_reference else f' r="{reference.lower() if small else reference}"'
                xml += _cell_xml(value, where, chance, strings if shared else None)
            xml += "</row>"
        parts.append(xml)
    listed = "".join(f"<si><t>{text}</t></si>" for text in strings) if shared else None
    if chance.random() < 0.15 and len(parts) == 1 and not shared:
        return _at_the_root(parts[0])
    return xlsx(*parts, strings=listed)


def _cell_xml(value: object, where: str, chance: random.Random, strings: list[str] | None) -> str:
    if value is None:
        return f"<c{where}/>"
    if isinstance(value, bool):
        return f'<c{where} t="b"><v>{int(value)}</v></c>'
    if isinstance(value, (int, float)):
        return f"<c{where}><v>{chance.choice((repr(value), f'{value:.9E}'))}</v></c>"
    text = escape(str(value))
    if strings is not None:
        strings.append(text)
        return f'<c{where} t="s"><v>{len(strings) - 1}</v></c>'
    return chance.choice(
        (
            f'<c{where} t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>',
            f'<c{where} t="str"><f>A1</f><v>{text}</v></c>',
            f'<c{where} t="inlineStr"><is><r><t>{text[:3]}</t></r><r><t>{text[3:]}</t></r></is></c>'
            if "&" not in text and text == text.strip()
            else f'<c{where} t="str"><v>{text}</v></c>',
        )
    )


def _at_the_root(rows: str) -> bytes:
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    return archive(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="r" Type="{office}/officeDocument"'
            ' Target="workbook.xml"/></Relationships>',
            "_rels/workbook.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="s"'
            f' Type="{office}/worksheet" Target="sheet1.xml"/></Relationships>',
            "workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{office}"><sheets><sheet name="List" sheetId="1"'
            ' r:id="s"/></sheets></workbook>',
            "sheet1.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>',
        }
    )


def _text(chance: random.Random, tables: list[Table]) -> bytes:
    """Write the first table as text."""
    file = io.StringIO(newline="")
    delimiter, ends = chance.choice(",,,;\t|"), chance.choice(("\n", "\r\n", "\r"))
    writer = csv.writer(
        file,
        delimiter=delimiter,
        lineterminator=ends,
        quoting=csv.QUOTE_ALL if chance.random() < 0.5 else csv.QUOTE_MINIMAL,
    )
    if chance.random() < 0.1:
        file.write(f"sep={delimiter}{ends}")
    for row in tables[0].rows:
        writer.writerow(["" if cell is None else cell for cell in row] + [""] * chance.choice((0, 0, 0, 3)))
    encoding = chance.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16"))
    return file.getvalue().encode(encoding)


def _ods(chance: random.Random, tables: list[Table]) -> bytes:
    return ods([[str("" if cell is None else cell) for cell in row] or [""] for row in tables[0].rows])


def _xlsb(chance: random.Random, tables: list[Table]) -> bytes:
    def cell(value: object) -> str | float:
        return float(value) if isinstance(value, (int, float)) else str("" if value is None else value)

    return xlsb([[cell(value) for value in row] or [""] for row in tables[0].rows])


Writer = Callable[[random.Random, list[Table]], bytes]
WRITERS: tuple[tuple[str, Writer], ...] = (
    ("openpyxl", _openpyxl),
    ("xlsxwriter", _xlsxwriter),
    ("text", _text),
    ("xml", _by_hand),
    ("openpyxl", _openpyxl),
    ("ods", _ods),
    ("text", _text),
    ("xlsb", _xlsb),
)
_ONE_TABLE = ("text", "ods", "xlsb")
