"""Convert text as people write it into text as it is spoken, before it is passed to an engine."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from telephony.speech import english, nepali
from telephony.speech.engine import MAX_CHARACTERS, Unspeakable, too_many_characters
from telephony.speech.legacy_fonts import LEGACY_FONT, is_legacy
from telephony.speech.nfc import to_nfc, without_compatibility_forms

_JOINERS = "\u200c\u200d"  # they control Devanagari conjuncts; other invisible characters are removed
_STRAY_JOINER = re.compile("(?<![\u0900-\u097f])[\u200c\u200d]+|[\u200c\u200d]+(?![\u0900-\u097f])")
_KEPT_SYMBOLS = frozenset("°№")
_DATE_WITH_BARS = re.compile(r"(?<!\d)(\d{4})\s?[|।]\s?(\d{1,2})\s?[|।]\s?(\d{1,2})(?!\d)")
_YEARS_WITH_BAR = re.compile(r"(?<=[2२][0०]\d\d)[|।](?=\d{2,3}(?!\d))")
_BAR_IN_AMOUNT = re.compile(r"(?<=\d)[|।]\s?[-–—](?!\d)")
_BAR_BEFORE_PAISA = re.compile(r"(?<=,\d{3})[|।](?=\d\d(?!\d))")
_VISARGA_IN_TIME = re.compile(r"(?<=\d)\s?[ः﹕：]\s?(?=\d)")


def spoken_form(text: str, *, language: str) -> str:
    """Return the text for the engines. Texts with the same spoken form share one recording.

    Raises Unspeakable if the text contains nothing to speak, is longer than MAX_CHARACTERS, or is typed for a legacy
    font.
    """
    if len(text) > MAX_CHARACTERS:
        raise too_many_characters(len(text))
    if language == "ne" and is_legacy(text):
        raise Unspeakable(LEGACY_FONT, code="legacy_font")
    text = to_nfc(without_compatibility_forms(text))
    text = "".join(character if _is_pronounceable(character) else " " for character in text)
    text = _STRAY_JOINER.sub(" ", text)
    text = _DATE_WITH_BARS.sub(r"\1/\2/\3", text)
    text = _YEARS_WITH_BAR.sub("/", text)
    text = _BAR_IN_AMOUNT.sub("/-", _BAR_BEFORE_PAISA.sub(".", text))
    # People type a visarga for a colon, because they look alike.
    text = _VISARGA_IN_TIME.sub(":", text)
    # People without a Nepali keyboard type a vertical bar for the danda that ends a sentence.
    text = re.sub(r"(?<!\s)\s*+[|।॥][\s|।॥]*", "। ", text)
    text = _TO_WORDS.get(language, _spell_out_codes)(text)
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    text = re.sub(r" (?=[,;:!?।])", "", text).strip()
    if not any(unicodedata.category(character)[0] in "LN" for character in text):
        raise Unspeakable("The message contains nothing that can be spoken. Write at least one word.")
    return text


def _is_pronounceable(character: str) -> bool:
    """Return whether the character may be passed to an engine.

    False for control, invisible and private-use characters, emoji and their modifiers.
    """
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


# In other languages the engine reads numbers itself, but always as amounts.
_CODES_AFTER_WORD = re.compile(
    rf"({english.CODE_WORD}{english.CLAUSE}{{0,30}}?)\b(\d{{4,12}})\b(?![.,]\d)", re.IGNORECASE
)
_CODES_BEFORE_WORD = re.compile(
    rf"\b(\d{{4,12}})\b(?![.,]\d)({english.CLAUSE}{{1,25}}?{english.CODE_WORD})", re.IGNORECASE
)
_LONG_NUMBERS = re.compile(r"(?<![\d.,])(?:\d{9,}+|0\d{3,}+|(?:\d ){3,}\d)(?![.,]*+\d)")


def _spell_out_codes(text: str) -> str:
    text = _CODES_AFTER_WORD.sub(lambda match: match[1] + nepali.PAUSE.join(match[2]), text)
    text = _CODES_BEFORE_WORD.sub(lambda match: nepali.PAUSE.join(match[1]) + match[2], text)
    return _LONG_NUMBERS.sub(lambda match: nepali.PAUSE.join(match[0].replace(" ", "")), text)


_TO_WORDS: dict[str, Callable[[str], str]] = {
    "ne": lambda text: nepali.to_words(text),
    "en": english.to_words,
}
