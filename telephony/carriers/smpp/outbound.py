"""An SMS as the PDUs that carry it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import phonenumbers
from django.conf import settings
from django.utils import timezone

from telephony.carriers.base import Submission
from telephony.carriers.smpp import encoding, protocol
from telephony.carriers.smpp.message import Message
from telephony.carriers.smpp.protocol import MESSAGE_PAYLOAD
from telephony.models import Channel
from telephony.numbering import to_e164

try:
    import smpp34
except ImportError:  # the extra iris[smpp]; the carrier says so
    smpp34 = None  # type: ignore[assignment]

INTERNATIONAL, NATIONAL, ALPHANUMERIC = 1, 2, 5  # types of number


class Unsendable(Exception):
    """This can never be an SMS; the sentence says why."""


class Encoder:
    """Puts submissions into PDUs as the trunk's options say."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._whole = options["concatenation"] == "payload"
        self._encode = partial(
            smpp34.SubmitSm,
            service_type=options["service_type"],
            registered_delivery=1 if options["receipts"] else 0,
            validity_period=_relative(options["validity_seconds"]),
        )

    def message(self, one: Submission, *, repeats: bool = False) -> Message:
        """`repeats`: the SMSC perhaps has it already. Raises Unsendable."""
        if one.channel != Channel.SMS:
            raise Unsendable("SMPP carries SMS, and no calls.")
        if not one.text:
            raise Unsendable("The message has no text.")
        bodies, coding, payload = self._bodies(one)
        source, ton, npi = self._source(one.caller)
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
            if repeats and len(bodies) == 1:  # one in several parts would replace its own
                replacing = encode(bodies[0], replace_if_present_flag=1).encode()
        except (ValueError, OverflowError, smpp34.SmppError, phonenumbers.NumberParseException) as error:
            raise Unsendable(f"SMPP cannot carry it: {error}") from error
        # The lease is over at `valid_until`: what was not written by then is another attempt's.
        left = (one.valid_until - timezone.now()).total_seconds()
        return Message(
            key=one.key,
            attempt=one.attempt,
            pdus=pdus,
            until=time.monotonic() + left,
            recall=self._recall((source, ton, npi), destination) if repeats else b"",
            replacing=replacing,
            insists=self._options["repeat"] == "always",
        )

    def _recall(self, source: tuple[str, int, int], destination: tuple[str, int, int]) -> bytes:
        """The cancel_sm of all that the SMSC has for a number; it lacks only its sequence number."""
        body = protocol.cancel_body(
            service_type=self._options["service_type"],
            source=source,
            destination=destination,
        )
        return protocol.pdu(protocol.CANCEL_SM, sequence=0, body=body)

    def _bodies(self, one: Submission) -> tuple[list[bytes], int, bytes]:
        """The short messages, their data_coding, and what goes into the TLV instead."""
        if not self._whole:
            return *encoding.parts(one.text, reference=int(one.key)), b""
        octets, coding = encoding.encode(one.text)
        if len(octets) <= (160 if coding == encoding.GSM else 140):
            return [octets], coding, b""
        return [b""], coding, octets

    def _source(self, caller: str) -> tuple[str, int, int]:
        """The sender's address, its type and its plan."""
        source: str = self._options["source"] or to_e164(caller) or caller
        digits = source.removeprefix("+")
        if digits.isdigit():
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
        """The recipient's address, its type and its plan. Abroad, a number without country code is somebody else's here."""
        ton, npi = self._options["dest_ton"], self._options["dest_npi"]
        if ton == NATIONAL:
            number = phonenumbers.parse(to)
            if number.country_code == phonenumbers.country_code_for_region(settings.IRIS_PHONE_REGION):
                return phonenumbers.national_significant_number(number), ton, npi
            ton = INTERNATIONAL
        return to.removeprefix("+"), ton, npi


def _relative(seconds: int) -> str:
    """A length of time as SMPP writes it (3.4, 7.1.1): `YYMMDDhhmmsstnnR`."""
    if not seconds:
        return ""
    length = timedelta(seconds=seconds)
    minutes, second = divmod(length.seconds, 60)
    return f"0000{length.days:02d}{minutes // 60:02d}{minutes % 60:02d}{second:02d}000R"
