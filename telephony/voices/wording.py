"""From a text as people write it to a text as it is said aloud, before any engine sees it."""

from __future__ import annotations

import re
import unicodedata

from telephony.voices.engine import Unspeakable

MAX_CHARACTERS = 5000  # some seven minutes of speech

_JOINERS = "\u200c\u200d"  # they decide how Devanagari conjuncts are said; other invisible characters go
_DEVANAGARI_DIGITS = str.maketrans("0123456789", "०१२३४५६७८९")


def spoken_form(text: str, *, language: str) -> str:
    """The text as the engines get it; also what makes two texts the same recording.

    Raises Unspeakable when nothing in it can be said, or when it is longer than MAX_CHARACTERS.
    """
    if len(text) > MAX_CHARACTERS:
        raise Unspeakable(
            f"The message has {len(text)} characters; at most {MAX_CHARACTERS} can be spoken. Shorten it.",
            code="too_long",
        )
    text = unicodedata.normalize("NFC", text)
    text = "".join(" " if _is_control(character) else character for character in text)
    # Typed without a Nepali keyboard, the danda that ends a sentence is a vertical bar.
    text = re.sub(r"\s*[|।॥][\s|।॥]*", "। ", text)
    if language == "ne":
        text = _nepali_numbers(text)
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text).strip()
    if not any(unicodedata.category(character)[0] in "LN" for character in text):
        raise Unspeakable("There is nothing in the message that can be spoken. Write at least one word.")
    return text


def _is_control(character: str) -> bool:
    return unicodedata.category(character)[0] == "C" and character != "\n" and character not in _JOINERS


def _nepali_numbers(text: str) -> str:
    """Numbers are said in Nepali only when written in its own digits: in 0–9 they would be said in English.

    Long runs of digits and those that begin with a zero are no amounts but telephone numbers and codes, said
    digit by digit. Neither the stroke in 2081/05/12 nor the one in 500/- is said.
    """
    text = text.translate(_DEVANAGARI_DIGITS)
    text = re.sub(r"(?<=[०-९])/-", " ", text)
    text = re.sub(r"(?<=[०-९])[/-](?=[०-९])", " ", text)
    return re.sub(r"(?<![०-९.,])(?:[०-९]{10,}|०[०-९]+)(?![०-९])", lambda run: " ".join(run[0]), text)
