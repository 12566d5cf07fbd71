"""Find out how inbound octets are encoded.

The octets are the evidence; `data_coding` is only a hint. SMSCs put ASCII under data_coding 8, UTF-8 or UTF-16 under 0,
and UCS-2 in either byte order.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterator

from telephony.segments import GSM_BASIC, GSM_EXTENSION

GSM, ASCII, LATIN_1, UCS2 = 0x00, 0x01, 0x03, 0x08  # data_coding
# The same alphabets with a message class (3GPP TS 23.038, 4): flash SMS, or SMS for the phone, the SIM or another device.
_GSM_WITH_CLASS = (*range(0x10, 0x14), *range(0xF0, 0xF4))
_UCS2_WITH_CLASS = range(0x18, 0x1C)
_GSM_WAITING, _UCS2_WAITING = range(0xD0, 0xE0), range(0xE0, 0xF0)  # "a message waits for you"
_CODECS = {ASCII: "latin-1", LATIN_1: "latin-1", 0x05: "shift_jis", 0x06: "iso8859_5", 0x07: "iso8859_8"}
ESCAPE = 0x1B

# `GSM_BASIC` has the characters of the table in order, without the escape at 0x1B.
OCTETS = {character: bytes([position + (position >= ESCAPE)]) for position, character in enumerate(GSM_BASIC)}
_EXTENDED = dict(
    zip(GSM_EXTENSION, (0x0A, 0x14, 0x28, 0x29, 0x2F, 0x3C, 0x3D, 0x3E, 0x40, 0x65), strict=True)
)
OCTETS |= {character: bytes([ESCAPE, octet]) for character, octet in _EXTENDED.items()}
_CHARACTERS = {octets[0]: character for character, octets in OCTETS.items() if len(octets) == 1}
_CHARACTERS_EXTENDED = {octet: character for character, octet in _EXTENDED.items()}

MAX_PACKED_OCTETS = 140
MIN_WIDE_OCTETS = 4  # shorter texts do not prove how many octets a character has
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
)
# Characters above this belong to scripts without an alphabet, such as Chinese. Any two octets look like such a character.
_LAST_ALPHABET = 0x0E80


def text_of(octets: bytes, *, data_coding: int) -> str:
    """Return the text of an inbound message without its header. Binary data is returned as hexadecimal digits."""
    for mark, codec in _BYTE_ORDER_MARKS:
        if octets.startswith(mark) and len(octets) > len(mark):
            return octets[len(mark) :].decode(codec, "replace")
    if data_coding == UCS2 or data_coding in _UCS2_WITH_CLASS or data_coding in _UCS2_WAITING:
        return _from_ucs2(octets)
    if (text := _wide(octets) or _utf_8(octets)) is not None:
        return text
    if data_coding == GSM or data_coding in _GSM_WITH_CLASS or data_coding in _GSM_WAITING:
        return _packed(octets) or from_gsm(octets)
    if data_coding in _CODECS:
        return octets.decode(_CODECS[data_coding], "replace")
    return octets.decode("ascii") if _is_ascii(octets) else octets.hex()


def candidates(octets: bytes) -> Iterator[str]:
    """Return all possible texts of a delivery receipt, the most likely first. Receipts are ASCII."""
    # "_" and "$" are part of some SMSCs' ids. In the GSM alphabet they are control characters.
    yield octets.decode("latin-1").translate({0x11: "_", 0x02: "$"})
    for codec in ("utf-16-be", "utf-16-le"):
        yield octets.decode(codec, "replace")
    yield unpacked(octets)


def from_gsm(octets: bytes) -> str:
    characters, following = [], iter(octets)
    for octet in following:
        if octet == ESCAPE:
            characters.append(_CHARACTERS_EXTENDED.get(next(following, 0x20), " "))
        else:
            # Some SMSCs send ASCII or Latin-1 under this coding. Most characters are the same in both.
            characters.append(_CHARACTERS.get(octet) or chr(octet))
    return "".join(characters)


def unpacked(octets: bytes) -> str:
    """Read eight characters from each seven octets, as they are packed on the radio path (3GPP TS 23.038, 6.1.2.1)."""
    octets = octets[:MAX_PACKED_OCTETS]
    bits = int.from_bytes(octets, "little")
    septets = bytes(bits >> shift & 0x7F for shift in range(0, 8 * len(octets) - 6, 7))
    # Seven bits that are left over are padding: zeros, or a carriage return.
    return from_gsm(septets[:-1] if len(octets) % 7 == 0 and septets[-1:] in (b"\0", b"\r") else septets)


def _from_ucs2(octets: bytes) -> str:
    text = octets.decode("utf-16-be", "replace")
    if len(octets) % 2 == 0 and _is_plausible(text):
        return text
    if _is_ascii(octets) and len(octets) != 2:  # two octets may also be one Chinese character
        return octets.decode("ascii")
    if (other := _utf_8(octets)) is not None:
        return other
    if len(octets) % 2 == 0 and len(octets) >= MIN_WIDE_OCTETS:
        swapped = octets.decode("utf-16-le", "replace")
        if _is_plausible(swapped):
            return swapped
    return text


def _wide(octets: bytes) -> str | None:
    """Decode a text in UTF-16 whose data_coding names an alphabet of single octets; None if it does not look like UTF-16.

    Every second octet of such a text is a NUL (Latin) or 0x09 (Devanagari). Other texts have almost none of these
    octets.
    """
    if len(octets) % 2 or len(octets) < MIN_WIDE_OCTETS:
        return None
    for first, codec in ((0, "utf-16-be"), (1, "utf-16-le")):
        high = octets[first::2]
        if 2 * (high.count(0x00) + high.count(0x09)) > len(high):
            text = octets.decode(codec, "replace")
            if _is_plausible(text):
                return text
    return None


def _utf_8(octets: bytes) -> str | None:
    """Decode UTF-8 with at least one character that is not ASCII; None if the octets have another encoding."""
    if octets.isascii():
        return None
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if _is_plausible(text) else None


def _packed(octets: bytes) -> str | None:
    """Decode a text of packed septets; None if the octets may have another encoding."""
    if len(octets) > MAX_PACKED_OCTETS or octets.isascii():
        return None
    if not any(octet < 0x20 and octet not in b"\n\r" for octet in octets):
        return None
    text = unpacked(octets)
    return text if _is_ascii(text.encode("utf-8")) else None


def _is_ascii(octets: bytes) -> bool:
    # Without the tab: 0x09 is the first octet of every Devanagari character in UCS-2.
    return all(0x20 <= octet < 0x7F or octet in b"\n\r" for octet in octets)


def _is_plausible(text: str) -> bool:
    """Return whether all characters belong to alphabets, punctuation, symbols or emoji."""
    return all(character in "\n\r\t" or _is_usual(character) for character in text)


def _is_usual(character: str) -> bool:
    code = ord(character)
    if not (code < _LAST_ALPHABET or 0x2000 <= code < 0x2800 or 0xFE00 <= code < 0xFF00 or code >= 0x1F000):
        return False
    return unicodedata.category(character) not in ("Cc", "Cn", "Co", "Cs")
