"""Read cells: phone numbers as people write them, and text without characters that cannot be stored or sent."""

from __future__ import annotations

import re
from collections.abc import Sequence

from campaigns.recipients.sheets.grid import Cell
from iris.storable import NOT_STORABLE
from telephony import numbering

# These separate several numbers in one cell, if each part is a valid number.
_BETWEEN = re.compile(r"\s*[/,;|\n\r&।]\s*|\s+(?:or|and|वा|र)\s+", re.IGNORECASE)
_LABEL = re.compile(
    r"^(?:tel|telephone|phone|ph|mob|mobile|cell|contact|whatsapp|viber|फोन|मोबाइल|मोबाईल|सम्पर्क|मो|फो)"
    r"\s*(?:no|नं|नम्बर|number)?\s*[.:：\-]*\s*(?=[+(0-9०-९])",
    re.IGNORECASE,
)
_BLANKS = re.compile(r"[^\S\r\n]++")
_MAX_IN_CELL = 5
_MAX_CHARACTERS = 200
# Invisible characters that cannot be stored or sent, or that no message needs. The joiners of Devanagari (U+200C, U+200D)
# are kept.
_INVISIBLE = re.compile(
    f"[{NOT_STORABLE}\x01-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufffe\uffff]"
)
_LINE_BREAK = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")


def read_numbers(cell: Cell) -> list[numbering.ParsedNumber]:
    """Return the phone numbers of a cell: one, or several as in `9841234567 / 9851234567`.

    A label such as `Mob:` is ignored. Raises InvalidNumber if any of the numbers is invalid.
    """
    try:
        return [numbering.parse(cell)]
    except numbering.InvalidNumber:
        if not isinstance(cell, str) or len(cell) > _MAX_CHARACTERS:
            raise
        # Several blanks become one, so that no pattern reads them repeatedly.
        written = _BLANKS.sub(" ", cell.strip())
        parts = [_LABEL.sub("", part.strip()) for part in _BETWEEN.split(written) if part.strip()]
        if not parts or len(parts) > _MAX_IN_CELL or parts == [cell]:
            raise
        try:
            numbers = [numbering.parse(part) for part in parts]
        except numbering.InvalidNumber:
            numbers = []
        if len(numbers) > 1 and not all(number.to for number in numbers):
            numbers = []  # 9,841,234,567 is not a list of numbers
        if not numbers:
            raise
        return list(dict.fromkeys(numbers))


def numbers_in(cell: Cell) -> list[numbering.ParsedNumber]:
    """Return the phone numbers of a cell, or an empty list."""
    if isinstance(cell, str):
        if len(cell) > _MAX_CHARACTERS or sum(map(str.isdigit, cell)) < numbering.MIN_DIGITS:
            return []
    elif cell is None or cell < 10 ** (numbering.MIN_DIGITS - 1):
        return []
    try:
        return read_numbers(cell)
    except numbering.InvalidNumber:
        return []


def is_blank(cells: Sequence[Cell]) -> bool:
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def printable(text: str) -> str:
    """Return the text without invisible characters and with \\n as the only line break."""
    # A single no-break space would make a whole SMS UCS-2 and double its price.
    text = _LINE_BREAK.sub("\n", text).replace("\N{NO-BREAK SPACE}", " ")
    return _INVISIBLE.sub("", text).strip()
