"""Show numbers as spreadsheets do: as dates, durations, 007 or 12.5 %. Only the cell's format distinguishes them."""

import datetime
import re
from typing import Literal, NamedTuple

from campaigns.recipients.sheets.archive import Archive
from campaigns.recipients.sheets.budget import Budget
from campaigns.recipients.sheets.ooxml import walk

_BUILT_IN = {str(key) for key in (*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59))}
# The parts of a format code that are not placeholders: text, colours and conditions. [h], [m] and [s] are placeholders.
_NOT_CODE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\[\]]*+\]', re.IGNORECASE)
_MAX_CODE = 255  # characters of a format code that are read; Excel allows no more
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_ZEROS = re.compile("0{2,15}")
_PERCENT = re.compile(r"[#,]{0,20}0(?:\.(0{1,10}))?%")
_BUILT_IN_PERCENT = {"9": 0, "10": 2}
_DURATION = re.compile(
    r"P(?:([0-9]{1,6})D)?(?:T(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)S)?)?"
)
_MAX_ELAPSED = 10**10  # seconds
_MAX_ELAPSED_DAYS = 1_000
_DAYS_TO_1904 = 1462
_END_OF_9999 = 2_958_465


class Format(NamedTuple):
    """How a cell style shows numbers. `digits` counts all digits if padded, and the decimals of a percentage."""

    kind: Literal["date", "elapsed", "padded", "percent"]
    digits: int


def is_date_format(key: str, code: str | None = None) -> bool:
    """Return whether a number format shows dates or times. `code` is None for Excel's built-in formats."""
    if code is None:
        return key in _BUILT_IN
    shown = _shown_part(code)
    return "general" not in shown and any(letter in shown for letter in "dmyhs")


def number_formats(archive: Archive, part: str, *, budget: Budget) -> dict[str, Format]:
    """Return the format of each cell style that does not show numbers as stored. Keys are style numbers as text."""
    codes: dict[str, str] = {}
    formats: list[str] = []

    def visit(name: str, parent: str, attributes: dict[str, str]) -> None:
        if name == "numFmt" and parent == "numFmts":
            codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif name == "xf" and parent == "cellXfs":
            formats.append(attributes.get("numFmtId", "0"))

    if part in archive:
        walk(archive.read(part), visit, budget=budget)
    known = {key: _format(key, codes.get(key)) for key in set(formats)}
    return {str(style): shown for style, key in enumerate(formats) if (shown := known[key]) is not None}


def _format(key: str, code: str | None) -> Format | None:
    if code is None and key in _BUILT_IN_PERCENT:
        return Format("percent", _BUILT_IN_PERCENT[key])
    if is_date_format(key, code):
        elapsed = key == "46" if code is None else bool(_ELAPSED.search(code[:_MAX_CODE]))
        return Format("elapsed" if elapsed else "date", 0)
    if code is None:
        return None
    shown = _shown_part(code)
    if _ZEROS.fullmatch(shown):
        return Format("padded", len(shown))
    percent = _PERCENT.fullmatch(shown)
    return Format("percent", len(percent[1] or "")) if percent else None


def _shown_part(code: str) -> str:
    return _NOT_CODE.sub("", code[:_MAX_CODE]).partition(";")[0].strip().lower()


def formatted(value: int | float, format: Format, *, from_1904: bool) -> str | int | float:
    """Return a number as its sheet shows it: `2026-01-31`, `36:30` hours, `007`, `12.5%`."""
    match format.kind:
        case "date":
            return date_text(value, from_1904=from_1904)
        case "elapsed":
            is_long = value >= _MAX_ELAPSED_DAYS  # such a large value is a date, whatever its format
            return date_text(value, from_1904=from_1904) if is_long else elapsed_text(round(value * 86_400))
        case "padded":
            return f"{value:0{format.digits}d}" if isinstance(value, int) and value >= 0 else value
        case _:
            return f"{value * 100:.{format.digits}f}%" if abs(value) < 1e12 else value


def elapsed_text(seconds: int) -> str | int:
    """Return a duration as hours and minutes, with seconds if they are not 0: `36:30`, `0:11:05`."""
    if not 0 <= seconds < _MAX_ELAPSED:
        return seconds
    hours, rest = divmod(seconds, 3_600)
    return f"{hours}:{rest // 60:02d}" + (f":{rest % 60:02d}" if rest % 60 else "")


def iso_text(text: str) -> str | int:
    """Return an ISO 8601 date, time or duration (`PT0H11M0.000S`) in the same form as those of other sheets."""
    duration = _DURATION.fullmatch(text)
    if duration is None:
        return text.removesuffix("T00:00:00").replace("T", " ")
    days, hours, minutes, seconds = (float(part or 0) for part in duration.groups())
    return elapsed_text(round(days * 86_400 + hours * 3_600 + minutes * 60 + seconds))


def date_text(serial: int | float, *, from_1904: bool = False) -> str | int | float:
    """Return days since 1900 (or 1904) as `2026-01-31`, `2026-01-31 17:05` or `17:05`. Unchanged after the year 9999."""
    days = serial + _DAYS_TO_1904 if from_1904 else serial
    if not 0 <= days < _END_OF_9999:
        return serial
    # Excel has a 29 February 1900, which did not exist. Its days before that date are therefore off by one.
    start = datetime.datetime(1899, 12, 30) if days >= 60 else datetime.datetime(1899, 12, 31)
    moment = start + datetime.timedelta(days=int(days), seconds=round(days % 1 * 86_400))
    time = moment.time().isoformat("seconds" if moment.second else "minutes")
    if days < 1:
        return time
    return f"{moment.date()} {time}" if moment.time() != datetime.time() else str(moment.date())
