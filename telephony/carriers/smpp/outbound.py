"""Encode an SMS as the PDUs that carry it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import phonenumbers
from django.conf import settings

from telephony.carriers.base import Submission
from telephony.carriers.smpp import encoding, protocol
from telephony.carriers.smpp.message import OutgoingSms
from telephony.carriers.smpp.protocol import MESSAGE_PAYLOAD
from telephony.models import Channel
from telephony.numbering import to_e164

try:
    import smpp34
except ImportError:  # smpp34 is in the extra iris[smpp]; the carrier reports if it is missing
    smpp34 = None  # type: ignore[assignment]

INTERNATIONAL, NATIONAL, NETWORK_SPECIFIC, ALPHANUMERIC = 1, 2, 3, 5  # types of number


class Unsendable(Exception):
    """The submission cannot be sent as an SMS at all. The message gives the reason."""


class SubmitSmEncoder:
    """Encodes submissions as submit_sm PDUs according to the trunk's options."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._uses_payload = options["concatenation"] == "payload"
        self._encode = partial(
            smpp34.SubmitSm,
            service_type=options["service_type"],
            registered_delivery=1 if options["receipts"] else 0,
            validity_period=_relative_time(options["validity_seconds"]),
        )

    def message(self, one: Submission, *, repeats: bool = False) -> OutgoingSms:
        """Encode a submission. `repeats` says that the SMSC may already have it. Raises Unsendable."""
        if one.channel != Channel.SMS:
            raise Unsendable("SMPP carries SMS only, not calls.")
        if not one.text:
            raise Unsendable("The message has no text.")
        bodies, coding, payload = self._bodies(one)
        source, ton, npi = self._source(one.sender, one.caller)
        try:
            destination = self._destination(one.to)
            encode = partial(
                self._encode,
                source,
                destination[0],
                source_addr_ton=ton,
                source_addr_npi=npi,
                dest_addr_ton=destination[1],
                dest_addr_npi=destination[2],
                esm_class=encoding.HAS_HEADER if len(bodies) > 1 else 0,
                data_coding=coding,
                tlvs=[smpp34.Tlv(MESSAGE_PAYLOAD, payload)] if payload else [],
            )
            pdus = [encode(body).encode() for body in bodies]
            replacing = b""
            if repeats and len(bodies) == 1:  # parts of one message would replace each other
                replacing = encode(bodies[0], replace_if_present_flag=1).encode()
        except (ValueError, OverflowError, smpp34.SmppError, phonenumbers.NumberParseException) as error:
            raise Unsendable(f"SMPP cannot carry it: {error}") from error
        # The lease ends when the validity does. Another attempt may send the rest after that.
        left = one.seconds_left()
        return OutgoingSms(
            key=one.key,
            attempt=one.attempt,
            sender=one.sender,
            pdus=pdus,
            until=time.monotonic() + left,
            cancel=self._cancel((source, ton, npi), destination) if repeats else b"",
            replacing=replacing,
            always_sends=self._options["repeat"] == "always",
        )

    def _cancel(self, source: tuple[str, int, int], destination: tuple[str, int, int]) -> bytes:
        """Return the cancel_sm of everything the SMSC has for a number, without its sequence number."""
        body = protocol.cancel_body(
            service_type=self._options["service_type"],
            source=source,
            destination=destination,
        )
        return protocol.pdu(protocol.CANCEL_SM, sequence=0, body=body)

    def _bodies(self, one: Submission) -> tuple[list[bytes], int, bytes]:
        """Return the short messages, their data_coding, and the value of the TLV message_payload (empty if unused)."""
        if not self._uses_payload:
            return *encoding.parts(one.text, reference=int(one.key)), b""
        octets, coding = encoding.encode(one.text)
        if len(octets) <= encoding.MAX_SINGLE_OCTETS[coding]:
            return [octets], coding, b""
        return [b""], coding, octets

    def _source(self, sender: str, caller: str) -> tuple[str, int, int]:
        """Return the sender's address, its type (TON) and its plan (NPI).

        An approved sender takes precedence over the trunk's own.
        """
        source: str = sender or self._options["source"] or to_e164(caller) or caller
        digits = source.removeprefix("+")
        if sender and digits == sender and digits.isdigit():
            ton, npi = NETWORK_SPECIFIC, 0
        elif digits.isdigit():
            ton, npi = INTERNATIONAL if source.startswith("+") else 0, 1
        else:
            ton, npi = ALPHANUMERIC if source else 0, 0
        chosen_ton, chosen_npi = self._options["source_ton"], self._options["source_npi"]
        return (
            digits[:20],
            ton if chosen_ton is None else chosen_ton,
            npi if chosen_npi is None else chosen_npi,
        )

    def _destination(self, to: str) -> tuple[str, int, int]:
        """Return the recipient's address, its type (TON) and its plan (NPI).

        A foreign number keeps its country code. Without the code, it would be somebody else's number in this country.
        """
        ton, npi = self._options["dest_ton"], self._options["dest_npi"]
        if ton == NATIONAL:
            number = phonenumbers.parse(to)
            if number.country_code == phonenumbers.country_code_for_region(settings.IRIS_PHONE_REGION):
                return phonenumbers.national_significant_number(number), ton, npi
            ton = INTERNATIONAL
        return to.removeprefix("+"), ton, npi


def _relative_time(seconds: int) -> str:
    """Return a duration in SMPP's relative time format (3.4, 7.1.1): `YYMMDDhhmmsstnnR`."""
    if not seconds:
        return ""
    length = timedelta(seconds=seconds)
    minutes, second = divmod(length.seconds, 60)
    return f"0000{length.days:02d}{minutes // 60:02d}{minutes % 60:02d}{second:02d}000R"
