"""Read a sheet of any format as rows of a phone number and its tags."""

import codecs
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple

from campaigns.messages import MAX_VALUE_CHARACTERS, PREFIX, to_tag_name
from campaigns.recipients.sheets.archive import Archive
from campaigns.recipients.sheets.budget import Budget, in_background
from campaigns.recipients.sheets.calamine import PASSWORD, CalamineGrid
from campaigns.recipients.sheets.cells import is_blank, printable, read_numbers
from campaigns.recipients.sheets.columns import ROWS_READ, column_name, find_table, heading_of
from campaigns.recipients.sheets.grid import MAX_COLUMNS, Cell, Grid, LeftOut, NotASheet, Row
from campaigns.recipients.sheets.text import ADVICE, TextGrid
from campaigns.recipients.sheets.xlsx import WorkbookGrid, is_workbook, main_part
from telephony import numbering

ERRORS_KEPT = 100
_ROWS_PER_CHECK = 250  # between two checks of the processor time
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MANIFEST = "META-INF/manifest.xml"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_NOT_SHEETS = (
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
    (b"{", "JSON"),
    (b"[", "JSON"),
    (b"begin:vcard", "a list of contacts (vCard)"),
)
# Spreadsheet programs also open these formats, whatever the file's name: `.xls` files of web applications are often web
# pages.
_OPENED_BY_PROGRAMS = (
    (b"<?xml", "an XML document"),
    (b"<", "a web page"),
    (b"mime-version:", "a web page"),
    (b"id;p", "a SYLK file"),
)
_OFFICE_DOCUMENTS = (
    ("word/document.xml", "a Word document"),
    ("ppt/presentation.xml", "a presentation"),
    ("index/document.iwa", "an Apple Numbers document"),
    ("content.xml", "an OpenDocument file"),
)
_SAVE_AS_XLSX = "Open it in a spreadsheet program, save it as .xlsx, and send that."


class SheetRow(NamedTuple):
    """`row` is the row number that the spreadsheet shows, from 1. `number` and `to` are those of `ParsedNumber`."""

    row: int
    number: str
    to: str
    tags: dict[str, str | int | float]


def open_sheet(file: BinaryIO, budget: Budget | None = None, *, number_column: str = "") -> "Sheet":
    """Detect the format of a seekable file and find its columns. The file must stay open while rows are read.

    Without a budget, that of a background import applies. Raises NotASheet, SheetTooLarge, and its subclass OverBudget if
    the budget is exceeded. Iterating over the rows can raise the same errors, because some damage is only found there.
    """
    budget = budget or in_background()
    budget.start()
    return Sheet(_grid(file, budget), budget, number_column=number_column)


