"""Normalize English: numbers, money, dates, times, codes and acronyms become words, as English is spoken in Nepal.

Amounts have lakhs and crores. The result contains no digits. Each rule runs in linear time
(tests/telephony/speech/test_linear_rules.py).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from contextlib import suppress

from telephony.speech.nepali_rules import PAUSE, Rule, number_rule, rule

# ruff: noqa: SIM905 - a list of words reads best as a line of words.

_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen""".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_UNITS = ((10**7, "crore"), (10**5, "lakh"), (10**3, "thousand"), (10**2, "hundred"))
_MAX_AMOUNT_DIGITS = 12
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_MONTHS = "January February March April May June July August September October November December".split()
_BS_MONTHS = "Baisakh Jestha Asar Shrawan Bhadra Ashwin Kartik Mangsir Poush Magh Falgun Chaitra".split()
_LAST_AD_YEAR = 2050
_MEASURES = {
    "km/h": "kilometres per hour", "km": "kilometres", "kg": "kilograms", "gm": "grams", "mg": "milligrams",
    "cm": "centimetres", "mm": "millimetres", "ml": "millilitres", "ltr": "litres", "hrs": "hours", "hr": "hours",
    "mins": "minutes", "min": "minutes", "sec": "seconds", "ft": "feet", "GB": "G B", "MB": "M B",
    "°C": "degrees Celsius", "°F": "degrees Fahrenheit", "°": "degrees",
}  # fmt: skip
_MEASURES_IN_LOWER_CASE = {written.lower(): said for written, said in _MEASURES.items()}
_ABBREVIATIONS = {
    "no.": "number",
    "dr.": "Doctor",
    "mr.": "Mister",
    "mrs.": "Missis",
    "ltd.": "Limited",
    "pvt.": "Private",
}
_ACRONYMS = frozenset(
    """OTP OPD ATM ID EMI CEO AI USD GPA ISP UAE USA UK UN EU NEA IPO IRD SEE WHO ICU OT HIV ECG NEB NID KUKL AQI
    MRI VIP""".split()
)
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
CODE_WORD = r"(?:otp|code|pin|password|token)"
CLAUSE = r"[^.;!?\n\d]"


