"""What of a text must be spoken together with a value beside it: `रु. ` before, `लाई` after, and the words around a code.

A text may be long, so what is before a value is looked for from the end of the text.
"""

from __future__ import annotations

import re

from telephony.speech import nepali_words as nepali
from telephony.speech import normalization as english

# From the beginning of a word for a code to the value, generously.
_REACH = 80

# A run of letters and signs without a space is one with the value. These end it.
_NEPALI_STOPS = r"[\s;।|!?()…\"'“”‘’\[\]]|[:,](?!\S)"
_ENGLISH_STOPS = r"[\s;!?()…\"'“”‘’\[\]]|[:.,](?!\S)"
_LAST_NEPALI_STOP = re.compile(rf"(?s:.*)(?:{_NEPALI_STOPS})")
_LAST_ENGLISH_STOP = re.compile(rf"(?s:.*)(?:{_ENGLISH_STOPS})")

# These two end where the text does, and may have a line break behind them.
_NEPALI_CODE_BEFORE = re.compile(
    rf"(?:{nepali.CODE_WORDS}|{nepali.CALL_WORDS}){nepali.CLAUSE}{{0,30}}$", re.IGNORECASE
)
_ENGLISH_CODE_BEFORE = re.compile(rf"{english.CODE_WORD}{english.CLAUSE}{{0,30}}$", re.IGNORECASE)
# This one without the spaces at the end of the text.
_NEPALI_UNIT_BEFORE = re.compile(
    rf"(?:{nepali.RUPEE_SIGNS}(?:\s?[.:])?|[$€£]"
    rf"|(?<![{nepali.DEVANAGARI}])(?:वि\.?\s?सं\.?|[ईइ]\.?\s?सं\.?|सन्|{'|'.join(nepali.DAY_PARTS)}))\Z",
    re.IGNORECASE,
)

_NEPALI_AFTER = re.compile(
    rf"(?:\s*(?:%|/-|(?:{nepali.MANY})(?:\s*(?:{nepali.RUPEE_WORDS}))?|{nepali.COUNTED}|तारिख|[ap]\.?m\b\.?|b\.?s\b\.?"
    rf"|a\.?d\b\.?|{'|'.join(nepali.MEASURES)}(?![A-Za-z]))[{nepali.DEVANAGARI}]*"
    rf"|{nepali.CLAUSE}{{1,25}}?(?:{nepali.CODE_WORDS})[{nepali.DEVANAGARI}]*"
    r"|(?:[^\s,;:।|!?()…\"'“”‘’\[\]]|[:,](?=\S))++)",
    re.IGNORECASE,
)
_ENGLISH_AFTER = re.compile(
    rf"(?:{english.CLAUSE}{{1,25}}?{english.CODE_WORD}|(?:[^\s,;:!?()…\"“”‘’\[\]]|[:,](?=\S))++)",
    re.IGNORECASE,
)


def attached_before(text: str, *, language: str) -> int:
    """Where the end of the text begins that must be spoken together with a value behind it."""
    if language != "ne":
        starts = [_start_of(_ENGLISH_CODE_BEFORE, text), _start_of_run(_LAST_ENGLISH_STOP, text)]
    else:
        starts = [
            _start_of(_NEPALI_CODE_BEFORE, text),
            _start_of(_NEPALI_UNIT_BEFORE, text.rstrip()),
            _start_of_run(_LAST_NEPALI_STOP, text),
        ]
    return min((start for start in starts if start is not None), default=len(text))


def attached_after(text: str, *, language: str) -> int:
    """Where the beginning of the text ends that must be spoken together with a value in front of it."""
    match = (_NEPALI_AFTER if language == "ne" else _ENGLISH_AFTER).match(text)
    if match is None or (language == "ne" and not re.search(r"\w|[%/]", match[0])):
        return 0
    return len(match[0].rstrip(".,:"))


def _start_of(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text, max(0, len(text) - _REACH))
    return match.start() if match else None


def _start_of_run(last_stop: re.Pattern[str], text: str) -> int | None:
    """Where the run begins that the text ends with, or that its last line break is behind."""
    end = len(text.removesuffix("\n"))
    stop = last_stop.match(text, 0, end)
    start = stop.end() if stop else 0
    return start if start < end else None
