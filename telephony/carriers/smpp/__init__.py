"""SMS over SMPP 3.4: `BACKEND = "telephony.carriers.smpp.SmppCarrier"`."""

from telephony.carriers.smpp.carrier import SmppCarrier

__all__ = ["SmppCarrier"]
