"""Normalize Nepali: numbers, money, dates, times, telephone numbers and abbreviations become words.

Engines read digits differently, or in English, or not at all, but they all read words alike. The result contains no
digits. Ambiguous cases are decided here; tests/telephony/speech/test_nepali.py is the complete table:

* A year above 2050 is Bikram Sambat, any other Anno Domini, unless the text states it (वि.सं., गते, AD …).
* Telephone numbers, codes (OTP, कोड, PIN … in the same clause, four digits or more), numbers with a leading zero, and
  numbers of nine or more digits without commas are spoken digit by digit. All other numbers are amounts.

The texts are untrusted, so each rule must run in linear time, whatever the text
(tests/telephony/speech/test_linear_rules.py). A repetition without an upper bound starts only where no other attempt of
the same rule has already read the same characters (a lookbehind ensures it), and is possessive where it could
backtrack.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from contextlib import suppress

import nepali_datetime

from telephony.speech.nepali_words import (
    ABBREVIATIONS,
    ACRONYMS,
    AD_MONTHS,
    BS_MONTHS,
    CALL_WORDS,
    CASE_ENDINGS,
    CLAUSE,
    CODE_WORDS,
    COUNT_NOUNS,
    DAY_PARTS,
    DEVANAGARI,
    LAST_AD_YEAR,
    LETTERS,
    MAGNITUDES,
    MAX_AMOUNT_DIGITS,
    MEASURES,
    NUMBERS,
    RUPEE_SIGNS,
    RUPEE_WORDS,
    amount_in_words,
    append_ending,
    cardinal,
    digit_by_digit,
    ordinal,
    split_trailing_number,
)

PAUSE = " ‖ "  # a pause that `synthesis` inserts, because engines treat commas differently

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3}|\d+)(?:\.\d+)?"
_NO_MORE_DIGITS = r"(?!,*+\d)"
# All digits joined by commas, and decimals. `split_trailing_number` finds the number at their end; a regular
# expression would have to try every digit as its start.
_GROUPED_DIGITS = r"(?<!\d)(?<!\d,)(?P<digits>\d++(?:,\d++)*+)(?P<decimals>\.\d+)?"
_DAY_PART_REACH = 64  # characters before a time that are searched for बिहान and the like
_WORD_ENDS = rf"(?=(?:{CASE_ENDINGS})?(?![{DEVANAGARI}]))"
_CODE_DIGITS = rf"(?<![\d,.])(\d{{4,12}}){_NO_MORE_DIGITS}(?!\.\d|\s*+(?:{COUNT_NOUNS}))"

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def _year(year: int, *, hundreds: bool) -> str:
    if hundreds and 1100 <= year < 2000:
        rest = year % 100
        return f"{cardinal(year // 100)} सय" + (f" {cardinal(rest)}" if rest else "")
    return cardinal(year)


# Dates and times --------------------------------------------------------------------------------------------


def _date(match: re.Match[str]) -> str:
    parts = match.groupdict()
    if parts.get("y"):
        year, month, day = int(parts["y"]), int(parts["m"]), int(parts["d"])
    else:
        year, month, day = int(parts["y2"]), int(parts["m2"]), int(parts["d2"])
        if month > 12 >= day:  # the American order: month first
            month, day = day, month
    mark = f"{parts['mark'] or ''} {parts['after'] or ''}".lower()
    if re.search(r"वि|b\.?s|गते|साल", mark):
        bs = True
    elif re.search(r"ई|इ|a\.?d|सन्|तारिख", mark):
        bs = False
    else:
        bs = year > LAST_AD_YEAR
    with suppress(ValueError):
        if bs:
            nepali_datetime.date(year, month, day)
            said = f"{cardinal(year)} साल {BS_MONTHS[month - 1]} {cardinal(day)} गते"
        else:
            datetime.date(year, month, day)
            said = f"सन् {_year(year, hundreds=True)} {AD_MONTHS[month - 1]} {cardinal(day)}"
            said += " तारिख" if "तारिख" in mark else ""
        era = "विक्रम संवत् " if "वि" in (parts["mark"] or "") else ""
        return f" {era}{said}"
    return f" {amount_in_words(str(year))} {amount_in_words(str(month))} {amount_in_words(str(day))}"


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


# Money ------------------------------------------------------------------------------------------------------


def _rupees(match: re.Match[str], written: str) -> str:
    many, ending = match["many"] or "", match["ending"] or ""
    whole, _, decimals = written.partition(".")
    if many:
        said = f"{amount_in_words(written)} {many} रुपैयाँ"
    elif len(decimals) in (1, 2):
        paisa = int(decimals.ljust(2, "0"))
        said = f"{amount_in_words(whole)} रुपैयाँ" + (f" {cardinal(paisa)} पैसा" if paisa else "")
    else:
        said = f"{amount_in_words(written)} रुपैयाँ"
    return " " + append_ending(said, ending)


def _percent(match: re.Match[str], written: str) -> str:
    return append_ending(f"{amount_in_words(written)} प्रतिशत", match["ending"] or "")


def _foreign_currency(match: re.Match[str], written: str) -> str:
    name = {"$": "डलर", "usd": "डलर", "€": "युरो", "£": "पाउन्ड"}[match["sign"].lower()]
    return f" {amount_in_words(written)} {name}"


# Digit by digit ---------------------------------------------------------------------------------------------


def _telephone(match: re.Match[str]) -> str:
    """Say a telephone number in groups with short pauses, as to someone who writes it down."""
    plus = "प्लस " if match[0].startswith("+") else ""
    groups: list[str] = []
    for digits in re.findall(r"\d+", match[0]):
        country = 3 if plus and not groups and digits.startswith("977") else 0
        rest = digits[country:]
        groups += [digits[:country], *((rest[:3], rest[3:6], rest[6:]) if len(rest) > 7 else (rest,))]
    return f" {plus}" + PAUSE.join(digit_by_digit(group) for group in groups if group) + " "


def _code(match: re.Match[str]) -> str:
    return match[1] + digit_by_digit(match[2], between=PAUSE) + " "


def _code_before(match: re.Match[str]) -> str:
    return digit_by_digit(match[1], between=PAUSE) + " " + match[2]


def _spelled_out(match: re.Match[str]) -> str:
    """Say characters separated by spaces, as in passwords: 4 7 1 1."""
    return PAUSE.join(
        NUMBERS[int(one)] if one.isdecimal() else LETTERS[one.upper()] for one in match[0].split()
    )


def _letters_and_digits(match: re.Match[str]) -> str:
    """Say AB12 or 4G: letters by their names, and digits as a number if there are fewer than four."""
    said = []
    for letters, digits in re.findall(r"([A-Za-z]+)|(\d+)", match[0]):
        if letters:
            spell = letters.isupper() or len(letters) == 1
            said.append(_letters(letters) if spell else letters)
        else:
            said.append(amount_in_words(digits) if len(digits) < 4 else digit_by_digit(digits))
    return " ".join(said)


def _letters(letters: str) -> str:
    return " ".join(LETTERS[letter] for letter in letters.upper())


def _capitals(match: re.Match[str]) -> str:
    word = match[0]
    return _letters(word) if word in ACRONYMS or not set(word) & set("AEIOUY") else word


def _internet_address(match: re.Match[str]) -> str:
    said = re.sub(r"^(?:https?://)?(?:www\.)?", "", match[0])
    return re.sub(
        r"[.@/:_-]", lambda sign: {".": " डट ", "@": " एट ", "/": " स्ल्यास "}.get(sign[0], " "), said
    )


def _number(match: re.Match[str], written: str) -> str:
    ending, whole = match["ending"] or "", written.partition(".")[0]
    if re.fullmatch("औं|औँ|औ|लो|रो|थो", ending) and whole.isdecimal():
        digits = whole.lstrip("0") or "0"
        if len(digits) <= MAX_AMOUNT_DIGITS:
            return ordinal(int(digits))
    if "," not in written and len(whole) >= 9:
        return append_ending(digit_by_digit(whole), ending)
    return append_ending(amount_in_words(written), ending)


def _range(match: re.Match[str]) -> str:
    first, last = int(match[1]), int(match[2])
    return f"{match[1]} देखि {match[2]}" if first < last else f"{match[1]} {match[2]}"


_MEASURES_IN_LOWER_CASE = {written.lower(): said for written, said in MEASURES.items()}
_ABBREVIATIONS_IN_LOWER_CASE = {written.lower(): said for written, said in ABBREVIATIONS.items()}


def _abbreviation_pattern() -> str:
    longest_first = sorted(ABBREVIATIONS, key=len, reverse=True)
    return rf"(?<![{DEVANAGARI}A-Za-z.])(?:{'|'.join(re.escape(written) for written in longest_first)})"


def _rule(pattern: str, say: Callable[[re.Match[str]], str] | str) -> Rule:
    return re.compile(pattern, re.IGNORECASE), say if callable(say) else lambda match: match.expand(say)


def _number_rule(behind: str, say: Callable[[re.Match[str], str], str]) -> Rule:
    """Return a rule for a number and the text after it; `say` also gets the number."""

    def replacement(match: re.Match[str]) -> str:
        before, number = split_trailing_number(match["digits"])
        return before + say(match, number + (match["decimals"] or ""))

    return _rule(_GROUPED_DIGITS + behind, replacement)


_ENDING = rf"(?P<ending>[{DEVANAGARI}]+)?"
_MARK = rf"(?:(?P<mark>(?<![{DEVANAGARI}])(?:वि\.?\s?सं\.?|[ईइ]\.?\s?सं\.?|सन्)|b\.?s\.?|a\.?d\.?)|(?<!\s))\s*+"

# The order matters: later rules do not see the digits that an earlier rule has put into words.
RULES: tuple[Rule, ...] = (
    _rule(
        r"(?:https?://|www\.)[^\s।]+[^\s।.,!?)]|(?<![\w.+-])(?:[\w.+-]++@[\w-]++(?:\.[\w-]+)++)++",
        _internet_address,
    ),
    _rule(
        _MARK + r"(?<![\d/.-])(?:(?P<y>\d{4})(?P<sep>[/.-])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})"
        r"|(?P<d2>\d{1,2})(?P<sep2>[/.-])(?P<m2>\d{1,2})(?P=sep2)(?P<y2>\d{4}))(?![\d/-]|\.\d)"
        r"(?P<after>\s*(?:गते|तारिख|b\.?s\b\.?|a\.?d\b\.?))?",
        _date,
    ),
    _rule(r"सन्\s*(\d{4})(?!\d)", lambda m: f"सन् {_year(int(m[1]), hundreds=True)}"),
    _rule(_MONTH + r"\b\.?,?(?=\s*\d)", _month),
    _rule(r"(?<=\d)(?:st|nd|rd|th)?\s*" + _MONTH + r"\b\.?,?", _month),
    _rule(
        r"(?<![\d:.])(?P<h>[01]?\d|2[0-4]):(?P<min>[0-5]\d)(?::(?P<s>[0-5]\d))?(?![\d:])"
        r"(?:\s*(?P<half>[ap]\.?m\b\.?))?(?:\s*बजे)?",
        _time,
    ),
    _rule(r"(?<![\d:.])(?P<h>[01]?\d|2[0-4])\.(?P<min>[0-5]\d)(?P<s>)(?P<half>)\s*बजे", _time),
    _rule(r"(?<![\d:.])(?P<h>1[0-2]|0?[1-9])(?P<min>)(?P<s>)\s*(?P<half>[ap]\.?m\b\.?)(?:\s*बजे)?", _time),
    _rule(
        rf"{RUPEE_SIGNS}\s?[.:]?\s*(?P<number>{_NUMBER}){_NO_MORE_DIGITS}(?:\s*(?P<many>{MAGNITUDES}){_WORD_ENDS})?(?:\s*/-)?"
        rf"(?:\s*(?:{RUPEE_WORDS}))?{_ENDING}",
        lambda m: _rupees(m, m["number"]),
    ),
    _number_rule(
        rf"(?:\s*(?P<many>{MAGNITUDES}))?(?:\s*/-(?:\s*(?:{RUPEE_WORDS}))?"
        rf"|\s*(?:{RUPEE_WORDS}|(?:nrs|npr|rs)\b\.?)){_ENDING}",
        _rupees,
    ),
    _rule(rf"(?P<sign>[$€£]|usd)\s*(?P<number>{_NUMBER})", lambda m: _foreign_currency(m, m["number"])),
    _number_rule(r"\s*(?P<sign>[$€£]|usd\b)", _foreign_currency),
    _number_rule(rf"\s*[%٪]{_ENDING}", _percent),
    _rule(r"(?<![\w+])\+\d[\d -]{5,17}\d(?!\w)", _telephone),
    _rule(
        r"(?<![\d,.-])(?:0\d{1,2}[ -]\d{6,7}|9[678]\d{2}[ -]\d{6}|9[678]\d[ -]\d{7}|9[678]\d[ -]\d{3}[ -]\d{4}"
        r"|9[678]\d{8}|1660-?0?\d-?\d{5,6})(?![\d-])",
        _telephone,
    ),
    _rule(r"(?<![\w.,])(?:\d |[A-Za-z] ){3,}(?:\d|[A-Za-z])(?![,.]*+\w)", _spelled_out),
    _rule(rf"((?:{CODE_WORDS}|{CALL_WORDS}){CLAUSE}{{0,30}}?){_CODE_DIGITS}", _code),
    _rule(rf"{_CODE_DIGITS}({CLAUSE}{{1,25}}?(?:{CODE_WORDS}))", _code_before),
    _rule(rf"(?<![\d,.])(?:\d{{10,}}+|0\d++){_NO_MORE_DIGITS}(?!\.\d)", lambda m: digit_by_digit(m[0])),
    _number_rule(
        rf"\s*(?P<unit>{'|'.join(MEASURES)})(?![A-Za-z])",
        lambda m, number: f"{number} {_MEASURES_IN_LOWER_CASE[m['unit'].lower()]}",
    ),
    _rule(_abbreviation_pattern(), lambda m: _ABBREVIATIONS_IN_LOWER_CASE[m[0].lower()] + " "),
    _rule(r"(?<![\w.])(\d++)(?:st|nd|rd|th)\b", lambda m: ordinal(int(m[1])) if len(m[1]) < 18 else m[1]),
    _rule(r"(?<![A-Za-z0-9])(?:[A-Za-z]++\d[A-Za-z0-9]*|\d++[A-Za-z][A-Za-z0-9]*)", _letters_and_digits),
    _rule(r"(?<![\d,.])(\d{1,4})\s?[-–—]\s?(\d{1,4})(?![,.]*+\d)", _range),
    _rule(rf"(?<![\w{DEVANAGARI})])[-−](?=\d)", "माइनस "),
    _rule(
        r"(?<![\d,.])\d++(?:\.\d++){2,}+",
        lambda m: " डट ".join(amount_in_words(one) for one in m[0].split(".")),
    ),
    _rule(r"(?<=\d)\s*[×x*]\s*(?=\d)", " गुणा "),
    _number_rule(rf"{_NO_MORE_DIGITS}{_ENDING}", _number),
    _rule(r"\d", lambda m: f" {NUMBERS[int(m[0])]} "),
)

_CAPITALS = re.compile(r"(?<![A-Za-z])[A-Z]{2,5}(?![A-Za-z])")
# Letters that case-insensitive patterns match as i, s and k, but that tables of words do not contain.
_ASCII_LOOKALIKES = str.maketrans("İıſ\N{KELVIN SIGN}", "IisK")
_SIGNS = {"&": " र ", "+": " प्लस ", "=": " बराबर ", "@": " एट ", "%": " प्रतिशत "}


def to_words(text: str) -> str:
    """Return the text with all digits put into words."""
    text = "".join(str(int(one)) if one.isdecimal() else one for one in text).replace("॰", ".")
    text = text.translate(_ASCII_LOOKALIKES)
    for pattern, say in RULES:
        text = pattern.sub(say, text)
    text = _CAPITALS.sub(_capitals, text)
    text = re.sub(r",(?=\S)", ", ", re.sub(r"(?<=\S)[/_-](?=\S)", " ", text))
    text = re.sub(r"[&+=@%]", lambda sign: _SIGNS[sign[0]], text)
    return re.sub(r"[#*_~^<>{}\[\]\\`|₹$€£°/]", " ", text)
