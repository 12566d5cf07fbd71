"""The models of telephony: phone numbers, trunks, deliveries, voices and inbound messages."""

from telephony.models.deliveries import (
    FINAL,
    Cause,
    Channel,
    Delivery,
    DeliveryStatus,
    MessagePart,
    Purpose,
    UnmatchedReport,
)
from telephony.models.numbers import PhoneNumber
from telephony.models.outcomes import AccountOutcomeCount, OutcomeChunk, OutcomeCount
from telephony.models.replies import BlockedNumber, InboundMessage, OptOut, OptOutWay
from telephony.models.reporting import LateReport, PartReporting
from telephony.models.restores import RestoreAnchor, RestoreGuard
from telephony.models.sandbox import SandboxFaults, SandboxMessage
from telephony.models.seeds import SeedNumber, SeedSms
from telephony.models.senders import Sender, SenderOperator, SenderStatus
from telephony.models.smpp import Bind, InboundPart, PastBind, Repetition
from telephony.models.tariffs import PriceList, Tariff, TariffOfAccount, TariffPrice
from telephony.models.trunks import PauseCause, TimeSlice, Trunk
from telephony.models.voices import Audio, Voice

__all__ = [
    "AccountOutcomeCount",
    "BlockedNumber",
    "Audio",
    "Bind",
    "Cause",
    "Channel",
    "Delivery",
    "DeliveryStatus",
    "FINAL",
    "InboundMessage",
    "InboundPart",
    "LateReport",
    "MessagePart",
    "OptOut",
    "OptOutWay",
    "OutcomeChunk",
    "OutcomeCount",
    "PartReporting",
    "PastBind",
    "PauseCause",
    "PhoneNumber",
    "PriceList",
    "Purpose",
    "Repetition",
    "RestoreAnchor",
    "RestoreGuard",
    "SandboxFaults",
    "SandboxMessage",
    "SeedNumber",
    "SeedSms",
    "Sender",
    "SenderOperator",
    "SenderStatus",
    "Tariff",
    "TariffOfAccount",
    "TariffPrice",
    "TimeSlice",
    "Trunk",
    "UnmatchedReport",
    "Voice",
]
