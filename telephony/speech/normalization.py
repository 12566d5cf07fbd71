"""From a text as people write it to a text as it is said aloud, before any engine sees it."""

from __future__ import annotations

import re
import unicodedata

from telephony.speech import nepali
from telephony.speech.engine import Unspeakable
from telephony.speech.nfc import normalised

MAX_CHARACTERS = 5000  # some seven minutes of speech

_JOINERS = "\u200c\u200d"  # they decide how Devanagari conjuncts are said; other invisible characters go
_STRAY_JOINER = re.compile("(?<![\u0900-\u097f])[\u200c\u200d]+|[\u200c\u200d]+(?![\u0900-\u097f])")
_KEPT_SYMBOLS = frozenset("°№")
CODE_WORD = r"(?:otp|code|pin|password|token)"
CLAUSE = r"[^.;!?\n\d]"
_DATED = re.compile(r"(?<!\d)(\d{4})\s?[|।]\s?(\d{1,2})\s?[|।]\s?(\d{1,2})(?!\d)")


def spoken_form(text: str, *, language: str) -> str:
    """The text as the engines get it; also what makes two texts the same recording.

    Raises Unspeakable when nothing in it can be said, or when it is longer than MAX_CHARACTERS.
    """
    if len(text) > MAX_CHARACTERS:
        raise Unspeakable(
            f"The message has {len(text)} characters; at most {MAX_CHARACTERS} can be spoken. Shorten it.",
            code="too_long",
        )
    text = normalised(text)
    text = "".join(character if _is_said(character) else " " for character in text)
    text = _STRAY_JOINER.sub(" ", text)
    text = _DATED.sub(r"\1/\2/\3", text)
    # Typed without a Nepali keyboard, the danda that ends a sentence is a vertical bar.
    text = re.sub(r"(?<!\s)\s*+[|।॥][\s|।॥]*", "। ", text)
    text = nepali.in_words(text) if language == "ne" else _codes_one_by_one(text)
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    text = re.sub(r" (?=[,;:!?।])", "", text).strip()
    if not any(unicodedata.category(character)[0] in "LN" for character in text):
        raise Unspeakable("There is nothing in the message that can be spoken. Write at least one word.")
    return text


def _is_said(character: str) -> bool:
    """Not so: controls, what cannot be seen, emoji and what colours or joins them, private characters."""
    if character == "\n" or character in _JOINERS or character in _KEPT_SYMBOLS:
        return True
    if (
        "\ufe00" <= character <= "\ufe0f"
        or character == "\u20e3"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
    ):
        return False
    category = unicodedata.category(character)
    return category[0] != "C" and category != "So"


# In other languages the engine reads numbers by itself, but as amounts.
_CODES = re.compile(rf"({CODE_WORD}{CLAUSE}{{0,30}}?)\b(\d{{4,12}})\b(?![.,]\d)", re.IGNORECASE)
_CODES_BEFORE = re.compile(rf"\b(\d{{4,12}})\b(?![.,]\d)({CLAUSE}{{1,25}}?{CODE_WORD})", re.IGNORECASE)
_FIGURES = re.compile(r"(?<![\d.,])(?:\d{9,}+|0\d{3,}+|(?:\d ){3,}\d)(?![.,]*+\d)")


def _codes_one_by_one(text: str) -> str:
    text = _CODES.sub(lambda match: match[1] + nepali.PAUSE.join(match[2]), text)
    text = _CODES_BEFORE.sub(lambda match: nepali.PAUSE.join(match[1]) + match[2], text)
    return _FIGURES.sub(lambda match: nepali.PAUSE.join(match[0].replace(" ", "")), text)