class Sheet:
    """An iterable over the rows of a sheet. Each iteration starts over.

    `columns` are the tags in the sheet's order. Iterating fills `errors` with {"row": 7, "message": "…"} for the first 100
    skipped rows; `error_count` counts all of them. `row` is the last row that was read, and `is_within_row` says that more
    numbers of that row follow. `number_column` is the letter of the column with the numbers.
    """

    def __init__(self, grid: Grid, budget: Budget, *, number_column: str = "") -> None:
        self.errors: list[dict[str, Any]] = []
        self.error_count = 0
        self.row = 0
        self.is_within_row = False
        self._left_out_seen = 0
        self._grid = grid
        self._budget = budget
        rows = grid.rows()
        first_rows = list(islice((row for row in rows if not is_blank(row[1])), ROWS_READ))
        if not first_rows and grid.left_out:
            raise NotASheet(grid.left_out[0].message)
        if not first_rows:
            raise NotASheet(f"The sheet is empty. {ADVICE}")
        table = find_table(first_rows, chosen=number_column, check=budget.check_time)
        self._rows_above = 0 if table.heading is None else table.heading + 1
        # The first iteration continues from this position, so that a single iteration reads the file only once.
        self._opened: tuple[list[Row], Generator[Row, None, None]] | None = (
            first_rows[self._rows_above :],
            rows,
        )
        self._number_column = table.number_column
        self.number_column = column_name(table.number_column)
        if table.heading is None:
            self.number_heading = "numbers"
            width = len(first_rows[0][1])
            self._tags = {f"{PREFIX}column{at + 1}": at for at in range(width) if at != table.number_column}
        else:
            heading = first_rows[table.heading][1]
            self.number_heading = printable(heading_of(heading, table.number_column))[:100] or "numbers"
            self._tags = _tags_by_heading(heading, table.number_column)
        self.columns = list(self._tags)
        self._heading = [] if table.heading is None else _trimmed(first_rows[table.heading][1])
        first = first_rows[min(self._rows_above, len(first_rows) - 1)][0]
        self._further_columns = [
            LeftOut(first, self._further_column(at)) for at in table.further if at < MAX_COLUMNS
        ]

    def _further_column(self, at: int) -> str:
        tag = next((tag for tag, column in self._tags.items() if column == at), "")
        became = f"became the tag {{{tag}}} of" if tag else "were not imported for"
        return (
            f"Column {column_name(at)} has phone numbers too. They {became} the numbers in column {self.number_column}, and"
            " nobody is called on them. To reach them as well, write them below the others."
        )

    def __iter__(self) -> Iterator[SheetRow]:
        return (row for row in self.steps() if row is not None)

    def steps(self, *, after: int = 0) -> Generator[SheetRow | None, None, None]:
        """Yield the rows after row `after`. Yield None regularly, so that the caller regains control among invalid rows."""
        self.errors.clear()
        self._parts_reported: list[dict[str, Any]] = []
        self.error_count = self.row = self._left_out_seen = 0
        for row, message in self._further_columns if not after else ():
            self._report_part(row, message)
        parse, number_column, tag_columns = numbering.parser(), self._number_column, list(self._tags.items())
        since_pause = 0
        budget = self._budget
        with closing(self._rows()) as rows:
            for at, cells in rows:
                since_pause += 1
                if since_pause == _ROWS_PER_CHECK:
                    budget.check_time()
                    self._report_left_out()
                    yield None
                    since_pause = 0
                self.row = at
                width = len(cells)
                if at <= after:
                    if not is_blank(cells):
                        budget.fill_row()
                    continue
                raw = cells[number_column] if number_column < width else None
                if raw is None and cells.count(None) == width:
                    continue
                further: Sequence[numbering.ParsedNumber] = ()
                try:
                    try:
                        number, to = parse(raw)
                    except numbering.InvalidNumber:
                        (number, to), *further = read_numbers(raw)
                    tags: dict[str, str | int | float] = {}
                    for tag, column in tag_columns:
                        value = cells[column] if column < width else None
                        if type(value) is str:
                            value = value.strip()
                            if not value.isprintable():
                                value = printable(value)
                            if len(value) > MAX_VALUE_CHARACTERS:
                                raise _TooLong(tag)
                        tags[tag] = "" if value is None else value
                except (numbering.InvalidNumber, _TooLong) as e:
                    if is_blank(cells) or _trimmed(cells) == self._heading:  # repeated on each page
                        continue
                    self._report(at, str(e))
                    number = ""
                budget.fill_row()
                if number:
                    self.is_within_row = bool(further)
                    yield SheetRow(at, number, to, tags)
                    for place, (number, to) in enumerate(further, start=1):
                        self.is_within_row = place < len(further)
                        yield SheetRow(at, number, to, tags)
        self._report_left_out()

    def close(self) -> None:
        """Close the reader of the file if it was not read to its end."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    def _rows(self) -> Generator[Row, None, None]:
        if self._opened is not None:
            (read_ahead, rows), self._opened = self._opened, None
            return _joined(read_ahead, rows)
        self._budget.start()
        return self._below_heading()

    def _below_heading(self) -> Generator[Row, None, None]:
        above = self._rows_above
        with closing(self._grid.rows()) as rows:
            for row in rows:
                if not above:
                    yield row
                elif not is_blank(row[1]):
                    above -= 1

    def _report_left_out(self) -> None:
        """Report the parts of the file that were not read."""
        left_out = self._grid.left_out
        for row, message in left_out[self._left_out_seen :]:
            self._report_part(row, message)
        self._left_out_seen = len(left_out)

    def _report(self, row: int, message: str) -> None:
        self.error_count += 1
        if len(self.errors) < ERRORS_KEPT:
            self.errors.append({"row": row, "message": message})

    def _report_part(self, row: int, message: str) -> None:
        """Report a part that is left out. It can have many rows, so it takes the place of the last row that was reported."""
        self.error_count += 1
        if len(self.errors) == ERRORS_KEPT:
            of_rows = [at for at, error in enumerate(self.errors) if error not in self._parts_reported]
            if not of_rows:
                return
            del self.errors[of_rows[-1]]
        self.errors.append({"row": row, "message": message})
        self._parts_reported.append(self.errors[-1])


class _TooLong(Exception):
    def __init__(self, tag: str) -> None:
        super().__init__(
            f"The value of {tag} is longer than {MAX_VALUE_CHARACTERS:,} characters. Shorten it."
        )


def _trimmed(cells: Sequence[Cell]) -> list[Cell]:
    """Return a row without the blank cells at its end."""
    trimmed = list(cells)
    while trimmed and is_blank(trimmed[-1:]):
        trimmed.pop()
    return trimmed


def _joined(read_ahead: list[Row], rows: Generator[Row, None, None]) -> Generator[Row, None, None]:
    with closing(rows):
        yield from chain(read_ahead, rows)


def _grid(file: BinaryIO, budget: Budget) -> Grid:
    file.seek(0)
    head = file.read(512)
    if head.startswith(b"PK\x03\x04"):
        return _unpacked(file, budget)
    if head.startswith(_OLE):
        if _contains(file, _ENCRYPTED):
            raise NotASheet(PASSWORD)
        return CalamineGrid(file, budget)
    if not head:
        raise NotASheet(f"The file is empty. {ADVICE}")
    for magic, kind in _NOT_SHEETS:
        if head.startswith(magic) or _beginning(head).startswith(magic):
            raise NotASheet(f"The file is {kind}, not a spreadsheet. {ADVICE}")
    for magic, kind in _OPENED_BY_PROGRAMS:
        if _beginning(head).startswith(magic):
            raise NotASheet(f"The file is {kind}, not a spreadsheet. {_SAVE_AS_XLSX}")
    return TextGrid(file, budget)


def _beginning(head: bytes) -> bytes:
    """Return how a text begins, without blanks and a mark of its encoding, in small letters."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", "ignore").encode("utf-8")
    return head.removeprefix(codecs.BOM_UTF8).lstrip().lower()


