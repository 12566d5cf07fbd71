"""What a message costs. The rates are settings; prices have two decimal places, as the books do."""

import math
from decimal import ROUND_HALF_UP, Decimal

from django.conf import settings

CENT = Decimal("0.01")


def sms_credits(segments: int) -> Decimal:
    """Credits for one SMS of that many segments."""
    if segments < 0:
        raise ValueError(f"segments must not be negative: {segments}")
    return _rounded(settings.IRIS_SMS_CREDITS * segments)


def call_credits(seconds: float | Decimal) -> Decimal:
    """Credits for one answered call of that many seconds: every pulse begun counts, and there is at least
    one.

    Parts of a millisecond do not count: they come from arithmetic, not from anybody's watch.
    """
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"seconds must be finite and not negative: {seconds}")
    milliseconds = round(seconds * 1000)
    pulses = max(1, -(-milliseconds // (settings.IRIS_CALL_PULSE_SECONDS * 1000)))
    return _rounded(settings.IRIS_CALL_CREDITS * pulses)


def _rounded(amount: Decimal) -> Decimal:
    """Half up, which keeps the order of prices: the bound that was held stays a bound."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)
