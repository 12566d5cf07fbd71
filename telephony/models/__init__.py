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
from telephony.models.replies import InboundMessage, OptOut
from telephony.models.reporting import LateReport, PartReporting
from telephony.models.restores import RestoreAnchor, RestoreGuard
from telephony.models.sandbox import SandboxMessage
from telephony.models.senders import Sender, SenderOperator, SenderStatus
from telephony.models.smpp import Bind, InboundPart, PastBind, Repetition
from telephony.models.tariffs import PriceList, Tariff, TariffOfAccount, TariffPrice
from telephony.models.trunks import TimeSlice, Trunk
from telephony.models.voices import Audio, Voice

__all__ = [
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
    "PartReporting",
    "PastBind",
    "PhoneNumber",
    "PriceList",
    "Purpose",
    "Repetition",
    "RestoreAnchor",
    "RestoreGuard",
    "SandboxMessage",
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
