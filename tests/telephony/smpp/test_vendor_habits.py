"""Test how each SMS ends with SMSCs that write receipts, PDUs and sequence numbers in ways of their own."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from telephony.models import InboundMessage, OptOut, Trunk
from tests.cpu import cpu_at_most
from tests.telephony.smpp.scripted import (
    ANSWER,
    CANCEL,
    DATA,
    DELIVER,
    DELIVERED,
    ENQUIRE,
    SUBMIT,
    Connection,
    Reply,
    Submitted,
    accept,
    data_body,
    inbound,
    pdu,
    receipt,
    text_of_receipt,
    tlv,
    world,
)

pytestmark = pytest.mark.django_db(transaction=True)

RECEIPTED_ID, STATE, PAYLOAD, NETWORK_ERROR = 0x1E, 0x427, 0x424, 0x423
NACK, OUTBIND, QUERY = 0x80000000, 0x0B, 0x03
STORM = 3_000


def push(body: bytes, command: int = DELIVER) -> Reply:
    return lambda connection: connection.push(command, body)


def deliver(
    one: Submitted, text: str, *, length: int | None = None, tail: bytes = b"", esm_class: int = 4
) -> Reply:
    """Send a receipt whose sm_length may be wrong, and that ends with any octets."""
    octets = text.encode()
    body = bytearray(inbound(one.to, octets, esm_class=esm_class))
    if length is not None:
        body[-len(octets) - 1] = length
    return push(bytes(body) + tail)


# By name: what the SMSC says about the SMS with the id `ref`, and how it ends.
Steps = Callable[[Submitted, str], Iterable[Reply]]
CASES: dict[str, tuple[Steps, tuple[str, str, str, int]]] = {
    "2001": (
        lambda one, ref: [accept(one, ref), receipt(one, f"ID={ref} SUB=001 STAT=DELIVRD ERR=000")],
        DELIVERED,
    ),
    "2002": (
        lambda one, ref: [
            accept(one, ref),
            receipt(one, f"id:{ref},sub:001,dlvrd:001,stat:DELIVRD,err:000,text:Hello"),
        ],
        DELIVERED,
    ),
    "2003": (
        lambda one, ref: [
            accept(one, f"<{ref}@smsc>"),
            receipt(one, f'id:"{ref}@smsc" stat:"DELIVRD" err:"000"'),
        ],
        DELIVERED,
    ),
    "2004": (
        lambda one, ref: [accept(one, ref), receipt(one, f"message_id: {ref} status: Delivered error: 0")],
        DELIVERED,
    ),
    "2005": (
        lambda one, ref: [
            accept(one, ref),
            receipt(one, f"id:{ref} status:0 stat:UNDELIV err:0x4A text:stat"),
        ],
        ("FAILED", "refused", "UNDELIV, error 0x4A", 0),
    ),
    # The text has no id, the TLV has it.
    "2006": (
        lambda one, ref: [
            accept(one, ref),
            receipt(one, "id: sub:001 dlvrd:001 stat:DELIVRD", tlvs=tlv(RECEIPTED_ID, ref.encode() + b"\0")),
        ],
        DELIVERED,
    ),
    # The TLV and the text disagree, and further TLVs come.
    "2007": (
        lambda one, ref: [
            accept(one, ref),
            receipt(
                one,
                text_of_receipt(ref, "DELIVRD", error="001"),
                tlvs=tlv(NETWORK_ERROR, b"\3\0\1") + tlv(STATE, b"\5") + tlv(0x1401, b"own"),
            ),
        ],
        ("FAILED", "refused", "UNDELIV, error 001", 0),
    ),
    "2008": (
        lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref), tlvs=tlv(STATE, b"\0\0\0\2"))],
        DELIVERED,
    ),
    # Malformed ends of PDUs.
    "2009": (
        lambda one, ref: [
            accept(one, ref),
            deliver(one, text_of_receipt(ref), length=len(text_of_receipt(ref)) + 1),
        ],
        DELIVERED,
    ),
    "2010": (lambda one, ref: [accept(one, ref), deliver(one, text_of_receipt(ref), tail=b"\0")], DELIVERED),
    "2011": (
        lambda one, ref: [accept(one, ref), deliver(one, text_of_receipt(ref), tail=tlv(STATE, b"\2")[:-1])],
        DELIVERED,
    ),
    "2012": (
        lambda one, ref: [
            accept(one, ref),
            push(
                data_body(
                    one.to,
                    esm_class=4,
                    tlvs=tlv(PAYLOAD, text_of_receipt(ref).encode()) + struct.pack(">HH", 0x1400, 9) + b"cut",
                ),
                DATA,
            ),
        ],
        DELIVERED,
    ),
    # The text is in a TLV; a flash message.
    "2020": (
        lambda one, ref: [
            accept(one, ref),
            push(inbound(one.to, b"", esm_class=4, tlvs=tlv(PAYLOAD, text_of_receipt(ref).encode()))),
        ],
        DELIVERED,
    ),
    "2021": (
        lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref, "EXPIRED"), coding=0x11)],
        ("FAILED", "expired", "EXPIRED, error 000", 0),
    ),
    # User data headers of odd lengths.
    "2013": (
        lambda one, ref: [
            accept(one, ref),
            receipt(one, b"\x03\x70\x01\x00" + text_of_receipt(ref).encode(), esm_class=0x44),
        ],
        DELIVERED,
    ),
    "2014": (
        lambda one, ref: [
            accept(one, ref),
            receipt(one, b"\x00" + text_of_receipt(ref).encode(), esm_class=0x44),
        ],
        DELIVERED,
    ),
    # Addresses the wrong way round: from our number to the phone.
    "2015": (
        lambda one, ref: [
            accept(one, ref),
            push(inbound("31001", text_of_receipt(ref).encode(), to=one.to, esm_class=4, ton=0)),
        ],
        DELIVERED,
    ),
    # Intermediate notifications, also after the end.
    "2016": (
        lambda one, ref: [
            accept(one, ref),
            receipt(one, text_of_receipt(ref, "ENROUTE"), esm_class=0x20),
            receipt(one, text_of_receipt(ref)),
            receipt(one, text_of_receipt(ref, "ACCEPTD")),
        ],
        DELIVERED,
    ),
    "2017": (lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref, "DLVRD"))], DELIVERED),
    # Other PDUs in between: an outbind, a query, an unknown command, a response to nothing.
    "2018": (
        lambda one, ref: [
            push(b"far\0secret\0", OUTBIND),
            push(b"7\0\0\0\0", QUERY),
            push(b"", 0x0BAD),
            lambda connection: connection.write(pdu(SUBMIT | ANSWER, 0x7000_0000, body=b"nobody\0")),
            lambda connection: connection.write(pdu(CANCEL | ANSWER, 0x7000_0001, status=0x11)),
            lambda connection: connection.write(pdu(NACK, 0, status=0x03)),
            accept(one, ref),
            receipt(one, text_of_receipt(ref)),
        ],
        DELIVERED,
    ),
    "2019": (
        lambda one, ref: [lambda connection: connection.write(pdu(NACK, one.sequence, status=0x03))],
        ("FAILED", "refused", "ESME_RINVCMDID (0x03)", 0),
    ),
}


def test_each_sms_ends_as_the_smsc_says_in_its_own_way(settings: Any, trunk: Trunk) -> None:
    def script(one: Submitted) -> Iterable[Reply]:
        return CASES[one.name][0](one, f"7{one.name}")

    with world(settings, script) as it:
        it.send(*CASES)
        it.wait_ended()
        assert {name: it.outcome(name) for name in CASES} == {name: end for name, (_, end) in CASES.items()}
        it.wait(lambda: len(it.smsc.acknowledged) >= len(CASES))
        pushed = [
            status for command, status in it.smsc.acknowledged if command in (DELIVER | ANSWER, DATA | ANSWER)
        ]
        assert set(pushed) == {0}
        assert [status for command, status in it.smsc.acknowledged if command == NACK] == [0x03] * 3
        assert not InboundMessage.objects.exists()


def test_receipts_in_single_octets_and_among_many_enquiries_are_read(settings: Any, trunk: Trunk) -> None:
    def in_octets(one: Submitted) -> Reply:
        body = inbound(one.to, text_of_receipt(one.name).encode(), esm_class=4)

        def write(connection: Connection) -> None:
            for octet in pdu(DELIVER, 900, body=body):
                connection.write(bytes([octet]))

        return write

    def storm(connection: Connection) -> None:
        connection.write(b"".join(pdu(ENQUIRE, sequence) for sequence in range(1, STORM + 1)))

    with (
        world(settings, lambda one: [storm, accept(one, one.name), storm, in_octets(one)]) as it,
        cpu_at_most(5),
    ):
        it.send("1001")
        it.wait_ended()
        assert it.outcome("1001") == DELIVERED
        it.wait(lambda: [command for command, _ in it.smsc.acknowledged].count(ENQUIRE | ANSWER) == 2 * STORM)


@pytest.mark.parametrize(
    ("octets", "esm_class", "coding"),
    [
        (b"\x06\x08\x04\x12\x34\x01\x01" + b"STOP", 0x40, 0),  # a 16-bit reference, of one part
        (b"\x0b\x05\x04\x15\x8a\x00\x00\x00\x03\x07\x01\x01" + b"STOP", 0x40, 0),  # with ports
        (b"\x05\x00\x03\x09\x00\x00" + b"STOP", 0x40, 0),  # part 0 of 0
        (b"\x02\x24\x00" + "रोक्नुहोस्".encode("utf-16-be"), 0x40, 8),  # a language shift of no octets
        (b"STOP\0", 0, 0),
        (b"STOP", 0x08, 0),  # marked as an acknowledgement of the phone
    ],
)
def test_stop_with_any_header_opts_out(
    settings: Any, trunk: Trunk, octets: bytes, esm_class: int, coding: int
) -> None:
    with world(settings, lambda one: [accept(one, one.name), receipt(one, text_of_receipt(one.name))]) as it:
        it.send("1001")
        it.wait_ended()
        it.smsc.push(DELIVER, inbound("9779841001001", octets, esm_class=esm_class, coding=coding))
        it.wait_acknowledged(2)
        assert [(opt_out.number, opt_out.owner_id) for opt_out in OptOut.objects.all()] == [
            ("+9779841001001", it.deliveries["1001"].owner_id)
        ], it.said()
