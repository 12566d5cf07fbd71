"""What a carrier's refusal of a whole submission means for what happens next. Anything else is "unknown"."""

from __future__ import annotations


class CarrierError(Exception):
    """The submission failed as a whole, and surely none of it was taken."""


class Misconfigured(CarrierError):
    """Our credentials, sender or address are wrong: the trunk rests until its operator has mended it."""


class OutOfFunds(CarrierError):
    """The operator's account at the carrier is empty: the trunk rests."""


class Throttled(CarrierError):
    """Too fast: the same again, `retry_after` seconds later."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(CarrierError):
    """No connection was made, so surely nothing was sent: later."""
