"""Read text files: CSV with comma, semicolon, tab or |, or one number per line."""

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from itertools import islice
from typing import BinaryIO, Self

from campaigns.recipients.sheets.budget import Budget
from campaigns.recipients.sheets.cells import numbers_in
from campaigns.recipients.sheets.grid import COLUMNS_CUT, MAX_COLUMNS, Cell, LeftOut, NotASheet, Row

DELIMITERS = ",;\t|"
ADVICE = "Send an .xlsx file, or a text file (CSV) with one number in each row."
_SAMPLE_BYTES = 1 << 16
_MAX_TITLE_ROWS = 5
_SAMPLE_ROWS = 20
_MAX_CHARACTERS_OF_ROW = 1_000_000
_MAX_LINES_OF_ROW = 1_000
_MAX_BROKEN_ROWS = 100
_LINES_CHECKED, _CELLS_CHECKED = (
    4,
    30,
)  # how many lines of a cell, and how many cells, `_contains_other_rows` checks
_ROWS_PER_CHECK, _CELLS_PER_CHECK = 200, 10_000  # between two reports to the budget
_BINARY = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# Digits that do not change when converted to int or to a spreadsheet's number: not 007, and at most 15 digits.
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,14})", re.ASCII)
_EXCEL_HINT = re.compile(r"sep=([,;\t|])[ \t]*(?:\r\n|\r|\n|$)", re.IGNORECASE)
_NOT_UTF_8 = 'the text is not in UTF-8. In Excel choose "CSV UTF-8" when you save, or send the .xlsx file.'


