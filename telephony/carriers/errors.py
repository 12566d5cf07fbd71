"""Errors with which a carrier refuses a whole batch. Any other exception makes the batch unknown."""

from __future__ import annotations


class CarrierError(Exception):
    """The whole batch failed, and the carrier certainly accepted none of it.

    `batch_text` is stored with each delivery of the batch. It replaces `message` if the message concerns only one of them.
    """

    def __init__(self, message: str = "", *, batch_text: str = "") -> None:
        super().__init__(message)
        self.batch_text = batch_text or message


class Misconfigured(CarrierError):
    """Our credentials, sender or address are wrong. The trunk is paused (`telephony.engine.circuit_breaker`)."""


class OutOfFunds(CarrierError):
    """The operator's account at the carrier is empty. The trunk is paused (`telephony.engine.circuit_breaker`)."""


class Throttled(CarrierError):
    """The carrier asks for a slower pace. The batch is retried after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float = 1.0, batch_text: str = "") -> None:
        super().__init__(message, batch_text=batch_text)
        self.retry_after = retry_after


class Unreachable(CarrierError):
    """No connection was made, so nothing was sent. The batch is retried later."""
