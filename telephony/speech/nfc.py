"""Convert any text to Unicode's composed form (NFC) in linear time, and replace compatibility forms."""

import re
import unicodedata

# The Stream-Safe Text Format (UAX 15, section 13) has the same limit; no language needs more marks on one
# letter. Python sorts the marks of a letter in quadratic time.
MAX_MARKS = 30
_DOUBLE_MARKS = "\u0f73\u0f75\u0f81"


def to_nfc(text: str) -> str:
    """Return the text in NFC. If a letter has more than MAX_MARKS marks, only the first MAX_MARKS are kept."""
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


# Invisible characters inside words: soft hyphen, zero-width space, word joiner, byte order mark, directions.
_INVISIBLE = dict.fromkeys(
    [0xAD, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
# Kinds of compatibility forms with the same meaning as their plain form. Other kinds differ: ² and ½ are handled separately,
# and … is not only three full stops.
_SAFE_KINDS = ("<wide>", "<narrow>", "<font>", "<noBreak>")
_SAFE_CHARACTERS = frozenset("℃℉ﬀﬁﬂﬃﬄﬅﬆ")
_MAX_PLAIN_CHARACTERS = 5
_FRACTION_MARK = "\ue000"  # private use: no text that is spoken contains it
_FRACTION_AFTER_DIGIT = re.compile(rf"(?<=\d){_FRACTION_MARK}")


def without_compatibility_forms(text: str) -> str:
    """Return the text with full-width letters, ℃, ½, ㎏ and the like in plain characters, and no soft hyphens."""
    if text.isascii():
        return text
    plain = [_plain(character) for character in text.translate(_INVISIBLE)]
    return _FRACTION_AFTER_DIGIT.sub(" ", "".join(plain)).replace(_FRACTION_MARK, "")


def _plain(character: str) -> str:
    if character.isascii() or "\u0900" <= character <= "\u097f":
        return character
    kind = unicodedata.decomposition(character).partition(" ")[0]
    if kind == "<fraction>":
        return _FRACTION_MARK + unicodedata.normalize("NFKC", character).replace("\u2044", "/")
    is_number_or_unit = (
        "\u3371" <= character <= "\u33df"
        or "\u2160" <= character <= "\u2188"
        or "\u2460" <= character <= "\u2473"
    )
    if kind in _SAFE_KINDS or character in _SAFE_CHARACTERS or is_number_or_unit:
        plain = unicodedata.normalize("NFKC", character).replace("\u2215", "/").replace("μ", "u")
        return plain if len(plain) <= _MAX_PLAIN_CHARACTERS else character
    return character
