"""SMPP 3.4 as bytes: frames, the PDUs that make up a session, and what a status means.

The PDUs that carry a message, `submit_sm` and `deliver_sm`, are encoded and decoded by `smpp34`. Its client is not
used, because it acknowledges a `deliver_sm` before we could store it, cannot say why a bind was refused, and has
fixed timers; its server is the counterpart of our tests.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, auto

HEADER = struct.Struct(">IIII")
LONGEST = 128 * 1024  # bytes; a PDU with a message_payload has 64 KiB and a little
VERSION = 0x34

GENERIC_NACK = 0x80000000
BIND_TRANSCEIVER = 0x00000009
SUBMIT_SM = 0x00000004
DELIVER_SM = 0x00000005
CANCEL_SM = 0x00000008
UNBIND = 0x00000006
ENQUIRE_LINK = 0x00000015
ALERT_NOTIFICATION = 0x00000102
RESPONSE = 0x80000000

# Optional parameters
RECEIPTED_MESSAGE_ID = 0x001E
SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER = 0x020C, 0x020E, 0x020F
MESSAGE_PAYLOAD = 0x0424
MESSAGE_STATE = 0x0427

OK = 0x00
INVALID_COMMAND = 0x03
NOTHING_TO_CANCEL = 0x11
QUEUE_FULL = 0x14
CANNOT_REPLACE = 0x54
# What an SMSC answers that has no cancel_sm, or none by addresses: ESME_RINVCMDLEN, ESME_RINVCMDID, ESME_RINVMSGID.
KNOWS_NO_CANCEL = (0x02, INVALID_COMMAND, 0x0C)


class Garbled(Exception):
    """What came is no SMPP: the connection cannot go on."""


@dataclass(frozen=True, slots=True)
class Pdu:
    command: int
    status: int
    sequence: int
    raw: bytes

    @property
    def text(self) -> str:
        """The first C-Octet string of the body: the message id of an answer to a submission."""
        return self.raw[HEADER.size :].split(b"\0", 1)[0].decode("latin-1")


class Frames:
    """Cuts a stream of bytes into PDUs, however they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Pdu]:
        """The PDUs that are complete now; raises Garbled when the stream makes no sense any more."""
        buffer = self._buffer
        buffer += data
        found, start = [], 0
        while len(buffer) - start >= HEADER.size:
            length, command, status, sequence = HEADER.unpack_from(buffer, start)
            if not HEADER.size <= length <= LONGEST:
                raise Garbled(f"a PDU says that it is {length} bytes long")
            if len(buffer) - start < length:
                break
            found.append(Pdu(command, status, sequence, bytes(buffer[start : start + length])))
            start += length
        del buffer[:start]
        return found


def pdu(command: int, *, sequence: int, status: int = OK, body: bytes = b"") -> bytes:
    return HEADER.pack(HEADER.size + len(body), command, status, sequence) + body


def with_sequence(encoded: bytes, sequence: int) -> bytes:
    """The same PDU with another sequence number."""
    return encoded[:12] + sequence.to_bytes(4, "big") + encoded[16:]


def bind_body(*, system_id: str, password: str, system_type: str, address_range: str) -> bytes:
    def text(value: str) -> bytes:
        return value.encode("latin-1") + b"\0"

    return text(system_id) + text(password) + text(system_type) + bytes([VERSION, 0, 0]) + text(address_range)


def cancel_body(
    *, service_type: str, source: tuple[str, int, int], destination: tuple[str, int, int]
) -> bytes:
    """A cancel_sm of all that is pending between two addresses, each with its type and plan (3.4, 4.9.1)."""

    def address(value: str, ton: int, npi: int) -> bytes:
        return bytes([ton, npi]) + value.encode("latin-1") + b"\0"

    return service_type.encode("latin-1") + b"\0" + b"\0" + address(*source) + address(*destination)


class Meaning(Enum):
    """What a status in an answer to a submission means for what happens next."""

    TAKEN = auto()
    TOO_FAST = auto()  # the same again, and more slowly
    BUSY = auto()  # the same again, a few times
    NO_SUCH_NUMBER = auto()
    SENDER = auto()  # our sender's address is not ours to use
    CONFIGURATION = auto()  # no message will fare better until the operator has mended something
    REFUSED = auto()


_STATUSES: dict[int, tuple[str, Meaning]] = {
    0x00: ("ESME_ROK", Meaning.TAKEN),
    0x01: ("ESME_RINVMSGLEN", Meaning.REFUSED),
    0x02: ("ESME_RINVCMDLEN", Meaning.REFUSED),
    0x03: ("ESME_RINVCMDID", Meaning.CONFIGURATION),
    0x04: ("ESME_RINVBNDSTS", Meaning.BUSY),
    0x05: ("ESME_RALYBND", Meaning.BUSY),
    0x08: ("ESME_RSYSERR", Meaning.BUSY),
    0x0A: ("ESME_RINVSRCADR", Meaning.SENDER),
    0x0B: ("ESME_RINVDSTADR", Meaning.NO_SUCH_NUMBER),
    0x0C: ("ESME_RINVMSGID", Meaning.REFUSED),
    0x0D: ("ESME_RBINDFAIL", Meaning.BUSY),
    0x0E: ("ESME_RINVPASWD", Meaning.CONFIGURATION),
    0x0F: ("ESME_RINVSYSID", Meaning.CONFIGURATION),
    0x11: ("ESME_RCANCELFAIL", Meaning.REFUSED),
    0x14: ("ESME_RMSGQFUL", Meaning.TOO_FAST),
    0x15: ("ESME_RINVSERTYP", Meaning.CONFIGURATION),
    0x44: ("ESME_RCANTSUBDL", Meaning.REFUSED),
    0x45: ("ESME_RSUBMITFAIL", Meaning.BUSY),
    0x48: ("ESME_RINVSRCTON", Meaning.CONFIGURATION),
    0x49: ("ESME_RINVSRCNPI", Meaning.CONFIGURATION),
    0x50: ("ESME_RINVDSTTON", Meaning.CONFIGURATION),
    0x51: ("ESME_RINVDSTNPI", Meaning.CONFIGURATION),
    0x53: ("ESME_RINVSYSTYP", Meaning.CONFIGURATION),
    0x54: ("ESME_RINVREPFLAG", Meaning.REFUSED),
    0x58: ("ESME_RTHROTTLED", Meaning.TOO_FAST),
    0x61: ("ESME_RINVSCHED", Meaning.CONFIGURATION),
    0x62: ("ESME_RINVEXPIRY", Meaning.CONFIGURATION),
    0x64: ("ESME_RX_T_APPN", Meaning.BUSY),
    0x65: ("ESME_RX_P_APPN", Meaning.REFUSED),
    0x66: ("ESME_RX_R_APPN", Meaning.REFUSED),
    0xFF: ("ESME_RUNKNOWNERR", Meaning.BUSY),
}


def meaning_of(status: int) -> Meaning:
    return _STATUSES.get(status, ("", Meaning.REFUSED))[1]


def name_of(status: int) -> str:
    """For people: `ESME_RTHROTTLED (0x58)`."""
    name = _STATUSES.get(status, ("status of the SMSC's own", Meaning.REFUSED))[0]
    return f"{name} (0x{status:02X})"
