"""A person, known to an account by a phone number, and how texts spell that number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import phonenumbers

ERASED = "erased"  # stands for an erased number

_SEPARATOR = r"[\s.()\[\]\-\u2010-\u2015\u2212/]"
_DEVANAGARI = "०१२३४५६७८९"
# What `like` ignores in a text: separators, and the script of digits.
_IGNORED = " \u00a0\t.()[]-\u2010\u2011\u2012\u2013\u2014\u2015\u2212/"


@dataclass(frozen=True, slots=True)
class Person:
    """A phone number in E.164, in these accounts: one account, with its test twin if it has one.

    `until` is the time of the latest calls, SMS and OTPs that count. What an account sends later is new.
    """

    owner_ids: Sequence[int]
    number: str
    until: datetime = datetime.max.replace(tzinfo=UTC)
    national: str = field(init=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parsed = phonenumbers.parse(self.number, None)
        national = phonenumbers.national_significant_number(parsed)
        digits = [f"[{digit}{_DEVANAGARI[int(digit)]}]" for digit in national]
        between = f"{_SEPARATOR}{{0,3}}"
        code = between.join(f"[{digit}{_DEVANAGARI[int(digit)]}]" for digit in str(parsed.country_code))
        prefix = rf"(?:(?:\+|00)?{code}{between}|0{between})?"
        object.__setattr__(self, "national", national)
        object.__setattr__(self, "_pattern", re.compile(rf"(?<!\d){prefix}{between.join(digits)}(?!\d)"))

    def is_in(self, text: str) -> bool:
        """Return whether a text contains the number, however it is written."""
        return self._pattern.search(text) is not None

    def without(self, text: str) -> str:
        """Return the text with `ERASED` in the place of the number."""
        return self._pattern.sub(ERASED, text)

    @property
    def like(self) -> str:
        """Return the pattern of LIKE that finds texts in which the number may be, after `sql_digits`."""
        return f"%{self.national}%"


def sql_digits(text: str) -> str:
    """Return SQL that writes a text without the separators of phone numbers and with Latin digits.

    It has one parameter for each %s: `DIGIT_PARAMETERS`.
    """
    return f"translate({text}, %s, %s)"


DIGIT_PARAMETERS = (_DEVANAGARI + _IGNORED, "0123456789")
