"""The common form of all sheet formats: rows of plain cells."""

import math
from collections.abc import Generator, Sequence
from typing import NamedTuple, Protocol

from iris.errors import InvalidInput, TooLarge

Cell = str | int | float | None
Row = tuple[int, Sequence[Cell]]
"""The row's number as its spreadsheet shows it, from 1, and its cells from column A."""

# Cells further right are ignored: a single cell in column XFD would make every row 16,384 cells wide.
MAX_COLUMNS = 256
COLUMNS_CUT = (
    f"Columns beyond the first {MAX_COLUMNS} are not read. Leave out the columns that no message needs."
)
# Generous: Excel allows 32,767.
MAX_CELL_CHARACTERS = 100_000


class NotASheet(InvalidInput):
    """The file cannot be read as a spreadsheet or list. The message says which kind of file it is, or which file to send."""

    default_code = "not_a_sheet"


class SheetTooLarge(TooLarge):
    """The sheet exceeds a limit of this server, such as its rows or its unpacked bytes."""

    default_code = "sheet_too_large"


class LeftOut(NamedTuple):
    """Part of a file that is not imported, and that must be reported to the client.

    `row` is the row where it begins, from 1.
    """

    row: int
    message: str


class Grid(Protocol):
    """A file whose rows can be read several times.

    `left_out` is filled during reading. Each reading clears it first.
    """

    left_out: list[LeftOut]

    def rows(self) -> Generator[Row, None, None]:
        """Yield the rows from top to bottom. Rows without cells may be omitted. Raises NotASheet, SheetTooLarge."""
        ...


def number(text: str) -> Cell:
    """Parse a number from XML. Return an int if it is whole, None if it is not finite, the text if it is not a number."""
    if text.isdecimal() and len(text) <= 15:
        return int(text)
    try:
        value = float(text)
    except ValueError:
        return text
    if "_" in text:
        return text  # Python reads 1_000, but spreadsheets do not
    return normalize_float(value)


def normalize_float(value: float) -> int | float | None:
    """Return a float as spreadsheets show it: 25.0 as 25, with at most 15 digits. None if it is not finite."""
    if not math.isfinite(value):
        return None
    if value.is_integer() and abs(value) < 1e15:
        return int(value)
    return float(f"{value:.15g}")
