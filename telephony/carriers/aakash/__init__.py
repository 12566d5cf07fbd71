"""SMS in Nepal over Aakash SMS and its resellers: `BACKEND = "telephony.carriers.aakash.AakashCarrier"`."""

from telephony.carriers.aakash.carrier import AakashCarrier

__all__ = ["AakashCarrier"]
