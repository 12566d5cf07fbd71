"""The SIP carrier: `BACKEND = "telephony.carriers.sip.SipCarrier"`. It needs the extra `iris[sip]` (docs/sip.md)."""

from telephony.carriers.sip.carrier import SipCarrier

__all__ = ["SipCarrier"]
