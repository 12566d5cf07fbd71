"""The default carrier, a simulated phone network: `BACKEND = "telephony.carriers.sandbox.SandboxCarrier"`."""

from telephony.carriers.sandbox.carrier import SandboxCarrier

__all__ = ["SandboxCarrier"]
