"""Convert text to Unicode's composed form (NFC) in linear time, whatever the text."""

import unicodedata

# The Stream-Safe Text Format (UAX 15, section 13) has the same limit; no language needs more marks on one
# letter. Python sorts the marks of a letter in quadratic time.
MAX_MARKS = 30
_DOUBLE_MARKS = "\u0f73\u0f75\u0f81"


def to_nfc(text: str) -> str:
    """Return the text in NFC. Of more than MAX_MARKS consecutive marks, only the first MAX_MARKS are kept."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _limit_marks(text))


def _limit_marks(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) or character in _DOUBLE_MARKS else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return text if len(kept) == len(text) else "".join(kept)
