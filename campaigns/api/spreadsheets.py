"""Values for CSV files that people open in a spreadsheet."""

import re

# Spreadsheets treat a cell that begins like this as a formula. The pattern also matches after characters that separate
# cells in the spreadsheets of some countries, where quotes do not protect the cell. Blanks end at the next separator, so no
# character is examined more than twice.
_BLANKS = r"[^\S\t\r\n]*+"
_FORMULA = re.compile(rf"(^|[;\t\r\n|])(?={_BLANKS}[\"']?+{_BLANKS}[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])")
_PHONE_NUMBER = re.compile(r"\+?[0-9]+")


class Line:
    """A file for csv.writer that returns each line instead of storing it."""

    def write(self, text: str) -> str:
        return text


def cell(value: object) -> object:
    """Return a value that no spreadsheet treats as a formula. A leading apostrophe marks it as text."""
    if not isinstance(value, str) or _PHONE_NUMBER.fullmatch(value):
        return value
    return _FORMULA.sub(r"\1'", value)
