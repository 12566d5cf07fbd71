"""Decide which row of a sheet is its heading, and which column has the phone numbers.

The decision uses the first rows, before anything is imported. The number column is, in this order:

1. a column with one of the exact headings, such as `number` or `Phone no.`, among the first rows,
2. the only column with a phone word in its heading (`Parent's Mobile *`, `सम्पर्क नं.`) and with valid numbers,
3. the only column in which at least 80 % of the values are valid numbers,
4. the first column, if at least half of its values are valid numbers.

Rules 3 and 4 skip columns whose heading names an id (`Consumer No`). If no rule applies, the client must choose.
Title lines above the heading are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from campaigns.messages import format_tag_value
from campaigns.recipients.sheets.cells import is_blank, numbers_in
from campaigns.recipients.sheets.grid import MAX_COLUMNS, Cell, NotASheet, Row
from campaigns.recipients.sheets.headings import EXACT_HEADINGS, folded, has_phone_word, is_id

ROWS_READ = 1_000  # number of rows that the decision uses; blank rows do not count
CELLS_READ = 30_000  # maximum number of cells, so wide sheets use fewer rows
ROWS_ABOVE = 10  # number of first rows in which the heading is searched
MIN_SHARE = 0.8  # minimum share of valid numbers in a column of numbers (rule 3)
MIN_SHARE_OF_FIRST = 0.5  # minimum share of valid numbers in the first column (rule 4)
_MAX_HEADING_CHARACTERS = 1_000  # longer headings are cut
_NAMED_IN_ERROR = 10


@dataclass(frozen=True, slots=True)
class Table:
    """`heading` is the index of the heading among the rows that were read, or None without a heading.

    `further` are columns that have phone numbers just like the number column, as in two lists side by side.
    """

    heading: int | None
    number_column: int
    further: tuple[int, ...] = ()


class _Column(NamedTuple):
    filled: int
    valid: int
    heading: str

    @property
    def share(self) -> float:
        return self.valid / self.filled if self.filled else 0.0


class NumberColumnUnclear(NotASheet):
    """Several columns of a sheet may contain the phone numbers, or no column does."""

    default_code = "number_column_unclear"


def find_table(first_rows: Sequence[Row], *, chosen: str = "", check: Callable[[], None]) -> Table:
    """Find the heading and the number column in the first rows that are not blank (at least one).

    `chosen` is the column that the client has chosen: its heading, or its letter (`C`). `check` raises after too much work
    (`Budget.check_time`). Raises NumberColumnUnclear, and NotASheet for a single row of several numbers.
    """
    cells = [row[1] for row in first_rows]
    cells = cells[: max(ROWS_ABOVE + 1, CELLS_READ // max(map(len, cells)))]
    rows = _Rows(cells, check)
    if chosen.strip():
        return _chosen_table(rows, chosen.strip())
    table = _table(rows)
    return replace(table, further=_columns_like(rows, table))


def _table(rows: _Rows) -> Table:
    above = _rows_above_numbers(rows)
    if (exact := _exact_table(rows, above)) is not None:
        return exact
    for at in _possible_headings(rows, above):
        columns = _columns(rows, heading=at)
        with_phone_word = [
            place
            for place, column in enumerate(columns)
            if column.valid
            and has_phone_word(column.heading)
            and not any(rows.numbers(at)[place : place + 1])
        ]
        if len(with_phone_word) == 1:
            return Table(at, with_phone_word[0])
        if with_phone_word:
            return _by_content(rows, heading=at)
    return _by_content(rows, heading=_unnamed_heading(rows.cells, above))


def _columns_like(rows: _Rows, table: Table) -> tuple[int, ...]:
    """Return the columns that have phone numbers and the same heading as the number column; all of them without headings."""
    if table.heading is not None:
        headings = [
            heading_of(rows.cells[table.heading], at).casefold()
            for at in range(min(max(map(len, rows.cells)), MAX_COLUMNS))
        ]
        if headings.count(headings[table.number_column]) == 1:
            return ()
    columns = _columns(rows, heading=table.heading)
    heading = columns[table.number_column].heading.casefold()
    return tuple(
        at
        for at, column in enumerate(columns)
        if at != table.number_column and column.share >= MIN_SHARE and column.heading.casefold() == heading
    )


def column_name(column: int) -> str:
    """Return the letters of a column: 0 → A, 27 → AB."""
    return (column_name(column // 26 - 1) if column >= 26 else "") + chr(65 + column % 26)


def heading_of(cells: Sequence[Cell], column: int) -> str:
    """Return the text of a cell as a heading, "" for a missing cell."""
    cell = cells[column] if column < len(cells) else None
    if isinstance(cell, str):
        cell = cell[:_MAX_HEADING_CHARACTERS]
    return "" if cell is None else format_tag_value(cell).strip()


class _Rows:
    """The first rows of a sheet. Each cell is parsed as a phone number at most once, and only if needed.

    `check` is called for each row that is examined, because a row of costly cells takes tens of milliseconds.
    """

    def __init__(self, cells: Sequence[Sequence[Cell]], check: Callable[[], None]) -> None:
        self.cells = cells
        self._check = check
        self._numbers: dict[int, list[bool]] = {}

    def numbers(self, at: int) -> list[bool]:
        """Return for each cell of a row whether it has a valid phone number."""
        if at not in self._numbers:
            self._check()
            self._numbers[at] = [
                any(number.to for number in numbers_in(cell)) for cell in self.cells[at][:MAX_COLUMNS]
            ]
        return self._numbers[at]


def _rows_above_numbers(rows: _Rows) -> int:
    """Return how many of the first rows have no phone number. Only these can be titles or the heading."""
    last = min(len(rows.cells), ROWS_ABOVE + 1)
    return next((at for at in range(last) if any(rows.numbers(at))), last)


def _exact_table(rows: _Rows, above: int) -> Table | None:
    cells = rows.cells
    # The first row with such a heading is the heading, whatever else is in it.
    for at in _possible_headings(rows, above):
        names = [folded(heading_of(cells[at], column)) for column in range(len(cells[at]))]
        places = [names.index(name) for name in EXACT_HEADINGS if name in names]
        if not places:
            continue
        for place in places:
            if any(any(rows.numbers(below)[place : place + 1]) for below in range(at + 1, len(cells))):
                return Table(at, place)
        if not any(any(rows.numbers(below)) for below in range(at + 1, len(cells))):
            return Table(at, places[0])  # no number is valid, so the import will report an error for each row
    return None


def _possible_headings(rows: _Rows, above: int) -> Iterator[int]:
    """Yield the first rows. Below a row with a phone number, yield them only if all rows above them are titles."""
    cells = rows.cells
    for at in range(min(len(cells), ROWS_ABOVE + 1)):
        if at <= above or _are_titles(cells[:at], heading=cells[at]):
            yield at


def _are_titles(rows: Sequence[Sequence[Cell]], *, heading: Sequence[Cell]) -> bool:
    """Return whether these rows are titles: at most half as wide as the heading. A title can contain a phone number."""
    return all(2 * _filled(row) <= _filled(heading) for row in rows)


def _filled(row: Sequence[Cell]) -> int:
    return sum(not is_blank([cell]) for cell in row)


def _columns(rows: _Rows, *, heading: int | None) -> list[_Column]:
    """Return the columns below the heading."""
    first = 0 if heading is None else heading + 1
    headings: Sequence[Cell] = () if heading is None else rows.cells[heading]
    width = min(max(map(len, (*rows.cells[first:], headings)), default=0), MAX_COLUMNS)
    filled, valid = [0] * width, [0] * width
    for at in range(first, len(rows.cells)):
        for column, (cell, is_number) in enumerate(zip(rows.cells[at], rows.numbers(at), strict=False)):
            filled[column] += cell is not None and not is_blank([cell])
            valid[column] += is_number
    return [_Column(filled[at], valid[at], heading_of(headings, at)) for at in range(width)]


def _by_content(rows: _Rows, *, heading: int | None) -> Table:
    columns = _columns(rows, heading=heading)
    dialled = [
        at for at, column in enumerate(columns) if column.share >= MIN_SHARE and not is_id(column.heading)
    ]
    if len(dialled) == 1:
        return Table(heading, dialled[0])
    if columns and columns[0].share >= MIN_SHARE_OF_FIRST and not is_id(columns[0].heading):
        if len(rows.cells) == 1 and len(dialled) > 1:
            raise NotASheet("All the numbers are in one row. Write each number into a row of its own.")
        return Table(heading, 0)
    candidates = [at for at, column in enumerate(columns) if column.valid]
    if not candidates and len([column for column in columns if column.filled]) <= 1:
        return Table(heading, next((at for at, column in enumerate(columns) if column.filled), 0))
    raise _unclear(columns, candidates)


def _unclear(columns: Sequence[_Column], candidates: Sequence[int]) -> NumberColumnUnclear:
    named = [_describe(at, columns[at]) for at in (candidates or range(len(columns)))[:_NAMED_IN_ERROR]]
    said = (
        "Several columns may contain the phone numbers"
        if len(candidates) > 1
        else ("It is not certain which column contains the phone numbers")
    )
    return NumberColumnUnclear(
        f"{said}: {', '.join(named)}. Choose one with the field number_column, by its heading or its letter, or give it"
        " the heading number.",
        errors=[{"field": "number_column", "message": f"Choose one of {', '.join(named)}."}],
    )


def _describe(at: int, column: _Column) -> str:
    letter = column_name(at)
    return f"“{column.heading[:40]}” (column {letter})" if column.heading else f"column {letter}"


def _chosen_table(rows: _Rows, chosen: str) -> Table:
    cells = rows.cells
    wanted = " ".join(chosen.casefold().split())
    for at, row in enumerate(cells[:ROWS_ABOVE]):
        for column in range(len(row)):
            if " ".join(heading_of(row, column).casefold().split()) == wanted:
                return Table(at, column)
    width = min(max(map(len, cells)), MAX_COLUMNS)
    column = next((at for at in range(width) if column_name(at) == chosen.upper()), -1)
    above = _rows_above_numbers(rows)
    if column < 0:
        columns = _columns(rows, heading=0)
        named = ", ".join(_describe(at, columns[at]) for at in range(min(width, _NAMED_IN_ERROR)))
        sentence = f"The sheet has no column “{chosen[:40]}”. It has {named}."
        raise NumberColumnUnclear(sentence, errors=[{"field": "number_column", "message": sentence}])
    return Table(_unnamed_heading(cells, above), column)


def _unnamed_heading(cells: Sequence[Sequence[Cell]], above: int) -> int | None:
    """Return the heading if no heading names the number column: the first of the widest rows above the numbers."""
    candidates = [at for at in range(min(above, len(cells) - 1)) if not _has_digits(cells[at])]
    if not candidates:
        return None
    return max(candidates, key=lambda at: (_filled(cells[at]), -at))


def _has_digits(row: Sequence[Cell]) -> bool:
    """Return whether a cell looks like a phone number, if of a wrong length. Then the row is not a heading."""
    return any(
        sum(character.isdigit() for character in text) >= 5 and not any(map(str.isalpha, text))
        for text in (heading_of(row, column) for column in range(len(row)))
    )
