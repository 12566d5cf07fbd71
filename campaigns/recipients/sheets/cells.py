"""Read cells: phone numbers as people write them, and text without characters that cannot be stored or sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from campaigns.recipients.sheets.grid import Cell
from iris.storable import NOT_STORABLE
from telephony import numbering

# These separate several numbers in one cell, if each part is a valid number.
_BETWEEN = re.compile(r"\s*[/,;|\n\r&।]\s*|\s+(?:or|and|वा|र)\s+", re.IGNORECASE)
# The same for cells without any of these: `9841234567 9851234567`, `9841234567-9851234567`, `+977984… +977985…`.
_BETWEEN_NUMBERS = (
    re.compile(r"(?<=\d)[\s\-–—]*(?=\+)"),
    re.compile(r"\s*[–—]\s*|\s+-\s+"),
    re.compile(r"\s+"),
    re.compile(r"-"),
)
_LABELS = (
    "tel|telephone|phone|ph|mob|mobile|cell|contact|whatsapp|viber|ntc|ncell|smartcell|m|p"
    "|फोन|मोबाइल|मोबाईल|सम्पर्क|मो|फो|एनटिसी|एनसेल"
)
_LABEL = re.compile(
    rf"^[(\[]?(?:{_LABELS})[\s.]*+(?:no|nos|number|नं|नम्बर)?[\s.:：#=)\]\-–]*+(?=[+(0-9०-९])", re.IGNORECASE
)
_LABEL_AFTER = re.compile(rf"(?<=\d)[\s(\[\-–]{{1,4}}(?:{_LABELS})[\s.)\]]{{0,4}}$", re.IGNORECASE)
# A number as a sheet shows it: 9,841,234,567 or 9,84,12,34,567.00.
_GROUPED = re.compile(r"\d{1,3}(?:,\d{2,3}){2,5}(?:\.0{1,4})?|\d{7,15},0{1,2}")
# In the legacy fonts Preeti and Kantipur, these characters draw Devanagari digits: 9841234567 is (*$!@#$%^&.
_LEGACY_DIGITS = str.maketrans("!@#$%^&*()÷", "1234567890/")
_LEGACY_NUMBER = re.compile(r"[!@#$%^&*()÷,\s-]{7,60}")
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

    A label such as `Mob:` or `(NTC)` is ignored, and so are the commas of 9,841,234,567. Raises InvalidNumber if any of the
    numbers is invalid.
    """
    try:
        return [numbering.parse(cell)]
    except numbering.InvalidNumber:
        if not isinstance(cell, str) or len(cell) > _MAX_CHARACTERS:
            raise
        # Several blanks become one, so that no pattern reads them repeatedly.
        numbers = _written_otherwise(_BLANKS.sub(" ", cell.strip()))
        if not numbers:
            raise
        return list(dict.fromkeys(numbers))


def _written_otherwise(text: str) -> list[numbering.ParsedNumber]:
    """Return the numbers of a text that is not just one number. Return an empty list unless all of it can be read."""
    if _LEGACY_NUMBER.fullmatch(text):
        return _parsed([text.translate(_LEGACY_DIGITS)]) or _parsed(text.translate(_LEGACY_DIGITS).split("/"))
    if _GROUPED.fullmatch(text):
        return _parsed([text.partition(".")[0].replace(",", "")]) or _parsed([text.rpartition(",")[0]])
    # Signs alone say that there is no second number: `9841234567 / -`.
    parts = [_without_label(part) for part in _BETWEEN.split(text) if any(map(str.isalnum, part))]
    if not parts or len(parts) > _MAX_IN_CELL:
        return []
    if len(parts) > 1:
        return _parsed(parts)
    if parts != [text]:
        with suppress(numbering.InvalidNumber):
            return [numbering.parse(parts[0])]
    for between in _BETWEEN_NUMBERS:
        further = [part for part in between.split(parts[0]) if part]
        if 1 < len(further) <= _MAX_IN_CELL and (numbers := _parsed(further)):
            return numbers
    return []


def _without_label(part: str) -> str:
    return _LABEL_AFTER.sub("", _LABEL.sub("", part.strip()))


def _parsed(parts: Sequence[str]) -> list[numbering.ParsedNumber]:
    """Return the numbers if all parts are numbers that some country has, otherwise an empty list."""
    try:
        numbers = [numbering.parse(part) for part in parts]
    except numbering.InvalidNumber:
        return []
    return numbers if all(number.to for number in numbers) else []


def numbers_in(cell: Cell) -> list[numbering.ParsedNumber]:
    """Return the phone numbers of a cell, or an empty list."""
    if isinstance(cell, str):
        if len(cell) > _MAX_CHARACTERS:
            return []
        if sum(map(str.isdigit, cell)) < numbering.MIN_DIGITS and not _LEGACY_NUMBER.fullmatch(cell):
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
