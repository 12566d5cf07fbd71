"""Read inbound `deliver_sm` PDUs: delivery receipts, and SMS that people sent."""

from __future__ import annotations

import logging
from collections.abc import Mapping
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
except ImportError:  # the extra iris[smpp]; the carrier says so
    smpp34 = None  # type: ignore[assignment]

log = logging.getLogger(__name__)


class DeliverSmReader:
    """Reads `deliver_sm` PDUs according to the trunk's options."""

    def __init__(self, alias: str, settings: Mapping[str, Any]) -> None:
        self._alias = alias
        self._ids = receipts.MessageIdFormat(settings["message_ids"])
        self._tlv_as_text = settings["tlv_ids_as_text"]

    def item(self, pdu: Pdu) -> CarrierEvent | InboundSms | Part | None:
        """Return a receipt, an SMS or a part of one.

        Return None if the PDU cannot be read. The caller still acknowledges it, or the SMSC would send it again for ever.
        """
        try:
            return self._read(pdu)
        except Exception as error:
            log.warning("%s: an inbound message cannot be read (%s): %s", self._alias, error, pdu.raw.hex())
            return None

    def _read(self, pdu: Pdu) -> CarrierEvent | InboundSms | Part | None:
        message = smpp34.decode(pdu.raw)
        if not isinstance(message, smpp34.DeliverSm):
            raise ValueError("it is not a deliver_sm")
        tlvs = {tlv.tag: tlv for tlv in message.tlvs}
        payload = tlvs.get(protocol.MESSAGE_PAYLOAD)
        octets = payload.value if payload and not message.short_message else message.short_message
        text = encoding.decode(octets, data_coding=message.data_coding, esm_class=message.esm_class)
        sender = _normalised(message.source_addr, message.source_addr_ton)
        message_id, state = tlvs.get(protocol.RECEIPTED_MESSAGE_ID), tlvs.get(protocol.MESSAGE_STATE)
        receipt = receipts.read(
            text=text if message.data_coding == encoding.UCS2 else octets.decode("latin-1"),
            esm_class=message.esm_class,
            message_id=message_id.as_string() if message_id else None,
            state=state.as_int() if state else None,
            ids=self._ids,
            tlv_as_text=self._tlv_as_text,
        )
        if receipt is None:
            to = _normalised(message.destination_addr, message.dest_addr_ton)
            part_header = (
                encoding.part_header(octets)
                if message.esm_class & encoding.HAS_HEADER
                else _part_header_of_tlvs(tlvs)
            )
            if (
                part_header is None
                or not 1 <= part_header.number <= part_header.total
                or part_header.total == 1
            ):
                return InboundSms(sender=sender, to=to, text=text, at=timezone.now())
            return Part(
                sender=sender,
                to=to,
                reference=part_header.reference,
                total=part_header.total,
                number=part_header.number,
                coding=message.data_coding,
                octets=encoding.without_header(octets, esm_class=message.esm_class),
                at=timezone.now(),
            )
        if not receipt.state:
            raise ValueError("it is a receipt without a state")
        # An intermediate state decides nothing, but it shows that the SMSC accepted the message.
        status, cause = receipt.final_status or (DeliveryStatus.SUBMITTED, Cause.NONE)
        words = receipt.state
        if status == DeliveryStatus.FAILED and receipt.error:
            words += f", error {receipt.error}"
        return CarrierEvent(
            ref=receipt.ref, number=sender, status=status, cause=cause, text=words, at=timezone.now()
        )


def _part_header_of_tlvs(tlvs: Mapping[int, Any]) -> encoding.PartHeader | None:
    """Return the place of a part from the sar_* TLVs, which some SMSCs send instead of a user data header."""
    names = (protocol.SAR_REFERENCE, protocol.SAR_TOTAL, protocol.SAR_NUMBER)
    values = [int.from_bytes(tlvs[name].value, "big") for name in names if name in tlvs]
    return encoding.PartHeader(*values) if len(values) == len(names) else None


def _normalised(address: str, ton: int) -> str:
    """Return a phone number in E.164. Return a short code or a name unchanged."""
    address = storable(address).strip()[:32]
    forms = [address, "+" + address]
    if ton == INTERNATIONAL:
        forms.reverse()
    return next(filter(None, map(to_e164, forms)), address)
