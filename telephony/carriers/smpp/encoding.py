"""Texts as an SMSC takes and gives them: the GSM alphabet or UCS-2, in one part or several.

3GPP TS 23.038 (alphabets) and 23.040 (the header of a part). SMPP carries the GSM alphabet with one septet in each
octet; the SMSC packs them.
"""

from __future__ import annotations

from dataclasses import dataclass

from telephony.segments import GSM_BASIC, GSM_EXTENSION, TextSize, split

GSM, ASCII, LATIN_1, UCS2 = 0x00, 0x01, 0x03, 0x08  # data_coding
# The same with a message class (3GPP TS 23.038, 4): shown at once, for the telephone, the SIM or another device.
_GSM_OF_A_CLASS = (*range(0x10, 0x14), *range(0xF0, 0xF4))
_UCS2_OF_A_CLASS = range(0x18, 0x1C)
HAS_HEADER = 0x40  # esm_class: the message begins with a user data header
_ESCAPE = 0x1B
_CONCATENATED, _CONCATENATED_WIDE = 0x00, 0x08

# `BASIC` has every character of the table in its order, but for the escape at 0x1B.
_OCTETS = {character: bytes([place + (place >= _ESCAPE)]) for place, character in enumerate(GSM_BASIC)}
_EXTENDED = dict(
    zip(GSM_EXTENSION, (0x0A, 0x14, 0x28, 0x29, 0x2F, 0x3C, 0x3D, 0x3E, 0x40, 0x65), strict=True)
)
_OCTETS |= {character: bytes([_ESCAPE, octet]) for character, octet in _EXTENDED.items()}
_CHARACTERS = {octets[0]: character for character, octets in _OCTETS.items() if len(octets) == 1}
_CHARACTERS_EXTENDED = {octet: character for character, octet in _EXTENDED.items()}


def encode(text: str) -> tuple[bytes, int]:
    """The octets of a text, and their data_coding."""
    if TextSize.of(text).gsm:
        return b"".join(map(_OCTETS.__getitem__, text)), GSM
    return text.encode("utf-16-be", "replace"), UCS2


def parts(text: str, *, reference: int) -> tuple[list[bytes], int]:
    """A text in as many parts as it takes, and their data_coding. Several begin with the header that joins them.

    `reference` is the same in all parts of one message, and soon another in the next message to the same phone.
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
class Place:
    """Which part of a message of several this is: `number` of `total`, from 1."""

    reference: int
    total: int
    number: int


def place(octets: bytes) -> Place | None:
    """What the header at the beginning of a message says of its place among others."""
    elements = octets[1 : octets[0] + 1] if octets else b""
    while len(elements) > 1:
        name, length = elements[0], elements[1]
        value, elements = elements[2 : 2 + length], elements[2 + length :]
        if (name, len(value)) in ((_CONCATENATED, 3), (_CONCATENATED_WIDE, 4)):
            return Place(int.from_bytes(value[:-2], "big"), value[-2], value[-1])
    return None


def without_header(octets: bytes, *, esm_class: int) -> bytes:
    return octets[octets[0] + 1 :] if esm_class & HAS_HEADER and octets else octets


def decode(octets: bytes, *, data_coding: int, esm_class: int) -> str:
    """The text of a message that came in, without its header. What is no text comes as hexadecimal digits."""
    octets = without_header(octets, esm_class=esm_class)
    if data_coding == GSM or data_coding in _GSM_OF_A_CLASS:
        return _from_gsm(octets)
    if data_coding in (ASCII, LATIN_1):
        return octets.decode("latin-1")
    if data_coding == UCS2 or data_coding in _UCS2_OF_A_CLASS:
        return octets.decode("utf-16-be", "replace")
    return octets.hex()


def _from_gsm(octets: bytes) -> str:
    characters, following = [], iter(octets)
    for octet in following:
        if octet == _ESCAPE:
            characters.append(_CHARACTERS_EXTENDED.get(next(following, 0x20), " "))
        else:
            # An SMSC that sends ASCII or Latin-1 under this coding is wrong in a few places only.
            characters.append(_CHARACTERS.get(octet) or chr(octet))
    return "".join(characters)
