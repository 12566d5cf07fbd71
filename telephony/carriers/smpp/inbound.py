"""Read inbound `deliver_sm` and `data_sm` PDUs: delivery receipts, and SMS that people sent."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from iris.storable import storable
from telephony.carriers.base import CarrierEvent, InboundSms
from telephony.carriers.smpp import encoding, protocol, receipts
from telephony.carriers.smpp.outbound import INTERNATIONAL
from telephony.carriers.smpp.protocol import Pdu
from telephony.carriers.smpp.reassembly import Part
from telephony.models import Cause, DeliveryStatus
from telephony.numbering import to_e164

try:
    import smpp34
except ImportError:  # smpp34 is in the extra iris[smpp]; the carrier reports if it is missing
    smpp34 = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

MAX_LOGGED_STATES = 100
MAX_MISSING = 254  # octets that sm_length counts, but that were not sent


@dataclass(frozen=True, slots=True)
class _Inbound:
    """The fields that a `deliver_sm` and a `data_sm` have in common. `tlvs` are values by tag.

    `destination` is the address as the SMSC wrote it, with its type. Only SMS from people need it as a phone number.
    """

    sender: str
    destination: str
    destination_ton: int
    esm_class: int
    data_coding: int
    octets: bytes
    tlvs: Mapping[int, bytes]


class InboundReader:
    """Reads `deliver_sm` and `data_sm` PDUs according to the trunk's options."""

    def __init__(self, alias: str, settings: Mapping[str, Any]) -> None:
        self._alias = alias
        self._ids = receipts.MessageIdFormat(settings["message_ids"])
        self._tlv_as_text = settings["tlv_ids_as_text"]
        self._logged_states: set[str] = set()  # unknown states that were already logged
        self._states = {word.upper(): state for word, state in settings["states"].items()}

    def item(self, pdu: Pdu) -> CarrierEvent | InboundSms | Part | None:
        """Return a receipt, an SMS or a part of one.

        Return None if the PDU cannot be read. The caller still acknowledges it, or the SMSC would send it again for ever.
        """
        try:
            return self._read(_data_sm(pdu) if pdu.command == protocol.DATA_SM else _deliver_sm(pdu))
        except Exception as error:
            # The rest of the PDU is left out, because it has a phone number and perhaps a text.
            why = str(error) if type(error) is ValueError else type(error).__name__
            log.warning(
                "%s: an inbound message of %d bytes cannot be read (%s). Its header: %s",
                self._alias,
                len(pdu.raw),
                why,
                pdu.raw[: protocol.HEADER.size].hex(),
            )
            return None

    def _read(self, message: _Inbound) -> CarrierEvent | InboundSms | Part | None:
        tlvs, octets = message.tlvs, message.octets
        state = tlvs.get(protocol.MESSAGE_STATE)
        receipt = receipts.read(
            octets=octets,
            esm_class=message.esm_class,
            message_id=_text(tlvs.get(protocol.RECEIPTED_MESSAGE_ID)),
            state=int.from_bytes(state, "big") if state else None,
            ids=self._ids,
            tlv_as_text=self._tlv_as_text,
            states=self._states,
        )
        if receipt is None:
            return self._sms(message)
        if receipt.state not in receipts.FINAL_STATES and receipt.state not in self._logged_states:
            log.warning(
                "%s: a receipt has the unknown state %r, so the result of the SMS remains open. Set its meaning in the"
                " option `states`.",
                self._alias,
                receipt.state,
            )
            self._logged_states = {*list(self._logged_states)[:MAX_LOGGED_STATES], receipt.state}
        return _event(receipt, number=message.sender)

    def _sms(self, message: _Inbound) -> InboundSms | Part:
        octets = message.octets
        to = _normalised(message.destination, message.destination_ton)
        part_header = (
            encoding.part_header(octets)
            if message.esm_class & encoding.HAS_HEADER
            else _part_header_of_tlvs(message.tlvs)
        )
        if part_header is None or not 1 <= part_header.number <= part_header.total or part_header.total == 1:
            text = encoding.decode(octets, data_coding=message.data_coding, esm_class=message.esm_class)
            return InboundSms(sender=message.sender, to=to, text=text, at=timezone.now())
        return Part(
            sender=message.sender,
            to=to,
            reference=part_header.reference,
            total=part_header.total,
            number=part_header.number,
            coding=message.data_coding,
            octets=encoding.without_header(octets, esm_class=message.esm_class),
            at=timezone.now(),
        )


