"""The telephone side of iris: numbers that can be bought, trunks, and every single call or SMS."""

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
from telephony.models.restores import RestoreAnchor, RestoreGuard
from telephony.models.sandbox import SandboxMessage
from telephony.models.smpp import Bind, InboundPart, Repetition
from telephony.models.trunks import Trunk, Turn
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
    "MessagePart",
    "OptOut",
    "PhoneNumber",
    "Purpose",
    "Repetition",
    "RestoreAnchor",
    "RestoreGuard",
    "SandboxMessage",
    "Trunk",
    "Turn",
    "UnmatchedReport",
    "Voice",
]
