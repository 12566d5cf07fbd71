"""Phone numbers: what people type and spreadsheets hold, into E.164.

`Number.number` is the number as it was sent, and what its owner sees again; `Number.to` is what a carrier
gets. A number that no country could connect has the first and not the second: it fails when its turn comes,
without troubling a carrier.
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

# Nothing longer is looked at: 15 digits need fewer, however generously they are spaced. It is also the
# database's width.
MAX_CHARACTERS = 40

_SEPARATORS = re.compile(r"[\s.()\[\]\-\u2010-\u2015\u2212]+")
_DIALLED = re.compile(r"\+?[0-9]{7,15}")
_NEPALI_MOBILE = re.compile(r"9[6-9][0-9]{8}")
_WHOLE = re.compile(r"([0-9]+)\.0+")
_EXPONENT = re.compile(r"[+-]?[0-9.]+[eE][+-]?[0-9]+")
_KEPT_DIGITS = re.compile(r"([1-9])\.([0-9]+)[eE]\+?([0-9]{1,2})")


class InvalidNumber(InvalidInput):
    """This cannot be anybody's phone number; the sentence says why."""

    default_code = "invalid_number"


class Number(NamedTuple):
    """`number` as sent, trimmed, its digits in Latin; `to` in E.164, "" when no country has it."""

    number: str
    to: str


class _Plan(NamedTuple):
    """What `phonenumbers` knows of one country, in a form that a million rows can afford."""

    region: str
    prefix: str
    example: str
    # Matches only what is surely valid; its last group is the national number.
    usual: re.Pattern[str] | None


def parse(raw: object) -> Number:
    """Read a number as a person, a JSON body or a spreadsheet gives it (str, int, or float such as
    9841234567.0).

    Spaces, dashes, dots, brackets, one leading + or 00, an apostrophe of Excel and the digits of any script
    are fine. Raises InvalidNumber unless 7 to 15 digits remain.
    """
    return parser()(raw)


def normalise(raw: object) -> str:
    """E.164 (`+9779841234567`), or "" for what is no valid phone number of any country. Never raises."""
    try:
        return parse(raw).to
    except InvalidNumber:
        return ""


def parser() -> Callable[[object], Number]:
    """`parse` for loops over many numbers: settled on its country once, it needs about half the time."""
    return _parser(settings.IRIS_PHONE_REGION)


@cache
def _parser(region: str) -> Callable[[object], Number]:
    plan = _plan(region)
    if plan.usual is None:
        return lambda raw: _parse_slowly(raw, plan)
    usual, prefix = plan.usual.fullmatch, plan.prefix

    def parse(raw: object) -> Number:
        if type(raw) is str:
            text = raw
        elif type(raw) is int and 0 <= raw < 10**15:
            text = str(raw)
        else:
            return _parse_slowly(raw, plan)
        if found := usual(text):
            return Number(text, prefix + found[found.lastindex or 0])
        return _parse_slowly(text, plan)

    return parse


def _parse_slowly(raw: object, plan: _Plan) -> Number:
    text = _written(raw, plan)
    if len(text) > MAX_CHARACTERS:
        raise InvalidNumber(
            f"{_shown(text)} is too long for a phone number. Write one number, {plan.example}."
        )
    text = _tidy(text)
    if not text:
        raise InvalidNumber(f"The phone number is missing. Write one, {plan.example}.")
    if written_out := _without_exponent(text):
        text = written_out
    elif _EXPONENT.fullmatch(text):
        raise InvalidNumber(
            f"{_shown(text)} has lost digits: the spreadsheet has turned the number into an exponent. "
            f"Format the column as text and write the number again, {plan.example}."
        )
    if text[0] in "-\u2212":
        raise InvalidNumber(
            f"{_shown(text)} begins with a minus. Write a phone number without it, {plan.example}."
        )
    if whole := _WHOLE.fullmatch(text):
        text = whole[1]

    dialled = _SEPARATORS.sub("", text)
    if dialled.startswith("00"):
        dialled = "+" + dialled[2:]
    if not _DIALLED.fullmatch(dialled):
        digits = dialled.removeprefix("+")
        if not digits.isdecimal():
            fault = "has characters that no phone number has"
        else:
            fault = "is too short for a phone number" if len(digits) < 7 else "is too long for a phone number"
        raise InvalidNumber(f"{_shown(text)} {fault}. Write one number of 7 to 15 digits, {plan.example}.")

    if plan.usual and (found := plan.usual.fullmatch(dialled)):
        return Number(text, plan.prefix + found[found.lastindex or 0])
    return Number(text, _valid(dialled, plan.region))


