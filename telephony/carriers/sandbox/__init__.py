"""A phone network in a table: `BACKEND = "telephony.carriers.sandbox.SandboxCarrier"`, the default carrier."""

from telephony.carriers.sandbox.carrier import SandboxCarrier

__all__ = ["SandboxCarrier"]
