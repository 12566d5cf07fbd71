"""Reads a sheet of any kind as rows of a phone number and its tags."""

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

from campaigns.messages import MAX_VALUE_CHARACTERS, PREFIX, tag_called, value_text
from campaigns.recipients.sheets.archive import Archive
from campaigns.recipients.sheets.budget import Budget, in_background
from campaigns.recipients.sheets.calamine import PASSWORD, CalamineGrid
from campaigns.recipients.sheets.grid import Cell, Grid, NotASheet, Row
from campaigns.recipients.sheets.text import ADVICE, Text
from campaigns.recipients.sheets.xlsx import Workbook
from iris.storable import NOT_STORABLE
from telephony import numbering

ERRORS_KEPT = 100
_ROWS_AT_ONCE = 250  # between two looks at the clock
# What is read of a heading or a first row: no name or number needs more.
_MAX_HEADING_CHARACTERS = 1_000

# In order of preference: a sheet may have somebody's name under "contact" and their number under "phone".
_NUMBER_HEADINGS = (
    *("number", "numbers", "phone number", "phone numbers", "phone no", "phone", "phones"),
    *("mobile number", "mobile numbers", "mobile no", "mobile", "mobiles"),
    *("contact number", "contact numbers", "contact no", "contact", "contacts", "telephone", "msisdn"),
    *("फोन नम्बर", "मोबाइल नम्बर", "सम्पर्क नम्बर", "फोन", "मोबाइल", "नम्बर", "सम्पर्क"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_OTHERS = (
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"ID3", "a recording"),
    (b"OggS", "a recording"),
    (b"RIFF", "a recording or an image"),
    (b"\x1f\x8b", "a packed archive"),
    (b"7z\xbc\xaf", "a packed archive"),
    (b"Rar!", "a packed archive"),
    (b"PK\x05\x06", "an empty archive"),
    (b"{\\rtf", "a text document"),
    (b"<!", "a web page"),
    (b"<html", "a web page"),
    (b"<table", "a web page"),
    (b"<?xml", "an XML document"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)
# What no message needs, and a database or telephone cannot carry. The joiners of Devanagari (U+200C, U+200D)
# stay.
_INVISIBLE = re.compile(
    f"[{NOT_STORABLE}\x01-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufffe\uffff]"
)
_LINE_BREAK = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")


class SheetRow(NamedTuple):
    """`row` as the spreadsheet shows it, from 1. `number`, `to`: see `telephony.numbering.ParsedNumber`."""

    row: int
    number: str
    to: str
    tags: dict[str, str | int | float]


def open_sheet(file: BinaryIO, budget: Budget | None = None) -> "Sheet":
    """Look at a file that can be read and sought, and find its columns. The file stays open, and has to.

    Raises NotASheet and SheetTooLarge, and OverBudget (a SheetTooLarge) once the work that the budget allows is used up;
    without one it is that of a background import. So does reading the rows: some damage only shows when one gets there.
    """
    budget = budget or in_background()
    budget.start()
    return Sheet(_grid(file, budget), budget)


class Sheet:
    """Iterate over it for its rows; again, to start over.

    `columns` are the tags in the sheet's order. `errors` fills while one iterates: {"row": 7, "message": "…"}
    for the first 100 rows that were left out; `error_count` counts them all. `row` is the last one that was read.
    """

    def __init__(self, grid: Grid, budget: Budget) -> None:
        self.errors: list[dict[str, Any]] = []
        self.error_count = 0
        self.row = 0
        self._grid = grid
        self._budget = budget
        rows = grid.rows()
        filled = (row for row in rows if not _is_blank(row[1]))
        heading = next(filled, None)
        if heading is None:
            raise NotASheet(f"The sheet is empty. {ADVICE}")
        first = heading[1]
        column = _named_column(first)
        self._has_heading = True
        if column is None:
            column = _column_of_numbers(first)
            self._has_heading = column is None
        read_ahead: list[Row] = []
        if not self._has_heading:
            second = next(filled, None)
            if second is None:
                _refuse_numbers_side_by_side(first)
            read_ahead = [heading] if second is None else [heading, second]
        # The first iteration goes on from here: whoever has no time to read twice reads once.
        self._opened: tuple[list[Row], Generator[Row, None, None]] | None = (read_ahead, rows)
        self._number_column = column or 0
        self.number_heading = "numbers"
        if self._has_heading:
            self.number_heading = _printable(_text(first, self._number_column))[:100] or "numbers"
            self._tags = _tags_by_heading(first, self._number_column)
        else:
            self._tags = {
                f"{PREFIX}column{at + 1}": at for at in range(len(first)) if at != self._number_column
            }
        self.columns = list(self._tags)

    def __iter__(self) -> Iterator[SheetRow]:
        return (row for row in self.steps() if row is not None)

    def steps(self, *, after: int = 0) -> Generator[SheetRow | None, None, None]:
        """The rows beyond row `after`, and None from time to time, that many rows without a number keep nobody waiting."""
        self.errors.clear()
        self.error_count = self.row = 0
        parse, number_column, tag_columns = numbering.parser(), self._number_column, list(self._tags.items())
        since_pause = 0
        budget = self._budget
        with closing(self._rows()) as rows:
            for at, cells in rows:
                since_pause += 1
                if since_pause == _ROWS_AT_ONCE:
                    budget.check_time()
                    yield None
                    since_pause = 0
                self.row = at
                width = len(cells)
                if at <= after:
                    if not _is_blank(cells):
                        budget.fill_row()
                    continue
                raw = cells[number_column] if number_column < width else None
                if raw is None and cells.count(None) == width:
                    continue
                try:
                    number, to = parse(raw)
                    tags: dict[str, str | int | float] = {}
                    for tag, column in tag_columns:
                        value = cells[column] if column < width else None
                        if type(value) is str:
                            value = value.strip()
                            if not value.isprintable():
                                value = _printable(value)
                            if len(value) > MAX_VALUE_CHARACTERS:
                                raise _TooLong(tag)
                        tags[tag] = "" if value is None else value
                except (numbering.InvalidNumber, _TooLong) as e:
                    if _is_blank(cells):
                        continue
                    self._report(at, str(e))
                    number = ""
                budget.fill_row()
                if number:
                    yield SheetRow(at, number, to, tags)

    def close(self) -> None:
        """Let go of what reads the file, if it was not read to its end."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    def _rows(self) -> Generator[Row, None, None]:
        if self._opened is not None:
            (read_ahead, rows), self._opened = self._opened, None
            return _joined(read_ahead, rows)
        self._budget.start()
        return self._without_heading()

    def _without_heading(self) -> Generator[Row, None, None]:
        is_above = self._has_heading
        with closing(self._grid.rows()) as rows:
            for row in rows:
                if not is_above:
                    yield row
                elif not _is_blank(row[1]):
                    is_above = False

    def _report(self, row: int, message: str) -> None:
        self.error_count += 1
        if len(self.errors) < ERRORS_KEPT:
            self.errors.append({"row": row, "message": message})


class _TooLong(Exception):
    def __init__(self, tag: str) -> None:
        super().__init__(
            f"The value of {tag} is longer than {MAX_VALUE_CHARACTERS:,} characters. Shorten it."
        )


def _joined(read_ahead: list[Row], rows: Generator[Row, None, None]) -> Generator[Row, None, None]:
    with closing(rows):
        yield from chain(read_ahead, rows)


def _grid(file: BinaryIO, budget: Budget) -> Grid:
    file.seek(0)
    head = file.read(512)
    if head.startswith(b"PK\x03\x04"):
        return _unpacked(file, budget)
    if head.startswith(_OLE):
        if _holds(file, _ENCRYPTED):
            raise NotASheet(PASSWORD)
        return CalamineGrid(file, budget)
    if not head:
        raise NotASheet(f"The file is empty. {ADVICE}")
    beginning = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for magic, kind in _OTHERS:
        if head.startswith(magic) or beginning.startswith(magic):
            raise NotASheet(f"The file is {kind}, not a spreadsheet. {ADVICE}")
    return Text(file, budget)


def _unpacked(file: BinaryIO, budget: Budget) -> Grid:
    archive = Archive(file, budget)
    if "xl/workbook.bin" in archive:
        return CalamineGrid(file, budget)
    if "mimetype" in archive and b"opendocument.spreadsheet" in archive.read("mimetype"):
        return CalamineGrid(file, budget)
    if "[content_types].xml" in archive and any(name.startswith("xl/") for name in archive.names()):
        return Workbook(archive, budget)
    if "word/document.xml" in archive:
        raise NotASheet(f"The file is a Word document, not a spreadsheet. {ADVICE}")
    raise NotASheet(
        f"The file is a packed archive, not a spreadsheet. Unpack it, and send the sheet inside. {ADVICE}"
    )


def _holds(file: BinaryIO, wanted: bytes) -> bool:
    file.seek(0)
    overlap = b""
    while chunk := file.read(1 << 20):
        if wanted in overlap + chunk:
            return True
        overlap = chunk[-len(wanted) :]
    return False


def _is_blank(cells: Sequence[Cell]) -> bool:
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def _text(cells: Sequence[Cell], column: int) -> str:
    cell = cells[column] if column < len(cells) else None
    if isinstance(cell, str):
        cell = cell[:_MAX_HEADING_CHARACTERS]
    return "" if cell is None else value_text(cell).strip()


def _named_column(heading: Sequence[Cell]) -> int | None:
    names = [
        " ".join(re.sub(r"[_.:\-]+", " ", _text(heading, column)).casefold().split())
        for column in range(len(heading))
    ]
    return next((names.index(name) for name in _NUMBER_HEADINGS if name in names), None)


def _column_of_numbers(row: Sequence[Cell]) -> int | None:
    """The column with a phone number in it: a valid one, or whatever could be one in the first cell."""
    parsed = [_number_in(cell) for cell in row]
    valid = next((column for column, number in enumerate(parsed) if number and number.to), None)
    return valid if valid is not None else 0 if parsed[0] else None


def _number_in(cell: Cell) -> numbering.ParsedNumber | None:
    try:
        return numbering.parse(cell)
    except numbering.InvalidNumber:
        return None


def _refuse_numbers_side_by_side(only: Sequence[Cell]) -> None:
    """One row with nothing but phone numbers: all but one would be taken for tags."""
    numbers = [_number_in(cell) for cell in only if not _is_blank([cell])]
    if len(numbers) > 1 and all(number and number.to for number in numbers):
        raise NotASheet(
            "All the numbers are in one row. Write each into a row of its own, one below the other."
        )


def _tags_by_heading(heading: Sequence[Cell], number_column: int) -> dict[str, int]:
    tags: dict[str, int] = {}
    for column in range(len(heading)):
        tag = name = tag_called(_text(heading, column))
        if not tag or column == number_column:
            continue
        again = 2
        while tag in tags:
            tag = f"{name}_{again}"
            again += 1
        tags[tag] = column
    return tags


def _printable(text: str) -> str:
    # One no-break space would make a whole SMS UCS-2, and so cost twice as much.
    text = _LINE_BREAK.sub("\n", text).replace("\N{NO-BREAK SPACE}", " ")
    return _INVISIBLE.sub("", text).strip()