def _without_exponent(text: str) -> str:
    """9.841234567E+09 as 9841234567: a spreadsheet with a wide column. "" where digits are missing, or for no exponent."""
    found = _KEPT_DIGITS.fullmatch(text)
    if found is None:
        return ""
    first, digits, places = found[1], found[2], int(found[3])
    return first + digits[:places] if len(digits) >= places and not digits[places:].strip("0") else ""


def _valid(dialled: str, region: str) -> str:
    """Right for every country, in 15 to 25 microseconds."""
    try:
        number = phonenumbers.parse(dialled, region)
    except phonenumbers.NumberParseException:
        return ""
    if not (phonenumbers.is_valid_number(number) or _is_nepali_mobile(number)):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_nepali_mobile(number: phonenumbers.PhoneNumber) -> bool:
    """Ranges are assigned faster than the library's tables: 96 to 98 are mobiles, known to it or not, and 99 begin the
    numbers of TingTing's own examples.
    """
    return number.country_code == 977 and _NEPALI_MOBILE.fullmatch(str(number.national_number)) is not None


def _written(raw: object, plan: _Plan) -> str:
    """A cell or JSON value as the text that a person would have written."""
    if raw is None:
        return ""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, int) and not isinstance(raw, bool):
        if 0 <= raw < 10**MAX_CHARACTERS:
            return str(raw)
        fault = "A number below zero" if raw < 0 else "A number of this length"
        raise InvalidNumber(f"{fault} is not a phone number. Write 7 to 15 digits, {plan.example}.")
    if isinstance(raw, float):
        # From 2^53 on a float does not hold every digit. NaN fails both comparisons.
        if 0 <= raw < 2**53 and raw.is_integer():
            return str(int(raw))
        raise InvalidNumber(
            f"{raw:g} is not a phone number. Write 7 to 15 digits and nothing else, {plan.example}."
        )
    raise InvalidNumber(f"A phone number must be digits or text, {plan.example}.")


def _tidy(text: str) -> str:
    """Latin digits, and nothing that cannot be seen: phones and Excel put direction marks around numbers."""
    if not text.isascii():
        text = "".join(
            str(unicodedata.decimal(character, character))
            for character in text
            if unicodedata.category(character) != "Cf"
        ).replace("\N{FULLWIDTH PLUS SIGN}", "+")
    return " ".join(text.split()).strip("' \u2018\u2019")


def _shown(text: str) -> str:
    seen = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:24]
    )
    return f"“{seen}…”" if len(text) > 24 else f"“{seen}”"


@cache
def _plan(region: str) -> _Plan:
    """The mobile and fixed numbers of a country, from the numbering plan that `phonenumbers` carries.

    `usual` is left out where numbers are not dialled as a plain [0]number; those countries take the slow way.
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
        return _Plan(region, f"+{code}", example, None)

    lengths = set(country.general_desc.possible_length)
    usual = []
    for kind in (country.mobile, country.fixed_line):
        if kind is None or not kind.national_number_pattern:
            continue
        starts = [rf"\+{code}"]
        # A bare country code is only sure where no national number is as long as the two together.
        if lengths.isdisjoint(len(str(code)) + length for length in kind.possible_length):
            starts.append(str(code))
        if country.national_prefix:
            starts.append(country.national_prefix)
        # Nor is a national number without any prefix, where it begins like the country code.
        starts.append(f"(?!{code})")
        usual.append(f"(?:{'|'.join(starts)})({kind.national_number_pattern})")
    return _Plan(region, f"+{code}", example, re.compile("|".join(usual), re.ASCII) if usual else None)


class Operator(enum.Enum):
    """The operator whose prefix a number has. People keep their number when they change the operator."""

    NTC = "Nepal Telecom"
    NCELL = "Ncell"
    OTHER = "another one, or none of Nepal"


OPERATOR_PREFIX = len("+977984")  # as many characters of an E.164 number as it takes

_MOBILES = {
    Operator.NTC: ("974", "975", "976", "984", "985", "986"),
    Operator.NCELL: ("970", "980", "981", "982"),
}
_OPERATOR_BY_PREFIX = {
    f"+977{digits}": operator for operator, all_digits in _MOBILES.items() for digits in all_digits
}


def operator_of(to: str) -> Operator:
    """The operator of an E.164 number, or of its first `OPERATOR_PREFIX` characters."""
    return _OPERATOR_BY_PREFIX.get(to[:OPERATOR_PREFIX], Operator.OTHER)
