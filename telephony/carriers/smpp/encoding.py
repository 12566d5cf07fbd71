"""Encode and decode the texts of SMS: GSM alphabet or UCS-2, in one part or several.

Sources: 3GPP TS 23.038 (alphabets) and 23.040 (user data header). SMPP carries the GSM alphabet with one septet in each
octet; the SMSC packs them.
"""

from __future__ import annotations

from dataclasses import dataclass

from telephony.segments import GSM_BASIC, GSM_EXTENSION, TextSize, split

GSM, ASCII, LATIN_1, UCS2 = 0x00, 0x01, 0x03, 0x08  # data_coding
# The same alphabets with a message class (3GPP TS 23.038, 4): flash SMS, or SMS for the phone, the SIM or another device.
_GSM_WITH_CLASS = (*range(0x10, 0x14), *range(0xF0, 0xF4))
_UCS2_WITH_CLASS = range(0x18, 0x1C)
HAS_HEADER = 0x40  # esm_class: the message begins with a user data header
_ESCAPE = 0x1B
_CONCATENATED, _CONCATENATED_WIDE = 0x00, 0x08

# `GSM_BASIC` has the characters of the table in order, without the escape at 0x1B.
_OCTETS = {
    character: bytes([position + (position >= _ESCAPE)]) for position, character in enumerate(GSM_BASIC)
}
_EXTENDED = dict(
    zip(GSM_EXTENSION, (0x0A, 0x14, 0x28, 0x29, 0x2F, 0x3C, 0x3D, 0x3E, 0x40, 0x65), strict=True)
)
_OCTETS |= {character: bytes([_ESCAPE, octet]) for character, octet in _EXTENDED.items()}
_CHARACTERS = {octets[0]: character for character, octets in _OCTETS.items() if len(octets) == 1}
_CHARACTERS_EXTENDED = {octet: character for character, octet in _EXTENDED.items()}


def encode(text: str) -> tuple[bytes, int]:
    """Return the octets of a text and their data_coding."""
    if TextSize.of(text).gsm:
        return b"".join(map(_OCTETS.__getitem__, text)), GSM
    return text.encode("utf-16-be", "replace"), UCS2


def parts(text: str, *, reference: int) -> tuple[list[bytes], int]:
    """Split a text into as many parts as needed. Return the parts and their data_coding.

    If there are several parts, each begins with a user data header. All parts of one message carry `reference`, which
    should differ between consecutive messages to the same phone.
    """
    pieces = split(text)
    if len(pieces) <= 1:
        octets, coding = encode(text)
        return [octets], coding
    coding = encode(text)[1]
    encoded = [
        encode(piece)[0] if coding == GSM else piece.encode("utf-16-be", "replace") for piece in pieces
    ]
    return [
        bytes([5, _CONCATENATED, 3, reference % 256, len(encoded), number]) + octets
        for number, octets in enumerate(encoded, start=1)
    ], coding


@dataclass(frozen=True, slots=True)
class PartHeader:
    """The place of a part in a long message: part `number` of `total`, counted from 1."""

    reference: int
    total: int
    number: int


def part_header(octets: bytes) -> PartHeader | None:
    """Read the concatenation element of the user data header. Return None if there is none."""
    elements = octets[1 : octets[0] + 1] if octets else b""
    while len(elements) > 1:
        name, length = elements[0], elements[1]
        value, elements = elements[2 : 2 + length], elements[2 + length :]
        if (name, len(value)) in ((_CONCATENATED, 3), (_CONCATENATED_WIDE, 4)):
            return PartHeader(int.from_bytes(value[:-2], "big"), value[-2], value[-1])
    return None


def without_header(octets: bytes, *, esm_class: int) -> bytes:
    return octets[octets[0] + 1 :] if esm_class & HAS_HEADER and octets else octets


def decode(octets: bytes, *, data_coding: int, esm_class: int) -> str:
    """Return the text of an inbound message without its header. Binary data is returned as hexadecimal digits."""
    octets = without_header(octets, esm_class=esm_class)
    if data_coding == GSM or data_coding in _GSM_WITH_CLASS:
        return _from_gsm(octets)
    if data_coding in (ASCII, LATIN_1):
        return octets.decode("latin-1")
    if data_coding == UCS2 or data_coding in _UCS2_WITH_CLASS:
        return octets.decode("utf-16-be", "replace")
    return octets.hex()


def _from_gsm(octets: bytes) -> str:
    characters, following = [], iter(octets)
    for octet in following:
        if octet == _ESCAPE:
            characters.append(_CHARACTERS_EXTENDED.get(next(following, 0x20), " "))
        else:
            # Some SMSCs send ASCII or Latin-1 under this coding. Most characters are the same in both.
            characters.append(_CHARACTERS.get(octet) or chr(octet))
    return "".join(characters)
