"""Dates in spreadsheets: numbers of days, told from other numbers only by the format that shows them."""

import datetime
import re

from campaigns.recipients.sheets.archive import Archive
from campaigns.recipients.sheets.budget import Budget
from campaigns.recipients.sheets.ooxml import walk

_BUILT_IN = {str(key) for key in (*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59))}
# Text, colours and conditions in a format; [h], [m] and [s] are time.
_NOT_CODE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\[\]]*+\]', re.IGNORECASE)
_MAX_CODE = 255  # characters of a format, as in Excel: thousands of styles may have the same one
_DAYS_TO_1904 = 1462
_END_OF_9999 = 2_958_465


def is_date_format(key: str, code: str | None = None) -> bool:
    """Whether a number format, with its own code or one of Excel's built-in ones, shows dates or times."""
    if code is None:
        return key in _BUILT_IN
    shown = _NOT_CODE.sub("", code[:_MAX_CODE]).partition(";")[0].lower()
    return "general" not in shown and any(letter in shown for letter in "dmyhs")


def date_styles(archive: Archive, part: str, *, budget: Budget) -> frozenset[str]:
    """The cell styles (numbers, as a cell names them) that show a number as a date or time."""
    codes: dict[str, str] = {}
    formats: list[str] = []

    def visit(name: str, parent: str, attributes: dict[str, str]) -> None:
        if name == "numFmt" and parent == "numFmts":
            codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif name == "xf" and parent == "cellXfs":
            formats.append(attributes.get("numFmtId", "0"))

    if part in archive:
        walk(archive.read(part), visit, budget=budget)
    dates = {format for format in set(formats) if is_date_format(format, codes.get(format))}
    return frozenset(str(style) for style, format in enumerate(formats) if format in dates)


def date_text(serial: int | float, *, from_1904: bool = False) -> str | int | float:
    """Days since 1900 (or 1904) as `2026-01-31`, `2026-01-31 17:05` or `17:05`; unchanged beyond 9999."""
    days = serial + _DAYS_TO_1904 if from_1904 else serial
    if not 0 <= days < _END_OF_9999:
        return serial
    # Excel believes in a 29 February 1900: its days before that are one off.
    start = datetime.datetime(1899, 12, 30) if days >= 60 else datetime.datetime(1899, 12, 31)
    moment = start + datetime.timedelta(days=int(days), seconds=round(days % 1 * 86_400))
    time = moment.time().isoformat("seconds" if moment.second else "minutes")
    if days < 1:
        return time
    return f"{moment.date()} {time}" if moment.time() != datetime.time() else str(moment.date())
