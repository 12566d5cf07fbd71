"""Frame SMPP 3.4, encode the PDUs of a session, and define what each status means.

`smpp34` encodes and decodes `submit_sm` and `deliver_sm`. Its client is not used, because it acknowledges a `deliver_sm`
before it can be stored, does not say why a bind was refused, and has fixed timers. The tests use its server as SMSC.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from telephony.carriers.refusals import Meaning
from telephony.models import Cause

HEADER = struct.Struct(">IIII")
MAX_PDU_BYTES = 128 * 1024  # a PDU with a message_payload has little more than 64 KiB
VERSION = 0x34

GENERIC_NACK = 0x80000000
BIND_RECEIVER = 0x00000001
BIND_TRANSMITTER = 0x00000002
BIND_TRANSCEIVER = 0x00000009
SUBMIT_SM = 0x00000004
DELIVER_SM = 0x00000005
CANCEL_SM = 0x00000008
UNBIND = 0x00000006
ENQUIRE_LINK = 0x00000015
ALERT_NOTIFICATION = 0x00000102
DATA_SM = 0x00000103
RESPONSE = 0x80000000

# Optional parameters
RECEIPTED_MESSAGE_ID = 0x001E
SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER = 0x020C, 0x020E, 0x020F
MESSAGE_PAYLOAD = 0x0424
MESSAGE_STATE = 0x0427

OK = 0x00
INVALID_COMMAND = 0x03
CANCEL_FAILED = 0x11  # ESME_RCANCELFAIL, by which iris understands that there was nothing to cancel
INVALID_SOURCE = 0x0A
QUEUE_FULL = 0x14
INVALID_REPLACE_FLAG = 0x54
THROTTLED = 0x58
# Responses of an SMSC that does not support cancel_sm, or supports it only with a message id: ESME_RINVCMDLEN,
# ESME_RINVCMDID, ESME_RINVMSGID.
CANCEL_UNSUPPORTED = (0x02, INVALID_COMMAND, 0x0C)


class NotSmpp(Exception):
    """The received data is not SMPP, so the connection must be closed."""


@dataclass(frozen=True, slots=True)
class Pdu:
    command: int
    status: int
    sequence: int
    raw: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The first C-octet string of the body, which is the message id in a submit_sm_resp."""
        return self.raw[HEADER.size :].split(b"\0", 1)[0].decode("latin-1")