class TextGrid:
    """A text file. Encoding and delimiter are detected from its beginning."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self.left_out: list[LeftOut] = []
        self._is_cut = False
        self._file = file
        self._budget = budget
        file.seek(0)
        sample = file.read(_SAMPLE_BYTES)
        utf_16 = sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        self._encoding = "utf-16" if utf_16 else "utf-8-sig"
        complete = len(sample) < _SAMPLE_BYTES
        try:
            text = codecs.getincrementaldecoder(self._encoding)().decode(sample, complete)
        except UnicodeDecodeError as e:
            # Without control characters it is probably text in an old code page, otherwise a binary file.
            printable = not _BINARY.search(sample.decode("latin-1"))
            raise NotASheet(f"The file cannot be read: {_NOT_UTF_8}" if printable else NOT_TEXT) from e
        if not text.strip():
            raise NotASheet(f"The file is empty. {ADVICE}")
        if _BINARY.search(text):
            raise NotASheet(NOT_TEXT)
        hint = _EXCEL_HINT.match(text)
        self._has_hint = hint is not None
        self._delimiter = hint[1] if hint else _delimiter(text, complete=complete)

    def rows(self) -> Generator[Row, None, None]:
        self.left_out.clear()
        self._file.seek(0)
        stream = io.TextIOWrapper(self._file, encoding=self._encoding, newline="")
        lines = _Lines(stream)
        at = rows_seen = cells_seen = 0
        see = self._budget.see
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        try:
            if self._has_hint:
                next(lines)
                at = 1
            while True:
                lines.begin_row()
                at += 1
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as e:
                    self._leave_out(at, e)
                    lines.skip_first()
                    continue
                if lines.count > 1 and self._contains_other_rows(row):
                    self._leave_out(at, None)
                    lines.skip_first()
                    continue
                rows_seen += 1
                cells_seen += len(row)
                if rows_seen == _ROWS_PER_CHECK or cells_seen > _CELLS_PER_CHECK:
                    see(rows=rows_seen, cells=cells_seen)
                    rows_seen = cells_seen = 0
                if len(row) > MAX_COLUMNS:
                    if any(text.strip() for text in row[MAX_COLUMNS:]) and not self._is_cut:
                        self._is_cut = True
                        self.left_out.append(LeftOut(at, COLUMNS_CUT))
                    del row[MAX_COLUMNS:]
                yield at, [_cell(text) for text in row]
        except UnicodeDecodeError as e:
            raise NotASheet(f"The file cannot be read beyond row {at - 1}: {_NOT_UTF_8}") from e
        finally:
            with suppress(ValueError):  # the caller may have closed the file already
                stream.detach()  # otherwise it would close the file, which belongs to the caller

    def _leave_out(self, at: int, error: Exception | None) -> None:
        """Report a row that cannot be read.

        Only this row is skipped, even if an unclosed quotation mark has pulled the following rows into it.

        Raises NotASheet after too many such rows.
        """
        self._budget.check_time()
        if len(self.left_out) >= _MAX_BROKEN_ROWS:
            raise NotASheet(
                f'Row {at} cannot be read, like {_MAX_BROKEN_ROWS} above it: it is too long, or has a " that is never'
                " closed."
            ) from error
        self.left_out.append(
            LeftOut(at, 'The row cannot be read: it is too long, or has a " that is never closed.')
        )

    def _contains_other_rows(self, row: list[str]) -> bool:
        """Return whether an unclosed quotation mark has put rows into a cell: one of its lines has a phone number."""
        return any(
            any(
                number.to
                for cell in line.split(self._delimiter, _CELLS_CHECKED)[:_CELLS_CHECKED]
                for number in numbers_in(cell.strip())
            )
            for text in row
            if "\n" in text or "\r" in text
            # A following row begins on a new line of the cell, so the first few lines and cells show it.
            for line in text.splitlines()[1:_LINES_CHECKED]
            if self._delimiter in line
        )


NOT_TEXT = f"The file is neither a spreadsheet nor a text file. {ADVICE}"


class _Lines:
    """Iterates over lines, with a limit per row, because an unclosed " makes all lines after it one cell.

    Lines can be read again.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._readline = stream.readline
        self._again: deque[str] = deque()
        self._of_row: list[str] = []
        self._characters = 0

    @property
    def count(self) -> int:
        """The number of lines of the current row."""
        return len(self._of_row)

    def begin_row(self) -> None:
        self._of_row.clear()
        self._characters = 0

    def skip_first(self) -> None:
        """Read all lines of the current row again, except the first."""
        self._again.extendleft(reversed(self._of_row[1:]))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._readline(_MAX_CHARACTERS_OF_ROW)
        if not line:
            raise StopIteration
        self._of_row.append(line)
        self._characters += len(line)
        if len(line) == _MAX_CHARACTERS_OF_ROW and not line.endswith(("\n", "\r")):
            while (rest := self._readline(_MAX_CHARACTERS_OF_ROW)) and not rest.endswith(("\n", "\r")):
                pass  # skip the remaining characters of an overlong line
        if len(self._of_row) > _MAX_LINES_OF_ROW or self._characters >= _MAX_CHARACTERS_OF_ROW:
            raise csv.Error("the row does not end")
        return line


def _delimiter(sample: str, *, complete: bool) -> str:
    """Return the delimiter with which the most rows have as many cells as the first row below the title.

    A title is at most `_MAX_TITLE_ROWS` rows of one cell. Below a title, most rows must have the delimiter.
    """
    best, most = DELIMITERS[0], (0, 0)
    for delimiter in DELIMITERS:
        try:
            rows = list(
                islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), _SAMPLE_ROWS)
            )
        except csv.Error:
            continue
        if not complete and 1 < len(rows) < _SAMPLE_ROWS:
            rows.pop()  # the sample ends within this row
        widths = [len(row) for row in rows if any(cell.strip() for cell in row)]
        title = next((at for at, width in enumerate(widths) if width > 1), len(widths))
        if title <= min(_MAX_TITLE_ROWS, len(widths) - 1):
            width = widths[title]
            score = (widths.count(width), width)
            if score > most and (title == 0 or 2 * score[0] > len(widths)):
                best, most = delimiter, score
    return best


def _cell(text: str) -> Cell:
    return int(text) if _WHOLE.fullmatch(text) else text
