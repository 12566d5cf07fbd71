"""Parse phone numbers as people type them and spreadsheets store them, and convert them to E.164.

`ParsedNumber.number` is the number as the client sent it, which responses show. `ParsedNumber.to` is the number for the
carrier. It is empty if no country has such a number. iris accepts such a number, but its delivery fails before it reaches a
carrier.
"""

import enum
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import phonenumbers
from django.conf import settings

from iris.errors import InvalidInput

# Longer input is rejected without parsing, because 15 digits with generous spacing are shorter. The column
# `Recipient.number` has the same length.
MAX_CHARACTERS = 40
MIN_DIGITS = 7

_SEPARATORS = re.compile(r"[\s.()\[\]\-\u2010-\u2015\u2212]+")
_DIALLED = re.compile(rf"\+?[0-9]{{{MIN_DIGITS},15}}")
_NEPALI_MOBILE = re.compile(r"9[6-9][0-9]{8}")
_WHOLE_FLOAT = re.compile(r"([0-9]+)\.0+")
_EXPONENT = re.compile(r"[+-]?[0-9.]+[eE][+-]?[0-9]+")
_FULL_EXPONENT = re.compile(r"([1-9])\.([0-9]+)[eE]\+?([0-9]{1,2})")


class InvalidNumber(InvalidInput):
    """The input cannot be a phone number. The message gives the reason."""

    default_code = "invalid_number"


class ParsedNumber(NamedTuple):
    """`number`: as sent, trimmed, with Latin digits. `to`: in E.164, or "" if no country has this number."""

    number: str
    to: str


class _NumberingPlan(NamedTuple):
    """The numbering plan of one country, in a form that is fast enough for a million rows."""

    region: str
    prefix: str
    example: str
    # Matches only numbers that are certainly valid; the last matching group is the national number. If None, the library
    # parses every number of this country.
    fast_pattern: re.Pattern[str] | None


def parse(raw: object) -> ParsedNumber:
    """Parse a phone number from a person, a JSON body or a spreadsheet (str, int, or float such as 9841234567.0).

    Spaces, dashes, dots, brackets, one leading + or 00, Excel's apostrophe and the digits of any script are accepted.
    Raises InvalidNumber unless 7 to 15 digits remain.
    """
    return parser()(raw)


def to_e164(raw: object) -> str:
    """Return the number in E.164 (`+9779841234567`), or "" if it is not a valid number of any country. Never raises."""
    try:
        return parse(raw).to
    except InvalidNumber:
        return ""


def parser() -> Callable[[object], ParsedNumber]:
    """Return a `parse` for loops: it looks up the country once and needs about half the time."""
    return _parser(settings.IRIS_PHONE_REGION)


@cache
def _parser(region: str) -> Callable[[object], ParsedNumber]:
    plan = _numbering_plan(region)
    if plan.fast_pattern is None:
        return lambda raw: _parse_any(raw, plan)
    usual, prefix = plan.fast_pattern.fullmatch, plan.prefix

    def parse(raw: object) -> ParsedNumber:
        if type(raw) is str:
            text = raw
        elif type(raw) is int and 0 <= raw < 10**15:
            text = str(raw)
        else:
            return _parse_any(raw, plan)
        if found := usual(text):
            return ParsedNumber(text, prefix + found[found.lastindex or 0])
        return _parse_any(text, plan)

    return parse


def _parse_any(raw: object, plan: _NumberingPlan) -> ParsedNumber:
    text = _as_text(raw, plan)
    if len(text) > MAX_CHARACTERS:
        raise InvalidNumber(
            f"{_quote(text)} is too long for a phone number. Write one number, {plan.example}."
        )
    text = _clean(text)
    if not text:
        raise InvalidNumber(f"The phone number is missing. Write one, {plan.example}.")
    if written_out := _without_exponent(text):
        text = written_out
    elif _EXPONENT.fullmatch(text):
        raise InvalidNumber(
            f"{_quote(text)} has lost digits: the spreadsheet has converted the number to scientific notation. "
            f"Format the column as text and enter the number again, {plan.example}."
        )
    if text[0] in "-\u2212":
        raise InvalidNumber(
            f"{_quote(text)} begins with a minus. Write the phone number without it, {plan.example}."
        )
    if whole := _WHOLE_FLOAT.fullmatch(text):
        text = whole[1]

    dialled = _SEPARATORS.sub("", text)
    if dialled.startswith("00"):
        dialled = "+" + dialled[2:]
    if not _DIALLED.fullmatch(dialled):
        digits = dialled.removeprefix("+")
        if not digits.isdecimal():
            problem = "has characters that no phone number has"
        else:
            problem = (
                "is too short for a phone number"
                if len(digits) < MIN_DIGITS
                else "is too long for a phone number"
            )
        raise InvalidNumber(f"{_quote(text)} {problem}. Write one number of 7 to 15 digits, {plan.example}.")

    if plan.fast_pattern and (found := plan.fast_pattern.fullmatch(dialled)):
        return ParsedNumber(text, plan.prefix + found[found.lastindex or 0])
    return ParsedNumber(text, _validated_e164(dialled, plan.region))


