"""Rules that put money, percentages, fractions, measures and ranges into Nepali words."""

from __future__ import annotations

import re

from telephony.speech.nepali_rules import (
    DASH,
    ENDING,
    NO_MORE_DIGITS,
    NUMBER,
    WORD_ENDS,
    Rule,
    number_rule,
    rule,
)
from telephony.speech.nepali_tables import CASE_SENSITIVE_MEASURES, MEASURES
from telephony.speech.nepali_words import (
    COUNT_NOUNS,
    DEVANAGARI,
    MAGNITUDES,
    RUPEE_SIGNS,
    RUPEE_WORDS,
    amount_in_words,
    append_ending,
    cardinal,
)

_MORE = re.compile(rf"(\d+(?:\.\d+)?)\s*({MAGNITUDES})")


def _rupees(match: re.Match[str], written: str) -> str:
    parts = match.groupdict()
    many, ending = parts["many"] or "", parts["ending"] or ""
    until = parts.get("until")
    if until:
        first = f"{amount_in_words(written)} {parts.get('first_many') or ''}".rstrip()
        until_many = f" {parts['until_many']}" if parts.get("until_many") else ""
        said = f"{first} देखि {amount_in_words(until)}{until_many} रुपैयाँ"
    else:
        more = "".join(f" {amount_in_words(n)} {m}" for n, m in _MORE.findall(parts.get("more") or ""))
        said = _amount_of_rupees(written, f" {many}{more}" if many else "")
    return f" {append_ending(said, ending)}" + (" प्रति " if parts.get("per") else "")


def _amount_of_rupees(written: str, many: str) -> str:
    whole, _, decimals = written.partition(".")
    if many or len(decimals) not in (1, 2):
        return f"{amount_in_words(written)}{many} रुपैयाँ"
    paisa = int(decimals.ljust(2, "0"))
    if paisa and not int(whole.replace(",", "")):
        return f"{cardinal(paisa)} पैसा"
    return f"{amount_in_words(whole)} रुपैयाँ" + (f" {cardinal(paisa)} पैसा" if paisa else "")


def _percent(match: re.Match[str], written: str) -> str:
    return append_ending(f"{amount_in_words(written)} प्रतिशत", match["ending"] or "")


def _foreign_currency(match: re.Match[str], written: str) -> str:
    name = {"€": "युरो", "£": "पाउन्ड"}.get(match["sign"], "डलर")
    return f" {amount_in_words(written)} {name}"


_FRACTIONS = {
    (1, 2): "आधा",
    (1, 3): "एक तिहाइ",
    (2, 3): "दुई तिहाइ",
    (1, 4): "एक चौथाइ",
    (3, 4): "तीन चौथाइ",
}
_OVER = frozenset({(1, 5), (2, 5), (3, 5), (4, 5), (1, 8), (3, 8), (5, 8), (7, 8), (1, 10), (3, 10)})


# Before these words, 2/3 means two or three.
_COUNTED = re.compile("\\s?(?:दिन|जना|हप्ता|महिना|वर्ष|वटा|पटक|ठाउँ|जिल्ला|घर)")


def _fraction(match: re.Match[str]) -> str:
    """Say 1/2 as a half and 2 1/2 as two and a half. Other numbers with a slash are not fractions."""
    fraction = int(match["over"]), int(match["under"])
    said = _FRACTIONS.get(fraction)
    if said is None and fraction in _OVER:
        said = f"{cardinal(fraction[0])} बटा {cardinal(fraction[1])}"
    if said is None or re.search(
        r"(?:नं|no)\.?\s*\Z|नम्बर\s*\Z", match.string[max(0, match.start() - 8) : match.start()]
    ):
        return match[0]
    if not match["whole"]:
        two_numbers = fraction in ((2, 3), (3, 4)) and _COUNTED.match(match.string, match.end())
        return match[0] if two_numbers else said
    whole = int(match["whole"])
    if fraction == (1, 2):
        return "डेढ" if whole == 1 else f"साढे {cardinal(whole)}"
    if fraction == (1, 4):
        return f"सवा {cardinal(whole)}"
    if fraction == (3, 4):
        return f"पौने {cardinal(whole + 1)}"
    return f"{cardinal(whole)} पूर्णाङ्क {said}"


_MEASURES_IN_LOWER_CASE = {written.lower(): said for written, said in MEASURES.items()}
_LONGEST_MEASURES_FIRST = sorted(MEASURES, key=len, reverse=True)
MEASURE = "|".join(
    f"(?-i:{re.escape(written)})" if written in CASE_SENSITIVE_MEASURES else re.escape(written)
    for written in _LONGEST_MEASURES_FIRST
)


def _measure(match: re.Match[str], number: str) -> str:
    said = f"{number} {_MEASURES_IN_LOWER_CASE[match['unit'].lower()]}"
    return said + (" प्रति " if match["per"] else " " if match["unit"].endswith(".") else "")


def _range(match: re.Match[str]) -> str:
    first, last = int(match[1]), int(match[2])
    return f"{match[1]} देखि {match[2]}" if first < last else f"{match[1]} {match[2]}"