class PduReader:
    """Splits a stream of bytes into PDUs."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Pdu]:
        """Add received data. Return the PDUs that are complete now. Raises NotSmpp if the stream is not SMPP."""
        buffer = self._buffer
        buffer += data
        found, start = [], 0
        while len(buffer) - start >= HEADER.size:
            length, command, status, sequence = HEADER.unpack_from(buffer, start)
            if not HEADER.size <= length <= MAX_PDU_BYTES:
                raise NotSmpp(f"a PDU claims a length of {length} bytes")
            if len(buffer) - start < length:
                break
            found.append(Pdu(command, status, sequence, bytes(buffer[start : start + length])))
            start += length
        del buffer[:start]
        return found


class Malformed(ValueError):
    """The body of a PDU does not have the fields that its command requires."""


@dataclass(frozen=True, slots=True)
class DataSm:
    """A `data_sm` (3.4, 4.7.1). Its text, if any, is in the TLV message_payload."""

    source_addr: str
    source_addr_ton: int
    destination_addr: str
    dest_addr_ton: int
    esm_class: int
    data_coding: int
    tlvs: dict[int, bytes]


def data_sm(raw: bytes) -> DataSm:
    """Decode a `data_sm`. The TLVs after a malformed TLV are left out. Raises Malformed."""
    try:
        _, _, rest = raw[HEADER.size :].partition(b"\0")  # service_type
        source_ton, source, rest = rest[0], *_c_octet_string(rest[2:])
        destination_ton, destination, rest = rest[0], *_c_octet_string(rest[2:])
        esm_class, _, data_coding = rest[:3]
    except (IndexError, ValueError) as error:
        raise Malformed("it is not a data_sm") from error
    tlvs: dict[int, bytes] = {}
    rest = rest[3:]
    while len(rest) >= 4:
        end = 4 + int.from_bytes(rest[2:4], "big")
        tlvs.setdefault(int.from_bytes(rest[:2], "big"), rest[4:end])
        rest = rest[end:]
    return DataSm(source, source_ton, destination, destination_ton, esm_class, data_coding, tlvs)


def _c_octet_string(data: bytes) -> tuple[str, bytes]:
    """Return the text up to the first NUL, and the rest after it. Raises ValueError if there is no NUL."""
    end = data.index(b"\0")
    return data[:end].decode("latin-1"), data[end + 1 :]


def pdu(command: int, *, sequence: int, status: int = OK, body: bytes = b"") -> bytes:
    return HEADER.pack(HEADER.size + len(body), command, status, sequence) + body


def with_sequence(encoded: bytes, sequence: int) -> bytes:
    """Return the PDU with another sequence number."""
    return encoded[:12] + sequence.to_bytes(4, "big") + encoded[16:]


def with_length(encoded: bytes) -> bytes:
    """Return the PDU with its true length in its header."""
    return len(encoded).to_bytes(4, "big") + encoded[4:]


def bind_body(*, system_id: str, password: str, system_type: str, address_range: str) -> bytes:
    def text(value: str) -> bytes:
        return value.encode("latin-1") + b"\0"

    return text(system_id) + text(password) + text(system_type) + bytes([VERSION, 0, 0]) + text(address_range)


def cancel_body(
    *, service_type: str, source: tuple[str, int, int], destination: tuple[str, int, int]
) -> bytes:
    """Return the body of a cancel_sm for everything pending between two addresses (3.4, 4.9.1).

    Each address comes with its type and plan.
    """

    def address(value: str, ton: int, npi: int) -> bytes:
        return bytes([ton, npi]) + value.encode("latin-1") + b"\0"

    return service_type.encode("latin-1") + b"\0" + b"\0" + address(*source) + address(*destination)


@dataclass(frozen=True, slots=True)
class Status:
    """A command_status: its name, its meaning in a submit response, the specification that defines it, and the cause."""

    name: str
    meaning: Meaning
    source: str = "SMPP 3.4 §5.1.3"
    cause: Cause = Cause.REFUSED


_5_0 = "SMPP 5.0 §4.7.6"
# If 3.4 and 5.0 have different names for a status, the name of 3.4 is used.
STATUSES = {
    0x00: Status("ESME_ROK", Meaning.TAKEN),
    0x01: Status("ESME_RINVMSGLEN", Meaning.RECIPIENT),
    0x02: Status("ESME_RINVCMDLEN", Meaning.DOUBTFUL),
    0x03: Status("ESME_RINVCMDID", Meaning.DOUBTFUL),
    0x04: Status("ESME_RINVBNDSTS", Meaning.BUSY),
    0x05: Status("ESME_RALYBND", Meaning.BUSY),
    0x06: Status("ESME_RINVPRTFLG", Meaning.DOUBTFUL),
    0x07: Status("ESME_RINVREGDLVFLG", Meaning.DOUBTFUL),
    0x08: Status("ESME_RSYSERR", Meaning.BUSY),
    0x0A: Status("ESME_RINVSRCADR", Meaning.DOUBTFUL),
    0x0B: Status("ESME_RINVDSTADR", Meaning.RECIPIENT, cause=Cause.INVALID),
    0x0C: Status("ESME_RINVMSGID", Meaning.DOUBTFUL),
    0x0D: Status("ESME_RBINDFAIL", Meaning.BUSY),
    0x0E: Status("ESME_RINVPASWD", Meaning.TRUNK),
    0x0F: Status("ESME_RINVSYSID", Meaning.TRUNK),
    0x11: Status("ESME_RCANCELFAIL", Meaning.DOUBTFUL),
    0x13: Status("ESME_RREPLACEFAIL", Meaning.DOUBTFUL),
    0x14: Status("ESME_RMSGQFUL", Meaning.TOO_FAST),
    0x15: Status("ESME_RINVSERTYP", Meaning.DOUBTFUL),
    0x33: Status("ESME_RINVNUMDESTS", Meaning.DOUBTFUL),
    0x34: Status("ESME_RINVDLNAME", Meaning.DOUBTFUL),
    0x40: Status("ESME_RINVDESTFLAG", Meaning.DOUBTFUL),
    0x42: Status("ESME_RINVSUBREP", Meaning.DOUBTFUL),
    0x43: Status("ESME_RINVESMCLASS", Meaning.DOUBTFUL),
    0x44: Status("ESME_RCNTSUBDL", Meaning.DOUBTFUL),
    0x45: Status("ESME_RSUBMITFAIL", Meaning.BUSY),
    0x48: Status("ESME_RINVSRCTON", Meaning.DOUBTFUL),
    0x49: Status("ESME_RINVSRCNPI", Meaning.DOUBTFUL),
    0x50: Status("ESME_RINVDSTTON", Meaning.DOUBTFUL),
    0x51: Status("ESME_RINVDSTNPI", Meaning.DOUBTFUL),
    0x53: Status("ESME_RINVSYSTYP", Meaning.TRUNK),
    0x54: Status("ESME_RINVREPFLAG", Meaning.DOUBTFUL),
    0x55: Status("ESME_RINVNUMMSGS", Meaning.DOUBTFUL),
    0x58: Status("ESME_RTHROTTLED", Meaning.TOO_FAST),
    0x61: Status("ESME_RINVSCHED", Meaning.DOUBTFUL),
    0x62: Status("ESME_RINVEXPIRY", Meaning.DOUBTFUL),
    0x63: Status("ESME_RINVDFTMSGID", Meaning.DOUBTFUL),
    0x64: Status("ESME_RX_T_APPN", Meaning.BUSY),
    0x65: Status("ESME_RX_P_APPN", Meaning.DOUBTFUL),
    0x66: Status("ESME_RX_R_APPN", Meaning.DOUBTFUL),
    0x67: Status("ESME_RQUERYFAIL", Meaning.DOUBTFUL),
    0xC0: Status("ESME_RINVOPTPARSTREAM", Meaning.DOUBTFUL),
    0xC1: Status("ESME_ROPTPARNOTALLWD", Meaning.DOUBTFUL),
    0xC2: Status("ESME_RINVPARLEN", Meaning.DOUBTFUL),
    0xC3: Status("ESME_RMISSINGOPTPARAM", Meaning.DOUBTFUL),
    0xC4: Status("ESME_RINVOPTPARAMVAL", Meaning.DOUBTFUL),
    0xFE: Status("ESME_RDELIVERYFAILURE", Meaning.DOUBTFUL),
    0xFF: Status("ESME_RUNKNOWNERR", Meaning.BUSY),
    0x100: Status("ESME_RSERTYPUNAUTH", Meaning.DOUBTFUL, _5_0),
    0x101: Status("ESME_RPROHIBITED", Meaning.DOUBTFUL, _5_0),
    0x102: Status("ESME_RSERTYPUNAVAIL", Meaning.BUSY, _5_0),
    0x103: Status("ESME_RSERTYPDENIED", Meaning.DOUBTFUL, _5_0),
    0x104: Status("ESME_RINVDCS", Meaning.DOUBTFUL, _5_0),
    0x105: Status("ESME_RINVSRCADDRSUBUNIT", Meaning.DOUBTFUL, _5_0),
    0x106: Status("ESME_RINVDSTADDRSUBUNIT", Meaning.DOUBTFUL, _5_0),
    0x107: Status("ESME_RINVBCASTFREQINT", Meaning.DOUBTFUL, _5_0),
    0x108: Status("ESME_RINVBCASTALIAS_NAME", Meaning.DOUBTFUL, _5_0),
    0x109: Status("ESME_RINVBCASTAREAFMT", Meaning.DOUBTFUL, _5_0),
    0x10A: Status("ESME_RINVNUMBCAST_AREAS", Meaning.DOUBTFUL, _5_0),
    0x10B: Status("ESME_RINVBCASTCNTTYPE", Meaning.DOUBTFUL, _5_0),
    0x10C: Status("ESME_RINVBCASTMSGCLASS", Meaning.DOUBTFUL, _5_0),
    0x10D: Status("ESME_RBCASTFAIL", Meaning.DOUBTFUL, _5_0),
    0x10E: Status("ESME_RBCASTQUERYFAIL", Meaning.DOUBTFUL, _5_0),
    0x10F: Status("ESME_RBCASTCANCELFAIL", Meaning.DOUBTFUL, _5_0),
    0x110: Status("ESME_RINVBCAST_REP", Meaning.DOUBTFUL, _5_0),
    0x111: Status("ESME_RINVBCASTSRVGRP", Meaning.DOUBTFUL, _5_0),
    0x112: Status("ESME_RINVBCASTCHANIND", Meaning.DOUBTFUL, _5_0),
}
VENDOR_STATUSES = range(0x400, 0x500)  # defined by each SMSC vendor (3.4 §5.1.3)
_VENDOR_STATUS = Status("vendor-specific status", Meaning.DOUBTFUL)
_UNDEFINED_STATUS = Status("undefined status", Meaning.DOUBTFUL)


def status_of(code: int) -> Status:
    return STATUSES.get(code) or (_VENDOR_STATUS if code in VENDOR_STATUSES else _UNDEFINED_STATUS)


def meaning_of(code: int) -> Meaning:
    return status_of(code).meaning


def name_of(code: int) -> str:
    """Return the name of a status for display, such as `ESME_RTHROTTLED (0x58)`."""
    return f"{status_of(code).name} (0x{code:02X})"