def _without_exponent(text: str) -> str:
    """Write out scientific notation: 9.841234567E+09 as 9841234567.

    Return "" for other input, or if digits are missing.
    """
    found = _FULL_EXPONENT.fullmatch(text)
    if found is None:
        return ""
    first, digits, places = found[1], found[2], int(found[3])
    return first + digits[:places] if len(digits) >= places and not digits[places:].strip("0") else ""


def _validated_e164(dialled: str, region: str) -> str:
    """Return a valid number of any country in E.164, or "". Takes 15 to 25 microseconds."""
    try:
        number = phonenumbers.parse(dialled, region)
    except phonenumbers.NumberParseException:
        return ""
    if not (phonenumbers.is_valid_number(number) or _is_nepali_mobile(number)):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_nepali_mobile(number: phonenumbers.PhoneNumber) -> bool:
    """Return whether the number may be a Nepali mobile.

    Ranges are assigned faster than the library's tables are updated. So numbers from 96 to 98 count as mobiles even if the
    library does not know them. Numbers that begin with 99 count, too, because TingTing's examples use them.
    """
    return number.country_code == 977 and _NEPALI_MOBILE.fullmatch(str(number.national_number)) is not None


def _as_text(raw: object, plan: _NumberingPlan) -> str:
    """Return a cell or JSON value as the text that a person would have typed."""
    if raw is None:
        return ""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, int) and not isinstance(raw, bool):
        if 0 <= raw < 10**MAX_CHARACTERS:
            return str(raw)
        problem = "A negative number" if raw < 0 else "A number of this length"
        raise InvalidNumber(f"{problem} is not a phone number. Write 7 to 15 digits, {plan.example}.")
    if isinstance(raw, float):
        # From 2^53 on, a float cannot represent every integer. NaN fails both comparisons.
        if 0 <= raw < 2**53 and raw.is_integer():
            return str(int(raw))
        raise InvalidNumber(
            f"{raw:g} is not a phone number. Write 7 to 15 digits and nothing else, {plan.example}."
        )
    raise InvalidNumber(f"A phone number must be digits or text, {plan.example}.")


def _clean(text: str) -> str:
    """Convert to Latin digits and remove invisible characters: phones and Excel put direction marks around numbers."""
    if not text.isascii():
        text = "".join(
            str(unicodedata.decimal(character, character))
            for character in text
            if unicodedata.category(character) != "Cf"
        ).replace("\N{FULLWIDTH PLUS SIGN}", "+")
    return " ".join(text.split()).strip("' \u2018\u2019")


def _quote(text: str) -> str:
    seen = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:24]
    )
    return f"“{seen}…”" if len(text) > 24 else f"“{seen}”"


@cache
def _numbering_plan(region: str) -> _NumberingPlan:
    """Return the numbering plan of a country, from the metadata of `phonenumbers`.

    `fast_pattern` covers mobile and fixed numbers with or without the national prefix (such as 0) or the country code. It is
    None for countries whose national prefix follows other rules.
    """
    code = phonenumbers.country_code_for_region(region)
    sample = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    digits = phonenumbers.national_significant_number(sample) if sample else ""
    example = f"such as {digits} or +{code}{digits}" if digits else "such as +9779841234567"
    country = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if (
        country is None
        or country.general_desc is None
        or country.national_prefix_transform_rule
        or country.national_prefix_for_parsing != country.national_prefix
    ):
        return _NumberingPlan(region, f"+{code}", example, None)

    lengths = set(country.general_desc.possible_length)
    usual = []
    for kind in (country.mobile, country.fixed_line):
        if kind is None or not kind.national_number_pattern:
            continue
        starts = [rf"\+{code}"]
        # Digits that begin with the country code, without a +, are ambiguous if a national number may have as many digits.
        if lengths.isdisjoint(len(str(code)) + length for length in kind.possible_length):
            starts.append(str(code))
        if country.national_prefix:
            starts.append(country.national_prefix)
        # A national number without a prefix is ambiguous if it begins with the country code.
        starts.append(f"(?!{code})")
        usual.append(f"(?:{'|'.join(starts)})({kind.national_number_pattern})")
    return _NumberingPlan(
        region, f"+{code}", example, re.compile("|".join(usual), re.ASCII) if usual else None
    )


class Operator(enum.Enum):
    """The operator to which a number's prefix was assigned. Ported numbers keep the prefix of their first operator."""

    NTC = "Nepal Telecom"
    NCELL = "Ncell"
    SMART = "Smart Telecom"
    OTHER = "another one, or none of Nepal"


OPERATOR_PREFIX_LENGTH = len("+977984")  # the characters of an E.164 number that identify the operator

_MOBILE_PREFIXES = {
    Operator.NTC: ("974", "975", "976", "984", "985", "986"),
    Operator.NCELL: ("970", "980", "981", "982"),
    Operator.SMART: ("961", "962", "988"),
}
_OPERATOR_BY_PREFIX = {
    f"+977{digits}": operator for operator, all_digits in _MOBILE_PREFIXES.items() for digits in all_digits
}


def operator_of(to: str) -> Operator:
    """Return the operator of an E.164 number, or of its first OPERATOR_PREFIX_LENGTH characters."""
    return _OPERATOR_BY_PREFIX.get(to[:OPERATOR_PREFIX_LENGTH], Operator.OTHER)
