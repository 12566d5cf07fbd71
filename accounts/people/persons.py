"""A person, whom an account knows by a phone number, and the spellings of that number in texts.

Python and PostgreSQL search with the same regular expression, so the expression contains only syntax that both interpret
alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import phonenumbers

ERASED = "erased"  # stands for an erased number

# Digits of Latin, Devanagari, Arabic and Persian script, and full-width ones.
_DIGITS = ("0123456789", "०१२३४५६७८९", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "０１２３４５６７８９")
# Spaces, brackets, dashes and invisible characters that may be within a number.
_SEPARATORS = (
    " \t\r\n.()[]/-"
    "\u00a0\u2007\u2009\u200b\u200c\u200d\u200e\u200f\u2010\u2011\u2012\u2013\u2014\u2015\u202f\u2212"
)
_SEPARATOR = f"[{re.escape(_SEPARATORS)}]{{0,4}}"
_ANY_DIGIT = f"[{''.join(_DIGITS)}]"


def _spelled(digits: str) -> str:
    """Return the pattern of these digits, in any script and with separators."""
    return _SEPARATOR.join(f"[{''.join(script[int(digit)] for script in _DIGITS)}]" for digit in digits)


@dataclass(frozen=True, slots=True)
class Person:
    """A phone number in E.164, and the accounts whose data about it are meant.

    `owner_ids` are one account and its test twin, if it has one.

    `since` is the time of the request. Only calls, SMS and OTPs that were created up to `until` belong to the request.
    `pattern` matches the number in texts, however it is written. `core` matches only the national digits, also within
    longer numbers.
    PostgreSQL searches many texts faster if it tries `core` first.
    """

    owner_ids: Sequence[int]
    number: str
    since: datetime = datetime.max.replace(tzinfo=UTC)
    until: datetime = datetime.max.replace(tzinfo=UTC)
    core: str = field(init=False, repr=False)
    pattern: str = field(init=False, repr=False)
    _compiled: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parsed = phonenumbers.parse(self.number, None)
        national = phonenumbers.national_significant_number(parsed)
        code, zero = _spelled(str(parsed.country_code)), f"{_spelled('0')}{_SEPARATOR}"
        prefix = rf"(?:(?:[+＋]{_SEPARATOR}|{_spelled('00')}{_SEPARATOR})?{code}{_SEPARATOR})?(?:{zero})?"
        core = _spelled(national)
        pattern = f"(?<!{_ANY_DIGIT}){prefix}{core}(?!{_ANY_DIGIT})"
        object.__setattr__(self, "core", core)
        object.__setattr__(self, "pattern", pattern)
        object.__setattr__(self, "_compiled", re.compile(pattern))

    def is_in(self, text: str) -> bool:
        """Return whether a text contains the number, however it is written."""
        return self._compiled.search(text) is not None

    def without(self, text: str) -> str:
        """Return the text with `ERASED` in the place of the number."""
        return self._compiled.sub(ERASED, text)
