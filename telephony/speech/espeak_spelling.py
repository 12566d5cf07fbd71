"""Spell Nepali words so that espeak-ng says them right: it keeps a final schwa that speakers drop ("eka", "chaara")."""

from __future__ import annotations

import re

from telephony.speech.nepali_tables import MEASURES
from telephony.speech.nepali_words import AD_MONTHS, BS_MONTHS, NUMBERS, UNITS

# ruff: noqa: SIM905 - a list of words reads best as a line of words.

SPELLING_VERSION = 1  # increase it when a spelling changes, so that stale recordings are not reused

_VIRAMA = "\u094d"
# A consonant that is not the end of a conjunct. After a conjunct, as in बाह्र and पचपन्न, the schwa is spoken.
_SINGLE_CONSONANT_AT_END = re.compile("(?<!\u094d)[\u0915-\u0939]\\Z")
_KEEP_SCHWA = frozenset(["छ"])
_LOANS_WITH_CONJUNCT = ["मार्च", "अगस्ट", "सम्पर्क", "भोल्ट", "हर्ज", "सेकेन्ड"]
_OTHER_WORDS = """दशमलव नम्बर डलर मिटर किलोमिटर डेढ मिनेट प्रतिशत साल तारिख प्लस माइनस डट बाट घर काम राम समय कार्यालय मोबाइल
    डाक्टर इन्जिनियर मिस्टर प्रोफेसर अरब खरब""".split()


def _words_without_schwa() -> list[str]:
    said = [*NUMBERS, *(unit for _, unit in UNITS), *BS_MONTHS, *AD_MONTHS, *_OTHER_WORDS]
    said += [word for unit in MEASURES.values() for word in unit.split()]
    words = {word for word in said if _SINGLE_CONSONANT_AT_END.search(word)} - _KEEP_SCHWA
    return sorted(words | set(_LOANS_WITH_CONJUNCT), key=len, reverse=True)


_WORD = re.compile(
    rf"(?<![\u0900-\u097f])(?:{'|'.join(_words_without_schwa())})(?![\u0900-\u097f\u200c\u200d])"
)


def respelled(text: str) -> str:
    """Return the text with a virama after the words whose final schwa is not spoken."""
    return _WORD.sub(lambda match: match[0] + _VIRAMA, text)
