"""The common parts of the rules of Nepali normalization: their form, and how they match numbers.

The texts are untrusted, so each rule must run in linear time for every text
(tests/telephony/speech/test_linear_rules.py). A repetition without an upper bound starts only where no other attempt of
the same rule has already read the same characters (a lookbehind ensures it), and is possessive where it could
backtrack.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from telephony.speech.nepali_words import CASE_ENDINGS, DEVANAGARI, split_trailing_number

PAUSE = " ‖ "  # a pause that `synthesis` inserts, because engines treat commas differently

NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3}|\d+)(?:\.\d+)?"
NO_MORE_DIGITS = r"(?!,*+\d)"
# All digits joined by commas, and decimals. `split_trailing_number` finds the number at their end; a regular
# expression would have to try every digit as its start.
GROUPED_DIGITS = r"(?<!\d)(?<!\d,)(?P<digits>\d++(?:,\d++)*+)(?P<decimals>\.\d+)?"
WORD_ENDS = rf"(?=(?:{CASE_ENDINGS}){{0,3}}(?![{DEVANAGARI}]))"
ENDING = rf"(?P<ending>[{DEVANAGARI}]+)?"
DASH = "[-–—~]"

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def rule(pattern: str, say: Callable[[re.Match[str]], str] | str) -> Rule:
    return re.compile(pattern, re.IGNORECASE), say if callable(say) else lambda match: match.expand(say)


def number_rule(behind: str, say: Callable[[re.Match[str], str], str]) -> Rule:
    """Return a rule for a number and the text after it; `say` also gets the number."""

    def replacement(match: re.Match[str]) -> str:
        before, number = split_trailing_number(match["digits"])
        return before + say(match, number + (match["decimals"] or ""))

    return rule(GROUPED_DIGITS + behind, replacement)
