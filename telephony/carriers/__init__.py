"""Carriers, the ways to reach a phone. Each kind has its own module or package behind the interface in `base`."""

from telephony.carriers.base import Carrier, SessionCarrier
from telephony.carriers.registry import get_carrier

__all__ = ["Carrier", "SessionCarrier", "get_carrier"]