def _unpacked(file: BinaryIO, budget: Budget) -> Grid:
    archive = Archive(file, budget)
    if "xl/workbook.bin" in archive:
        return CalamineGrid(file, budget)
    if "mimetype" in archive and b"opendocument.spreadsheet" in archive.read("mimetype"):
        if _MANIFEST in archive and b"encryption-data" in archive.read(_MANIFEST):
            raise NotASheet(PASSWORD)
        return CalamineGrid(file, budget)
    main = main_part(archive, budget=budget)
    if main.endswith(".bin"):
        return CalamineGrid(file, budget)
    if is_workbook(archive, main):
        return WorkbookGrid(archive, budget, main=main)
    for part, kind in _OFFICE_DOCUMENTS:
        if part in archive:
            raise NotASheet(f"The file is {kind}, not a spreadsheet. {ADVICE}")
    raise NotASheet(
        f"The file is a packed archive, not a spreadsheet. Unpack it, and send the sheet inside. {ADVICE}"
    )


def _contains(file: BinaryIO, wanted: bytes) -> bool:
    file.seek(0)
    overlap = b""
    while chunk := file.read(1 << 20):
        if wanted in overlap + chunk:
            return True
        overlap = chunk[-len(wanted) :]
    return False


def _tags_by_heading(heading: Sequence[Cell], number_column: int) -> dict[str, int]:
    tags: dict[str, int] = {}
    for column in range(len(heading)):
        tag = name = to_tag_name(heading_of(heading, column))
        if not tag or column == number_column:
            continue
        again = 2
        while tag in tags:
            tag = f"{name}_{again}"
            again += 1
        tags[tag] = column
    return tags