_WEEKDAY = r"(?:आइत|सोम|मङ्गल|मंगल|बुध|बिहि|बिही|शुक्र|शनि)(?:बार)?"
_SUFFIX = r"(?:\s*(?:/-|/=|/–))"

MONEY_RULES: tuple[Rule, ...] = (
    rule(
        rf"(?<![{DEVANAGARI}])भा\.?\s?र[ुू]\.?\s*(?P<number>{NUMBER}){NO_MORE_DIGITS}",
        lambda m: f"{amount_in_words(m['number'])} भारतीय रुपैयाँ",
    ),
    # A range of amounts, with or without a magnitude.
    rule(
        rf"{RUPEE_SIGNS}\s?[.:]?\s*(?P<number>{NUMBER}){NO_MORE_DIGITS}(?:\s?(?P<first_many>{MAGNITUDES}))?"
        rf"(?:\s?{DASH}\s?|\s?देखि\s)(?P<until>{NUMBER}){NO_MORE_DIGITS}(?P<many>)(?:\s*(?P<until_many>{MAGNITUDES}){WORD_ENDS})?"
        rf"{_SUFFIX}?(?:\s*(?:{RUPEE_WORDS}))?{ENDING}",
        lambda m: _rupees(m, m["number"]),
    ),
    rule(
        rf"{RUPEE_SIGNS}\s?[.:]?\s*(?P<number>{NUMBER}){NO_MORE_DIGITS}"
        rf"(?:\s*(?P<many>{MAGNITUDES}){WORD_ENDS}(?P<more>(?:\s\d{{1,3}}\s(?:{MAGNITUDES}){WORD_ENDS}){{0,4}}))?{_SUFFIX}?"
        rf"(?:\s*(?:{RUPEE_WORDS}))?{ENDING}(?P<per>/(?=[{DEVANAGARI}A-Za-z]))?",
        lambda m: _rupees(m, m["number"]),
    ),
    number_rule(
        rf"(?:\s*(?P<many>{MAGNITUDES}))?(?:{_SUFFIX}(?:\s*(?:{RUPEE_WORDS}))?"
        rf"|\s*(?:{RUPEE_WORDS}|(?:nrs|npr|rs)\b\.?)){ENDING}(?P<per>/(?=[{DEVANAGARI}]))?",
        _rupees,
    ),
    rule(
        rf"(?P<sign>(?:us\s?)?\$|[€£]|usd)\s*(?P<number>{NUMBER})",
        lambda m: _foreign_currency(m, m["number"]),
    ),
    number_rule(r"\s*(?P<sign>[$€£]|usd\b)", _foreign_currency),
)

QUANTITY_RULES: tuple[Rule, ...] = (
    rule(r"(?<=\.)-(?=\d)", " "),
    rule(rf"(?<![{DEVANAGARI}])({_WEEKDAY})\s?{DASH}\s?(?={_WEEKDAY}(?![{DEVANAGARI}]))", r"\1 देखि "),
    rule(
        r"(?<![\d.])(\d{1,2})\s?['’′]\s?(\d{1,2})\s?[\"”″]",
        lambda m: f"{m[1]} फिट {m[2]} इन्च ",
    ),
    rule(r"(?<![\d/.,-])(?:(?P<whole>\d{1,3})\s)?(?P<over>\d)/(?P<under>\d{1,2})(?![\d/]|[.,]\d)", _fraction),
    # A range whose unit follows.
    rule(
        rf"(?<![\d,./-])(\d{{1,4}}(?:\.\d{{1,2}})?)\s?{DASH}\s?(?=\d{{1,4}}(?:\.\d{{1,2}})?\s?(?:%|{COUNT_NOUNS}|(?:{MEASURE})(?![A-Za-z])))",
        r"\1 देखि ",
    ),
    rule(r"(?<![\d,./-])(\d{1,4})~(?=\d{1,4}(?!\d|[.,]\d))", r"\1 देखि "),
    # Several hyphens: an area in रोपनी-आना-पैसा-दाम, or a number in groups.
    rule(
        r"(?<![\d,./A-Za-z-])\d{1,6}(?:-\d{1,6}){2,8}(?![\d-])",
        lambda m: " ".join(map(amount_in_words, m[0].split("-"))),
    ),
    rule(rf"(?<=\d)%\s?{DASH}\s?(?=\d{{1,3}}(?:\.\d{{1,3}})?\s?%)", " देखि "),
    number_rule(rf"\s*[%٪]{ENDING}", _percent),
    rule(rf"(?<=[\d.])\s?[×x]\s?(?=\d{{1,6}}\s?(?:(?:{MEASURE})|[{DEVANAGARI}]))", " गुणा "),
    number_rule(rf"\s*(?P<unit>{MEASURE})(?![A-Za-z])(?P<per>/(?=[{DEVANAGARI}]))?", _measure),
    rule(r"प्रति\s(?:लि|ली)\.", "प्रति लिटर "),
)

RANGE_RULES: tuple[Rule, ...] = (
    rule(r"(?<![\d,.])(\d{1,4})\s?[-–—]\s?(\d{1,4})(?![,.]*+\d)", _range),
    rule(r"(?<![^\s(=])[-−–](?=\d)", "माइनस "),
)
