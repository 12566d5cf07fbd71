"""Calls over SIP: `BACKEND = "telephony.carriers.sip.SipCarrier"`, with the extra `iris[sip]` (docs/sip.md)."""

from telephony.carriers.sip.carrier import SipCarrier

__all__ = ["SipCarrier"]
