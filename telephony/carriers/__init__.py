"""The ways to reach a phone: one module or package for each kind of carrier, behind the interface in `base`."""

from telephony.carriers.base import Carrier, SessionCarrier
from telephony.carriers.registry import get_carrier

__all__ = ["Carrier", "SessionCarrier", "get_carrier"]
