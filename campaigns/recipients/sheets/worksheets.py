"""Choose the worksheet that is read, and report the parts that are not read. The modules of all formats use this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice

from campaigns.recipients.sheets.cells import numbers_in
from campaigns.recipients.sheets.grid import Cell, Row
from campaigns.recipients.sheets.headings import names_numbers

ROWS_EXAMINED = 100  # rows of each worksheet that are searched for a list; blank rows do not count
COLUMNS_EXAMINED = 30
MAX_HEADING_CHARACTERS = 100
# A cover sheet can have a telephone number too: that of the office that sent the list.
MIN_ROWS_OF_LIST = 2


def first_list(
    visible: Sequence[str],
    hidden: Sequence[str],
    rows_of: Callable[[str], Iterator[Row]],
    *,
    check: Callable[[], None],
) -> tuple[str, Iterator[Row]]:
    """Return the worksheet that is read, and its rows. Return "" if all are empty.

    It is the first one with a list of phone numbers. If none has one, it is the first that is not empty; visible worksheets
    come first. `check` raises after too much work (`Budget.check_time`).
    """
    only = len(visible) == 1
    first: tuple[str, Iterator[Row]] | None = None
    for name in visible:
        rows = rows_of(name)
        begin = list(islice((row for row in rows if is_filled(row[1])), 1 if only else ROWS_EXAMINED))
        if not begin:
            continue
        if only or _has_list(begin, check):
            return name, chain(begin, rows)
        first = first or (name, chain(begin, rows))
    for name in hidden if first is None else ():
        rows = rows_of(name)
        for row in rows:
            if is_filled(row[1]):
                return name, chain([row], rows)
    return first or ("", iter(()))


def _has_list(rows: Sequence[Row], check: Callable[[], None]) -> bool:
    """Return whether the rows have phone numbers below a heading that names them, or in several rows."""
    headed: set[int] = set()
    with_numbers = 0
    for _, cells in rows:
        check()
        columns = [
            at
            for at, cell in enumerate(cells[:COLUMNS_EXAMINED])
            if any(number.to for number in numbers_in(cell))
        ]
        with_numbers += bool(columns)
        if with_numbers == MIN_ROWS_OF_LIST or not headed.isdisjoint(columns):
            return True
        headed |= {
            at
            for at, cell in enumerate(cells[:COLUMNS_EXAMINED])
            if isinstance(cell, str) and len(cell) <= MAX_HEADING_CHARACTERS and names_numbers(cell)
        }
    return False


def is_filled(cells: Sequence[Cell]) -> bool:
    return any(cell is not None and cell != "" for cell in cells)


def hidden_rows_message(count: int) -> str:
    return (
        f"{count:,} rows are hidden in the sheet, the first of them here, and were not imported. If they are meant too, show"
        " them (Data, Filter, Clear), save the sheet and send it again."
    )


def unread_message(name: str) -> str:
    return f"The worksheet “{name}” has rows too, and was not read: one worksheet is read. Send it as a file of its own."
