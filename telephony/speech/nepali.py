"""Normalize Nepali: numbers, money, dates, times, telephone numbers and abbreviations become words.

Engines read digits differently, or in English, or not at all, but they all read words alike. The result contains no
digits. Ambiguous cases are decided here and in the modules of the rules; tests/telephony/speech/test_nepali.py is the
complete table, and tests/telephony/speech/readings.jsonl holds whole messages with the readings that are expected:

* A year above 2050 is Bikram Sambat, any other Anno Domini, unless the text states it (वि.सं., गते, AD …).
* Telephone numbers, codes (OTP, कोड, PIN … in the same clause, four digits or more), numbers with a leading zero, and
  numbers of nine or more digits without commas are spoken digit by digit. So are identity and account numbers in any
  grouping, if a word such as नं. or खाता precedes them. All other numbers are amounts.
"""

from __future__ import annotations

import re

from telephony.speech import romanized
from telephony.speech.nepali_dates import DATE_RULES, TIME_RULES
from telephony.speech.nepali_identifiers import (
    CODE_RULES,
    LETTER_RULES,
    MIXED_RULES,
    TELEPHONE_RULES,
    say_capitals,
)
from telephony.speech.nepali_quantities import MONEY_RULES, QUANTITY_RULES, RANGE_RULES
from telephony.speech.nepali_rules import ENDING, NO_MORE_DIGITS, PAUSE, Rule, number_rule, rule
from telephony.speech.nepali_tables import ABBREVIATIONS, ACRONYMS, LETTERS, ROMAN_NUMERALS
from telephony.speech.nepali_words import (
    DEVANAGARI,
    MAX_AMOUNT_DIGITS,
    NUMBERS,
    amount_in_words,
    append_ending,
    cardinal,
    digit_by_digit,
    ordinal,
)

__all__ = ["PAUSE", "RULES", "to_words"]


def _internet_address(match: re.Match[str]) -> str:
    said = re.sub(r"^www\.", "w w w.", re.sub(r"^https?://", "", match[0]))
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


_ABBREVIATIONS_IN_LOWER_CASE = {written.lower(): said for written, said in ABBREVIATIONS.items()}
_ROMAN = "(?-i:" + "|".join(sorted(ROMAN_NUMERALS, key=len, reverse=True)) + ")(?![A-Za-z])"
_NUMBERED = "कक्षा|भाग|परिच्छेद|अनुसूची|खण्ड|class|part"


def _abbreviation_pattern() -> str:
    longest_first = sorted(ABBREVIATIONS, key=len, reverse=True)
    written = "|".join(
        re.escape(one) + ("" if one.endswith(".") else rf"(?![A-Za-z{DEVANAGARI}])") for one in longest_first
    )
    return rf"(?<![{DEVANAGARI}A-Za-z.])(?:{written})"


def _roman(roman: str) -> str:
    return cardinal(ROMAN_NUMERALS[roman.upper()])


# The order matters: later rules do not see the digits that an earlier rule has put into words.
RULES: tuple[Rule, ...] = (
    rule(
        r"(?:https?://|www\.)[^\s।]+[^\s।.,!?)]|(?<![\w.+-])(?:[\w.+-]++@[\w-]++(?:\.[\w-]+)++)++",
        _internet_address,
    ),
    *DATE_RULES,
    *TIME_RULES,
    *LETTER_RULES,
    *MONEY_RULES,
    *TELEPHONE_RULES,
    *CODE_RULES,
    *QUANTITY_RULES,
    rule(rf"(?<![{DEVANAGARI}])नं(?=\s?\d)", "नम्बर "),
    rule(_abbreviation_pattern(), lambda m: _ABBREVIATIONS_IN_LOWER_CASE[m[0].lower()] + " "),
    rule(rf"((?:{_NUMBERED})\s)({_ROMAN})", lambda m: m[1] + _roman(m[2])),
    rule(
        rf"(?<![A-Za-z])({_ROMAN})(?:(\sर\s|, ?)({_ROMAN}))?(?=\sकक्षा)",
        lambda m: _roman(m[1]) + (m[2] + _roman(m[3]) if m[3] else ""),
    ),
    rule(rf"(?<=\d)\s(?=(?:औं|औँ)(?![{DEVANAGARI}]))", ""),
    rule(r"(?<![\w.])(\d++)(?:st|nd|rd|th)\b", lambda m: ordinal(int(m[1])) if len(m[1]) < 18 else m[1]),
    *MIXED_RULES,
    *RANGE_RULES,
    rule(
        r"(?<![\d,.])\d++(?:\.\d++){2,}+",
        lambda m: " डट ".join(amount_in_words(one) for one in m[0].split(".")),
    ),
    rule(r"(?<=\d)\s*[×x*]\s*(?=\d)", " गुणा "),
    number_rule(rf"{NO_MORE_DIGITS}{ENDING}", _number),
    rule(r"\d", lambda m: f" {NUMBERS[int(m[0])]} "),
)

_CAPITALS = re.compile(r"(?<![A-Za-z])[A-Z]{1,6}(?![A-Za-z])")
_SHOUTED = re.compile(r"(?<![A-Za-z])[A-Z]{2,20}(?: [A-Z]{2,20})++(?![A-Za-z])")
# Letters that case-insensitive patterns match as i, s and k, but that tables of words do not contain.
_ASCII_LOOKALIKES = str.maketrans("İıſ\N{KELVIN SIGN}", "IisK")
_SIGNS = {"&": " र ", "+": " प्लस ", "=": " बराबर ", "@": " एट ", "%": " प्रतिशत "}


def _capitals(match: re.Match[str]) -> str:
    return LETTERS[match[0]] if len(match[0]) == 1 else say_capitals(match[0])


def _say_all_capitals(text: str) -> str:
    """Spell acronyms. Words in capitals that have neighbors in capitals are emphasis or names: RAM BAHADUR."""
    said, end = [], 0
    for shouted in _SHOUTED.finditer(text):
        said += [_CAPITALS.sub(_capitals, text[end : shouted.start()]), _shouted(shouted[0])]
        end = shouted.end()
    return "".join([*said, _CAPITALS.sub(_capitals, text[end:])])


def _shouted(words: str) -> str:
    return " ".join(
        say_capitals(word) if word in ACRONYMS or not set(word) & set("AEIOUY") else word
        for word in words.split(" ")
    )


def to_words(text: str) -> str:
    """Return the text with all digits put into words."""
    text = "".join(str(int(one)) if one.isdecimal() else one for one in text).replace("॰", ".")
    text = text.translate(_ASCII_LOOKALIKES)
    text = romanized.to_devanagari(text)
    for pattern, say in RULES:
        text = pattern.sub(say, text)
    text = _say_all_capitals(text)
    text = re.sub(r",(?=\S)", ", ", re.sub(r"(?<=\S)[/_-](?=\S)", " ", text))
    text = re.sub(r"[&+=@%]", lambda sign: _SIGNS[sign[0]], text)
    return re.sub(r"[#*_~^<>{}\[\]\\`|₹$€£°/]", " ", text)
