"""Write CSV that people open in spreadsheets: no cell becomes a formula, and no list is kept in memory."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable

# Spreadsheets treat a cell that begins like this as a formula. The pattern also matches after characters that separate
# cells in the spreadsheets of some countries, where quotes do not protect the cell. Blanks end at the next separator, so no
# character is examined more than twice.
_BLANKS = r"[^\S\t\r\n]*+"
_FORMULA = re.compile(rf"(^|[;\t\r\n|])(?={_BLANKS}[\"']?+{_BLANKS}[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])")
_PHONE_NUMBER = re.compile(r"\+?[0-9]+")


def cell(value: object) -> object:
    """Return a value that no spreadsheet treats as a formula. A leading apostrophe marks it as text."""
    if not isinstance(value, str) or _PHONE_NUMBER.fullmatch(value):
        return value
    return _FORMULA.sub(r"\1'", value)


def line_writer() -> Callable[[Iterable[object]], str]:
    """Return a function that formats a row of cells as a line of CSV."""
    return csv.writer(_Line()).writerow


class _Line:
    """A file for csv.writer that returns each line instead of storing it."""

    def write(self, text: str) -> str:
        return text
