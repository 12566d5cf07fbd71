"""The SMPP 3.4 carrier for SMS: `BACKEND = "telephony.carriers.smpp.SmppCarrier"`. It needs the extra `iris[smpp]`."""

from telephony.carriers.smpp.carrier import SmppCarrier

__all__ = ["SmppCarrier"]
