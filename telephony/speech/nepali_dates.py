"""Rules that put dates, years and times of day into Nepali words."""

from __future__ import annotations

import datetime
import re
from contextlib import suppress

import nepali_datetime

from telephony.speech.nepali_rules import DASH, Rule, rule
from telephony.speech.nepali_words import (
    AD_MONTHS,
    BS_MONTHS,
    DAY_PARTS,
    DEVANAGARI,
    LAST_AD_YEAR,
    NUMBERS,
    amount_in_words,
    cardinal,
)

_DAY_PART_REACH = 64  # characters before a time that are searched for बिहान and the like
_DATE_WORD_REACH = 12  # characters before a date that are searched for मिति
_LAST_BS_DAY = 32


def _year(year: int, *, hundreds: bool) -> str:
    if hundreds and 1100 <= year < 2000:
        rest = year % 100
        return f"{cardinal(year // 100)} सय" + (f" {cardinal(rest)}" if rest else "")
    return cardinal(year)


def _date(match: re.Match[str]) -> str:
    parts = match.groupdict()
    if parts.get("y"):
        year, month, day = int(parts["y"]), int(parts["m"]), int(parts["d"])
    else:
        year, month, day = int(parts["y2"]), int(parts["m2"]), int(parts["d2"])
        if month > 12 >= day:  # the American order: month first
            month, day = day, month
    mark = f"{parts['mark'] or ''} {parts['after'] or ''}".lower()
    if re.search(r"[वब]ि|b\.?s|गते|साल", mark):
        bs = True
    elif re.search(r"ई|इ|a\.?d|सन्|तारिख", mark):
        bs = False
    else:
        bs = year > LAST_AD_YEAR
    era = "विक्रम संवत् " if re.search("[वब]ि", parts["mark"] or "") else ""
    if bs and 1 <= month <= 12 and 1 <= day <= _LAST_BS_DAY and _is_called_a_date(match):
        # The text says that it is a date, so it is read as a date even if the calendar has no such day.
        return f" {era}{_bs_date(year, month, day)}"
    with suppress(ValueError):
        if bs:
            nepali_datetime.date(year, month, day)
            return f" {era}{_bs_date(year, month, day)}"
        datetime.date(year, month, day)
        said = f"सन् {_year(year, hundreds=True)} {AD_MONTHS[month - 1]} {cardinal(day)}"
        return f" {era}{said}" + (" तारिख" if "तारिख" in mark else "")
    return f" {amount_in_words(str(year))} {amount_in_words(str(month))} {amount_in_words(str(day))}"


def _bs_date(year: int, month: int, day: int) -> str:
    return f"{cardinal(year)} साल {BS_MONTHS[month - 1]} {cardinal(day)} गते"


def _is_called_a_date(match: re.Match[str]) -> bool:
    return "मिति" in match.string[max(0, match.start() - _DATE_WORD_REACH) : match.start()]


def _short_date(match: re.Match[str]) -> str:
    """Say 081/08/15, whose year lacks the thousands."""
    month, day = int(match["m"]), int(match["d"])
    if not (1 <= month <= 12 and 1 <= day <= _LAST_BS_DAY):
        return match[0]
    return f"{match['word'] or ''} {_bs_date(2000 + int(match['y']), month, day)}"


def _year_and_month(match: re.Match[str]) -> str:
    return f" {cardinal(int(match[1]))} साल {BS_MONTHS[int(match[2]) - 1]}"


def _fiscal_year(match: re.Match[str]) -> str:
    """Say 2081/82, 2081/082 or 081/82 if the second year follows the first; else return it unchanged."""
    first, last = int(match["first"]), int(match["last"])
    if last % 100 != (first + 1) % 100 or len(match["first"]) == 3 and first >= 100:
        return match[0]
    return f" {cardinal(first)} {cardinal(last % 100 if last < 1000 else last)}"


def _era_year(match: re.Match[str]) -> str:
    return f"इस्वी संवत् {_year(int(match[1]), hundreds=True)}"


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["h"]), int(match["min"] or 0)
    half = re.sub(r"[.\s]", "", match["half"] or "").lower()
    said = _clock(hour, minute, int(match["s"] or 0))
    return f" {said}" if not half or _follows_part_of_day(match) else f" {_part_of_day(hour, half)} {said}"


def _follows_part_of_day(match: re.Match[str]) -> bool:
    """Return whether the word before the time is a part of the day, such as बिहान."""
    before = match.string[max(0, match.start() - _DAY_PART_REACH) : match.start()].split()
    return bool(before) and any(part in before[-1] for part in DAY_PARTS)


def _clock(hour: int, minute: int, second: int) -> str:
    if not minute and not second:
        return f"{cardinal(hour)} बजे"
    if not second and 1 <= hour <= 12:
        if minute == 30:
            return "डेढ बजे" if hour == 1 else f"साढे {cardinal(hour)} बजे"
        if minute == 15:
            return f"सवा {cardinal(hour)} बजे"
        if minute == 45:
            return f"पौने {cardinal(hour % 12 + 1)} बजे"
    said = f"{cardinal(hour)} बजेर {cardinal(minute)} मिनेट"
    return f"{said} {cardinal(second)} सेकेन्ड" if second else said


