"""Prices of SMS and calls. The rates are settings; prices have two decimal places, like the ledger."""

import math
from decimal import ROUND_HALF_UP, Decimal

from django.conf import settings

CENT = Decimal("0.01")


def sms_credits(segments: int) -> Decimal:
    """Return the credits for one SMS of that many segments."""
    if segments < 0:
        raise ValueError(f"segments must not be negative: {segments}")
    return _rounded(settings.IRIS_SMS_CREDITS * segments)


def call_credits(seconds: float | Decimal) -> Decimal:
    """Return the credits for one answered call of that many seconds: the price of every started pulse, at least one.

    Fractions of a millisecond do not count: they are rounding errors, not measurements.
    """
    return _rounded(settings.IRIS_CALL_CREDITS * _pulses(seconds))


def paid_seconds(seconds: float | Decimal) -> int:
    """Return the seconds that are billed for a call of `seconds`: its duration, rounded up to whole pulses, at least one."""
    pulse: int = settings.IRIS_CALL_PULSE_SECONDS
    return _pulses(seconds) * pulse


def _pulses(seconds: float | Decimal) -> int:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"seconds must be finite and not negative: {seconds}")
    milliseconds = round(seconds * 1000)
    return max(1, -(-milliseconds // (settings.IRIS_CALL_PULSE_SECONDS * 1000)))


def _rounded(amount: Decimal) -> Decimal:
    """Round half up. Rounding is monotonic, so the rounded upper bound of a price is still an upper bound."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)
