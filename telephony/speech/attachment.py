"""Find the text that must be spoken together with the value next to it.

Examples are `रु. ` before a value, `लाई` after it, and the words around a code.

A text may be long, so the text before a value is searched from its end.
"""

from __future__ import annotations

import re

from telephony.speech import english
from telephony.speech import nepali_words as nepali
from telephony.speech.nepali_quantities import MEASURE

# Generous maximum, in characters, from the start of a code word (कोड, OTP …) to the value.
_MAX_CODE_PHRASE = 80

# Letters and signs next to a value, without a space, belong to the value. These characters end such a run of letters.
_NEPALI_RUN_ENDS = r"[\s;।|!?()…\"'“”‘’\[\]]|[:,](?!\S)"
_ENGLISH_RUN_ENDS = r"[\s;!?()…\"'“”‘’\[\]]|[:.,](?!\S)"
_LAST_NEPALI_RUN_END = re.compile(rf"(?s:.*)(?:{_NEPALI_RUN_ENDS})")
_LAST_ENGLISH_RUN_END = re.compile(rf"(?s:.*)(?:{_ENGLISH_RUN_ENDS})")

# The next two patterns match up to the end of the text; a final line break may follow.
_NEPALI_CODE_BEFORE = re.compile(
    rf"(?:{nepali.CODE_WORDS}|{nepali.CALL_WORDS}){nepali.CLAUSE}{{0,30}}$", re.IGNORECASE
)
_ENGLISH_UNIT_BEFORE = re.compile(r"(?<![A-Za-z])(?:npr|nrs|rs|no)\.?\Z|[$€£₹]\Z", re.IGNORECASE)
_ENGLISH_CODE_BEFORE = re.compile(rf"{english.CODE_WORD}{english.CLAUSE}{{0,30}}$", re.IGNORECASE)
# This pattern is matched against the text without trailing spaces.
_NEPALI_UNIT_BEFORE = re.compile(
    rf"(?:{nepali.RUPEE_SIGNS}(?:\s?[.:])?|[$€£]"
    rf"|(?<![{nepali.DEVANAGARI}])(?:[वब]ि\.?\s?सं\.?|मिति|[ईइ]\.?\s?सं\.?|सन्|{'|'.join(nepali.DAY_PARTS)}))\Z",
    re.IGNORECASE,
)

_NEPALI_AFTER = re.compile(
    rf"(?:\s*(?:%|/[-=]|(?:{nepali.MAGNITUDES})(?:\s*(?:{nepali.RUPEE_WORDS}))?|{nepali.COUNT_NOUNS}|तारिख|[ap]\.?m\b\.?|b\.?s\b\.?"
    rf"|a\.?d\b\.?|(?:{MEASURE})(?![A-Za-z]))[{nepali.DEVANAGARI}]*"
    rf"|{nepali.CLAUSE}{{1,60}}?(?:{nepali.CODE_WORDS})[{nepali.DEVANAGARI}]*"
    r"|(?:[^\s,;:।|!?()…\"'“”‘’\[\]]|[:,](?=\S))++)",
    re.IGNORECASE,
)
_ENGLISH_AFTER = re.compile(
    rf"(?:{english.CLAUSE}{{1,25}}?{english.CODE_WORD}|\s(?:[ap]\.?m\b\.?|kg|km|ml|{english.MONTH}\b)|(?:[^\s,;:!?()…\"“”‘’\[\]]|[:,](?=\S))++)",
    re.IGNORECASE,
)


def attachment_start(text: str, *, language: str) -> int:
    """Return the index from which `text` must be spoken together with the value after it.

    The index is len(text) if nothing belongs to the value.
    """
    if language != "ne":
        starts = [
            _match_start(_ENGLISH_CODE_BEFORE, text),
            _match_start(_ENGLISH_UNIT_BEFORE, text.rstrip()),
            _last_run_start(_LAST_ENGLISH_RUN_END, text),
        ]
    else:
        starts = [
            _match_start(_NEPALI_CODE_BEFORE, text),
            _match_start(_NEPALI_UNIT_BEFORE, text.rstrip()),
            _last_run_start(_LAST_NEPALI_RUN_END, text),
        ]
    return min((start for start in starts if start is not None), default=len(text))


def attachment_end(text: str, *, language: str) -> int:
    """Return the index up to which `text` must be spoken together with the value before it.

    The index is 0 if nothing belongs to the value.
    """
    match = (_NEPALI_AFTER if language == "ne" else _ENGLISH_AFTER).match(text)
    if match is None or (language == "ne" and not re.search(r"\w|[%/]", match[0])):
        return 0
    return len(match[0].rstrip(".,:"))


def _match_start(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text, max(0, len(text) - _MAX_CODE_PHRASE))
    return match.start() if match else None


def _last_run_start(last_stop: re.Pattern[str], text: str) -> int | None:
    """Return the start of the run at the end of `text`, or None if `text` does not end with a run.

    One final line break is ignored.
    """
    end = len(text.removesuffix("\n"))
    stop = last_stop.match(text, 0, end)
    start = stop.end() if stop else 0
    return start if start < end else None
