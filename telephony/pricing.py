"""Prices of SMS and calls: the formulas, in Python and in SQL. Prices have two decimal places, like the ledger.

The rates of a destination come from a tariff (`telephony.tariffs`), or from the settings if no tariff applies.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from django.conf import settings

CENT = Decimal("0.01")
RATE_DIGITS, RATE_PLACES = 12, 4  # of the columns that store rates


class Rates(NamedTuple):
    """The rates of one destination, in credits: per SMS segment, and per started pulse of a call. None: no price."""

    sms: Decimal | None
    call: Decimal | None
    pulse_seconds: int


def rates_of_settings() -> Rates:
    """Return the rates that the settings have now."""
    return Rates(settings.IRIS_SMS_CREDITS, settings.IRIS_CALL_CREDITS, settings.IRIS_CALL_PULSE_SECONDS)


def sms_credits(segments: int, rates: Rates | None = None) -> Decimal:
    """Return the credits for one SMS of that many segments. Without rates, the rates of the settings apply.

    Raises ValueError if the destination has no price for SMS.
    """
    if segments < 0:
        raise ValueError(f"segments must not be negative: {segments}")
    rates = rates or rates_of_settings()
    if rates.sms is None:
        raise ValueError("This destination has no price for SMS.")
    return _rounded(rates.sms * segments)


def call_credits(seconds: float | Decimal, rates: Rates | None = None) -> Decimal:
    """Return the credits for one answered call of that many seconds: the price of every started pulse, at least one.

    Fractions of a millisecond do not count: they are rounding errors, not measurements. Without rates, the rates of the
    settings apply. Raises ValueError if the destination has no price for calls.
    """
    rates = rates or rates_of_settings()
    if rates.call is None:
        raise ValueError("This destination has no price for calls.")
    return _rounded(rates.call * _pulses(seconds, rates.pulse_seconds))


def paid_seconds(seconds: float | Decimal, rates: Rates | None = None) -> int:
    """Return the seconds that are billed for a call of `seconds`: its duration, rounded up to whole pulses, at least one."""
    pulse = (rates or rates_of_settings()).pulse_seconds
    return _pulses(seconds, pulse) * pulse


def call_credits_sql(*, pulse_credits: str, seconds: str, pulse_seconds: str) -> str:
    """Return the SQL of `call_credits`, given the SQL of its arguments, none of them null, in their order here.

    PostgreSQL rounds float8 half to even, as Python rounds floats, and numeric half up, as `_rounded` does.
    """
    milliseconds = f"round(({seconds})::float8 * 1000)::bigint"
    # Division of integers drops the fraction, so no length is one pulse.
    pulses = f"(({milliseconds} - 1) / (({pulse_seconds})::bigint * 1000) + 1)"
    return f"round(({pulse_credits})::numeric * {pulses}, 2)"


def _pulses(seconds: float | Decimal, pulse_seconds: int) -> int:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"seconds must be finite and not negative: {seconds}")
    milliseconds = round(seconds * 1000)
    return max(1, -(-milliseconds // (pulse_seconds * 1000)))


def _rounded(amount: Decimal) -> Decimal:
    """Round half up. Rounding is monotonic, so the rounded upper bound of a price is still an upper bound."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)
