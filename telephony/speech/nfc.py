"""Unicode's composed form (NFC), in time that grows with the length of the text, whatever the text is."""

import unicodedata

# No language needs more marks on one letter: the Stream-Safe Text Format (UAX 15, 13) has the same limit. Python sorts
# the marks of one letter in quadratic time.
MAX_MARKS = 30
_TWO_MARKS_IN_ONE = "\u0f73\u0f75\u0f81"


def normalised(text: str) -> str:
    """The text in NFC. Of more than MAX_MARKS marks in a row the first MAX_MARKS are kept."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _with_few_marks(text))


def _with_few_marks(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) or character in _TWO_MARKS_IN_ONE else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return text if len(kept) == len(text) else "".join(kept)
