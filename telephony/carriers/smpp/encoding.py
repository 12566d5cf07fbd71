"""Encode and decode the texts of SMS: GSM alphabet or UCS-2, in one part or several.

Sources: 3GPP TS 23.038 (alphabets) and 23.040 (user data header). SMPP carries the GSM alphabet with one septet in each
octet; the SMSC packs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from telephony.carriers.smpp import charsets
from telephony.carriers.smpp.charsets import GSM, UCS2
from telephony.segments import GSM_SINGLE, UCS2_SINGLE, TextSize, split

HAS_HEADER = 0x40  # esm_class: the message begins with a user data header
_CONCATENATED, _CONCATENATED_WIDE = 0x00, 0x08
# The length of an SMS in one part, by its data_coding. The GSM alphabet has one septet in each octet here.
MAX_SINGLE_OCTETS = {GSM: GSM_SINGLE, UCS2: 2 * UCS2_SINGLE}


@lru_cache(maxsize=64)  # most SMS of a campaign without tags have the same text
def encode(text: str) -> tuple[bytes, int]:
    """Return the octets of a text and their data_coding."""
    if TextSize.of(text).gsm:
        return b"".join(map(charsets.OCTETS.__getitem__, text)), GSM
    return text.encode("utf-16-be", "replace"), UCS2


def parts(text: str, *, reference: int) -> tuple[list[bytes], int]:
    """Split a text into as many parts as needed. Return the parts and their data_coding.

    If there are several parts, each begins with a user data header. All parts of one message carry `reference`, which
    should differ between consecutive messages to the same phone.
    """
    octets, coding = encode(text)
    if len(octets) <= MAX_SINGLE_OCTETS[coding]:
        return [octets], coding
    pieces = split(text)
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
    """Return the octets after the user data header. Some SMSCs set the bit of `esm_class` without sending a header."""
    if not esm_class & HAS_HEADER or not octets or octets[0] >= len(octets):
        return octets
    return octets[octets[0] + 1 :]


def decode(octets: bytes, *, data_coding: int, esm_class: int) -> str:
    """Return the text of an inbound message without its header. Binary data is returned as hexadecimal digits."""
    return charsets.text_of(without_header(octets, esm_class=esm_class), data_coding=data_coding)