def cardinal(number: int) -> str:
    """Return a cardinal number in words: 1,23,456 is one lakh twenty three thousand four hundred fifty six."""
    if number < 20:
        return _SMALL[number]
    if number < 100:
        return _TENS[number // 10 - 2] + (f" {_SMALL[number % 10]}" if number % 10 else "")
    size, unit = next((size, unit) for size, unit in _UNITS if number >= size)
    rest = number % size
    return f"{cardinal(number // size)} {unit}" + (f" {cardinal(rest)}" if rest else "")


def ordinal(number: int) -> str:
    *before, last = cardinal(number).split(" ")
    said = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return " ".join([*before, said])


def _digits(digits: str, *, between: str = " ") -> str:
    return between.join(_SMALL[int(digit)] for digit in digits if digit.isdecimal())


def _amount(written: str) -> str:
    whole, _, decimals = written.replace(",", "").partition(".")
    spell = len(whole) > _MAX_AMOUNT_DIGITS or (len(whole) > 1 and whole.startswith("0"))
    said = _digits(whole) if spell else cardinal(int(whole))
    return f"{said} point {_digits(decimals)}" if decimals else said


def _year(year: int) -> str:
    if 2000 <= year < 2010 or not 1100 <= year < 2200:
        return cardinal(year)
    return f"{cardinal(year // 100)} {cardinal(year % 100) if year % 100 else 'hundred'}"


def _date(match: re.Match[str]) -> str:
    year, month, day = int(match[1]), int(match[3]), int(match[4])
    with suppress(ValueError):
        if year > _LAST_AD_YEAR and 1 <= month <= 12 and 1 <= day <= 32:
            return f" {cardinal(day)} {_BS_MONTHS[month - 1]} {_year(year)}"
        datetime.date(year, month, day)
        return f" {cardinal(day)} {_MONTHS[month - 1]} {_year(year)}"
    return f" {_year(year)} {cardinal(month)} {cardinal(day)}"


def _day_and_month(match: re.Match[str]) -> str:
    day, month = int(match["day"]), _month_name(match)
    if match["year"]:
        return f"{cardinal(day)} {month} {_year(int(match['year']))}"
    return f"{ordinal(day)} {month}"


def _month_and_day(match: re.Match[str]) -> str:
    year = f" {_year(int(match['year']))}" if match["year"] else ""
    return f"{_month_name(match)} {cardinal(int(match['day']))}{year}"


def _month_name(match: re.Match[str]) -> str:
    return next(name for name in _MONTHS if name.lower().startswith(match["name"][:3].lower()))


def _time(match: re.Match[str]) -> str:
    hour, minute, half = int(match["h"]), int(match["min"] or 0), match["half"]
    said = cardinal(hour)
    if minute:
        said += f" {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    elif not half:
        said += " hundred" if hour > 12 else " o'clock"
    return f" {said}" + (f" {half[0].upper()} M" if half else "")


def _rupees(match: re.Match[str], written: str) -> str:
    whole, _, decimals = written.partition(".")
    if len(decimals) not in (1, 2):
        return f" {_amount(written)} rupees"
    paisa = int(decimals.ljust(2, "0"))
    return f" {_amount(whole)} rupees" + (f" {cardinal(paisa)} paisa" if paisa else "")


def _pauses(group: int, form: str) -> Callable[[re.Match[str]], str]:
    def say(match: re.Match[str]) -> str:
        said = _digits(match[group], between=PAUSE)
        return form.format(said=said, before=match[1], after=match[match.re.groups])

    return say


def _address(match: re.Match[str]) -> str:
    said = re.sub(r"^www\.", "w w w.", re.sub(r"^https?://", "", match[0]))
    names = {".": " dot ", "@": " at ", "/": " slash "}
    return re.sub(r"[.@/:_-]", lambda sign: names.get(sign[0], " "), said)


def _hyphenated(match: re.Match[str]) -> str:
    parts = re.findall(r"[A-Za-z]+|\d+", match[0])
    short = len(parts) == 2 and len(parts[1]) < 3 and not parts[1].startswith("0")
    return (
        " ".join(
            part if not part.isdecimal() else _amount(part) if short else _digits(part) for part in parts
        )
        + " "
    )


_FRACTIONS = {
    "1/2": "half",
    "1/4": "one quarter",
    "3/4": "three quarters",
    "1/3": "one third",
    "2/3": "two thirds",
}

RULES: tuple[Rule, ...] = (
    rule(
        r"(?:https?://|www\.)[^\s]+[^\s.,!?)]|(?<![\w.+-])(?:[\w.+-]++@[\w-]++(?:\.[\w-]+)++)++",
        _address,
    ),
    rule(r"(?<![\d/.-])(\d{4})([/.-])(\d{1,2})\2(\d{1,2})(?![\d/-]|\.\d)", _date),
    rule(
        rf"(?<![\w/.-])(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s(?P<name>{MONTH})\b\.?,?(?:\s(?P<year>\d{{4}})(?!\d))?",
        _day_and_month,
    ),
    rule(
        rf"\b(?P<name>{MONTH})\b\.?\s(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?![\d:])(?:,?\s(?P<year>\d{{4}})(?!\d))?",
        _month_and_day,
    ),
    rule(r"(?<![\d/.-])24/7(?![\d/])", "twenty four seven"),
    rule(
        r"(?<![\d:.])(?P<h>[01]?\d|2[0-4]):(?P<min>[0-5]\d)(?![\d:])(?:\s?(?P<half>[ap]\.?m\b\.?))?",
        _time,
    ),
    rule(r"(?<![\d:.,])(?P<h>1[0-2]|0?[1-9])(?P<min>)\s?(?P<half>[ap]\.?m\b)", _time),
    number_rule(r"\s*%", lambda _, number: f"{_amount(number)} percent"),
    rule(
        r"(?<![A-Za-z])(?:npr|nrs|rs|₹)\s?\.?\s?(?P<number>(?<!\d)\d++(?:,\d++)*+(?:\.\d++)?)(?:\s?/[-=])?",
        lambda m: _rupees(m, m["number"]),
    ),
    number_rule(r"\s?/[-=]", _rupees),
    rule(rf"({CODE_WORD}{CLAUSE}{{0,30}}?)\b(\d{{4,12}})\b(?![.,]\d)()", _pauses(2, "{before}{said}")),
    rule(rf"()\b(\d{{4,12}})\b(?![.,]\d)({CLAUSE}{{1,25}}?{CODE_WORD})", _pauses(2, "{said}{after}")),
    rule(
        r"()(?<![\d.,+-])(\+?(?:\d{9,}+|0\d{3,}+|(?:\d ){3,}\d|1660[- ]\d{2}[- ]\d{5}|0\d{1,2}-\d{6,7}"
        r"|9[678]\d{1,3}[- ]\d{5,7}))(?![,.]*+\d)()",
        _pauses(2, "{said}"),
    ),
    rule(r"((?:\bno\.|number)\s?)(?<!\d)(\d{5,9})(?![,.]?\d)", lambda m: f"{m[1]} {_digits(m[2])}"),
    rule(
        r"(?<![\w])(?-i:([A-Z]{1,3}) (\d{1,3}) ([A-Z]{1,3}) (\d{3,4}))(?!\w)",
        lambda m: f"{m[1]} {_amount(m[2])} {m[3]} {_digits(m[4])}",
    ),
    rule(r"(?<![\w-])(?-i:[A-Z]{1,6})-\d{1,12}(?:-\d{1,12}){0,4}(?![\w-])", _hyphenated),
    rule(r"(?<![\d/.])(?:1/[234]|[23]/[34])(?![\d/])", lambda m: _FRACTIONS.get(m[0], m[0])),
    rule(r"\bhalf\s(?=[a-z]{3,20}\b)(?!an?\b|past\b|the\b|of\b|litre|kilo)", "half a "),
    rule(r"(?<![\d,.-])(\d{1,4})\s?[-–—]\s?(\d{1,4})(?![,.-]*+\d)", r"\1 to \2"),
    rule(r"(?<![^\s(=])[-−–](?=\d)", "minus "),
    number_rule(
        rf"\s?(?P<unit>{'|'.join(re.escape(one) for one in sorted(_MEASURES, key=len, reverse=True))})(?![A-Za-z])",
        lambda m, number: f"{_amount(number)} {_MEASURES_IN_LOWER_CASE[m['unit'].lower()]}",
    ),
    rule(r"(?<![\w.])(\d{1,9})(?:st|nd|rd|th)\b", lambda m: ordinal(int(m[1]))),
    rule(r"\b(?:no|dr|mr|mrs|ltd|pvt)\.", lambda m: _ABBREVIATIONS[m[0].lower()]),
    rule(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])", " "),
    rule(r"(?<=\d)/(?=\d)", " slash "),
    number_rule("", lambda _, number: _amount(number)),
    rule(r"\d", lambda m: f" {_SMALL[int(m[0])]} "),
)
_CAPITALS = re.compile(r"(?<![A-Za-z])[A-Z]{2,6}(?![A-Za-z])")


def _capitals(match: re.Match[str]) -> str:
    word = match[0]
    return " ".join(word) if word in _ACRONYMS or not set(word) & set("AEIOUY") else word


def to_words(text: str) -> str:
    """Return the text with all digits put into words."""
    text = "".join(str(int(one)) if one.isdecimal() else one for one in text)
    for pattern, say in RULES:
        text = pattern.sub(say, text)
    return _CAPITALS.sub(_capitals, text)