def _event(receipt: receipts.Receipt, *, number: str) -> CarrierEvent:
    """Return the report in a receipt. Raises ValueError if the receipt has neither an id nor a state."""
    if not receipt.ref and not receipt.state:
        raise ValueError("it is a receipt without an id and without a state")
    now = datetime.now(UTC)
    # An intermediate state leaves the result open, but it shows that the SMSC accepted the message.
    status, cause = receipt.final_status or (DeliveryStatus.SUBMITTED, Cause.NONE)
    words = receipt.words
    if status == DeliveryStatus.SUBMITTED:
        # The next report may come only after hours, so the text shows when this one came.
        words = f"{words} ({timezone.localtime(now):%d %b %H:%M:%S})"
    return CarrierEvent(
        ref=storable(receipt.ref),
        written_ref=storable(receipt.written_ref),
        number=number,
        status=status,
        cause=cause,
        text=words,
        at=now,
    )


def _deliver_sm(pdu: Pdu) -> _Inbound:
    is_cut = False
    try:
        message = smpp34.decode(pdu.raw)
    except smpp34.SmppError:
        # Some SMSCs count a NUL in sm_length that they do not send.
        is_cut = True
        message = smpp34.decode(protocol.with_length(pdu.raw + bytes(MAX_MISSING)))
    if not isinstance(message, smpp34.DeliverSm):
        raise ValueError("it is not a deliver_sm")
    octets = _beginning_of(message.short_message, pdu.raw) if is_cut else message.short_message
    tlvs = {} if is_cut else {tlv.tag: tlv.value for tlv in message.tlvs}
    return _Inbound(
        sender=_normalised(message.source_addr, message.source_addr_ton),
        destination=message.destination_addr,
        destination_ton=message.dest_addr_ton,
        esm_class=message.esm_class,
        data_coding=message.data_coding,
        octets=octets or tlvs.get(protocol.MESSAGE_PAYLOAD, b""),
        tlvs=tlvs,
    )


def _beginning_of(padded: bytes, raw: bytes) -> bytes:
    """Return the longest beginning of a padded short_message with which the received PDU ends."""
    return next(padded[:end] for end in range(len(padded), -1, -1) if raw.endswith(padded[:end]))


def _data_sm(pdu: Pdu) -> _Inbound:
    message = protocol.data_sm(pdu.raw)
    return _Inbound(
        sender=_normalised(message.source_addr, message.source_addr_ton),
        destination=message.destination_addr,
        destination_ton=message.dest_addr_ton,
        esm_class=message.esm_class,
        data_coding=message.data_coding,
        octets=message.tlvs.get(protocol.MESSAGE_PAYLOAD, b""),
        tlvs=message.tlvs,
    )


def _text(value: bytes | None) -> str | None:
    """Return the text of a TLV up to its first NUL, None if there is no TLV or no text."""
    return (value or b"").partition(b"\0")[0].decode("latin-1").strip() or None


def _part_header_of_tlvs(tlvs: Mapping[int, bytes]) -> encoding.PartHeader | None:
    """Return the place of a part from the sar_* TLVs, which some SMSCs send instead of a user data header."""
    names = (protocol.SAR_REFERENCE, protocol.SAR_TOTAL, protocol.SAR_NUMBER)
    values = [int.from_bytes(tlvs[name], "big") for name in names if name in tlvs]
    return encoding.PartHeader(*values) if len(values) == len(names) else None


def _normalised(address: str, ton: int) -> str:
    """Return a phone number in E.164. Return a short code or a name unchanged."""
    address = storable(address).strip()[:32]
    forms = [address, "+" + address]
    if ton == INTERNATIONAL:
        forms.reverse()
    return next(filter(None, map(to_e164, forms)), address)
