"""What every kind of sheet is read as: rows of plain cells."""

import math
from collections.abc import Generator, Sequence
from typing import NamedTuple, Protocol

from iris.errors import InvalidInput, TooLarge

Cell = str | int | float | None
Row = tuple[int, Sequence[Cell]]
"""The row's number as its spreadsheet shows it, from 1, and its cells from column A."""

# Cells further right are not looked at: a single one in column XFD would make every row 16,384 cells wide.
MAX_COLUMNS = 256
COLUMNS_CUT = (
    f"Columns beyond the first {MAX_COLUMNS} are not read. Leave out the columns that no message needs."
)
# What Excel itself allows in one cell, generously.
MAX_CELL_CHARACTERS = 100_000


class NotASheet(InvalidInput):
    """The file is no spreadsheet or list that can be read; the sentence says what it is, or what to send."""

    default_code = "not_a_sheet"


class SheetTooLarge(TooLarge):
    """The sheet has more rows, or unpacks to more bytes, than this server takes."""

    default_code = "sheet_too_large"


class LeftOut(NamedTuple):
    """Something in a file that is not among the rows, and must not be lost without a word.

    `row` is where it begins, from 1.
    """

    row: int
    message: str


class Grid(Protocol):
    """A file that can be read as rows, again and again.

    `left_out` fills while one reads; each reading begins it anew.
    """

    left_out: list[LeftOut]

    def rows(self) -> Generator[Row, None, None]:
        """Rows from top to bottom; those without cells may be left out. Raises NotASheet, SheetTooLarge."""
        ...


def number(text: str) -> Cell:
    """A number as XML writes it: int when whole, None when not finite, the text when it is no number."""
    if text.isdecimal() and len(text) <= 15:
        return int(text)
    try:
        value = float(text)
    except ValueError:
        return text
    if "_" in text:
        return text  # Python's own way to write a million
    return normalize_float(value)


def normalize_float(value: float) -> int | float | None:
    """A float as a spreadsheet shows it: 25.0 is 25, with 15 digits at most; None for what is no number."""
    if not math.isfinite(value):
        return None
    if value.is_integer() and abs(value) < 1e15:
        return int(value)
    return float(f"{value:.15g}")