def _part_of_day(hour: int, half: str) -> str:
    if half == "am":
        return "राति" if hour == 12 or hour < 4 else "बिहान"
    if hour == 12 or hour < 4:
        return "दिउँसो"
    return "बेलुका" if hour < 8 else "राति"


_AD_MONTH_NAMES = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)


def _month(match: re.Match[str]) -> str:
    name = AD_MONTHS[_AD_MONTH_NAMES.index(match["name"][:3].lower())]
    return f" {name} "


_BS_ERA = r"(?:[वब]ि\.?\s?सं\.?|विक्रम संवत्)"
_AD_ERA = r"[ईइ]\.?\s?सं\.?"
_MARK = rf"(?:(?P<mark>(?<![{DEVANAGARI}])(?:{_BS_ERA}|{_AD_ERA}|सन्)|b\.?s\.?|a\.?d\.?)|(?<!\s))\s*+"
_CLOCK = r"\d{1,2}(?:[:.][0-5]\d)?"

DATE_RULES: tuple[Rule, ...] = (
    # A range of two dates: from the first to the second.
    rule(
        rf"(?<![\d/.-])(\d{{4}}([/.-])\d{{1,2}}\2\d{{1,2}})\s?{DASH}\s?(?=\d{{4}}\2\d{{1,2}}\2\d{{1,2}}(?!\d))",
        r"\1 देखि ",
    ),
    rule(r"(?<![\d/.-])(\d{4}-\d\d-\d\d)T(?=\d\d:\d\d)", r"\1 "),
    rule(
        _MARK + r"(?<![\d/-])(?<!\d\.)(?:(?P<y>\d{4})(?P<sep>[/.-])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})"
        r"|(?P<d2>\d{1,2})(?P<sep2>[/.-])(?P<m2>\d{1,2})(?P=sep2)(?P<y2>\d{4}))(?![\d/-]|\.\d)"
        r"(?P<after>\s*(?:गते|तारिख|b\.?s\b\.?|a\.?d\b\.?))?",
        _date,
    ),
    rule(
        r"(?:(?P<word>मिति\s?:?)\s?0?|(?<![\d/.,-])0)(?P<y>[5-9]\d)(?P<sep>[/.-])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})"
        r"(?![\d/-]|\.\d)(?:\s?गते)?",
        _short_date,
    ),
    rule(r"(?<![\d/.-])(20[5-9]\d)[/.-](0[1-9]|1[0-2])(?=\s?महिना)", _year_and_month),
    rule(
        r"(?<!\d)(?<!\d{5}/)(?P<first>20\d\d|0\d\d)\s?[/-]\s?(?P<last>0?\d\d|20\d\d)(?![\d/-]|\.\d)",
        _fiscal_year,
    ),
    rule(rf"(?<![{DEVANAGARI}]){_AD_ERA}\s*(\d{{4}})(?!\d)", _era_year),
    rule(rf"(?<![{DEVANAGARI}]){_BS_ERA}\s?(?=\d{{4}}(?!\d))", "विक्रम संवत् "),
    rule(r"सन्\s*(\d{4})(?!\d)", lambda m: f"सन् {_year(int(m[1]), hundreds=True)}"),
    rule(_MONTH + r"\b\.?,?(?=\s*\d)", _month),
    rule(r"(?<=\d)(?:st|nd|rd|th)?\s*" + _MONTH + r"\b\.?,?", _month),
)

TIME_RULES: tuple[Rule, ...] = (
    rule(r"(?<![\d/.-])24/7(?![\d/]|\.\d)", "चौबिसै घण्टा"),
    rule(rf"(?<![\d.,])(\d{{1,2}})सै(?![{DEVANAGARI}])", lambda m: NUMBERS[int(m[1])] + "ै"),
    # From one time of day to another.
    rule(
        rf"(?<![\d:.,/-])({_CLOCK}(?:\s?(?:बजे|[ap]\.?m\b\.?))?)\s?{DASH}\s?(?={_CLOCK}\s?(?:बजे|[ap]\.?m\b))",
        r"\1 देखि ",
    ),
    rule(rf"(?<![\d:.,/-])(\d{{1,2}}:[0-5]\d)\s?{DASH}\s?(?=\d{{1,2}}:[0-5]\d)", r"\1 देखि "),
    rule(rf"(समय\s?:?\s?\d{{1,2}})\s?{DASH}\s?(?=\d{{1,2}}(?![\d:/-]|\.\d))", r"\1 देखि "),
    rule(
        r"(?<![\d:.])(?P<h>[01]?\d|2[0-4]):(?P<min>[0-5]\d)(?::(?P<s>[0-5]\d))?(?![\d:])"
        r"(?:\s*(?P<half>[ap]\.?m\b\.?))?(?:\s*बजे)?",
        _time,
    ),
    rule(
        r"(?<![\d:.])(?P<h>[01]?\d|2[0-4])\.(?P<min>[0-5]\d)(?P<s>)\s*(?:(?P<half>[ap]\.?m\b\.?)|बजे)", _time
    ),
    rule(r"(?<![\d:.])(?P<h>1[0-2]|0?[1-9])(?P<min>)(?P<s>)\s*(?P<half>[ap]\.?m\b\.?)(?:\s*बजे)?", _time),
)
