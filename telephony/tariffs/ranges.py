"""Divide all phone numbers into ranges with the same rates, so that binary search finds the longest prefix.

A number becomes an integer: its digits, filled up with zeros to 15, and its length as the last four bits. All numbers with a
prefix are then one range of integers, and ranges of longer prefixes lie within those of shorter ones. Python searches with
`bisect`, and PostgreSQL with `width_bucket`, which returns the same place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from telephony.models.tariffs import MAX_PREFIX_DIGITS as DIGITS
from telephony.pricing import Rates

_LENGTHS = 16  # more than DIGITS


class Ranges(NamedTuple):
    """`places[n]` is the place of the rates in `rates` for the numbers below `starts[n]` and not below `starts[n - 1]`."""

    starts: list[int]
    places: list[int]
    rates: list[Rates]


def position(to: str) -> int:
    """Return the integer of a number in E.164."""
    digits = to[1 : DIGITS + 1]
    return int(digits.ljust(DIGITS, "0")) * _LENGTHS + len(digits)


def position_sql(to: str) -> str:
    """Return the SQL of `position`, given the SQL of a number in E.164."""
    return (
        f"(rpad(substr({to}, 2, {DIGITS}), {DIGITS}, '0')::bigint * {_LENGTHS}"
        f" + least(length({to}) - 1, {DIGITS}))"
    )


def divide(prices: Mapping[str, Rates], *, others: Rates) -> Ranges:
    """Return the ranges for prices by prefix. `others` are the rates of all other numbers, at place 0.

    If a prefix has a price for only one channel, the price of the other channel is that of the next shorter prefix, or of
    `others`.
    """
    rates: dict[Rates, int] = {others: 0}
    starts: list[int] = []
    places: list[int] = [0]

    def begin(start: int, place: int) -> None:
        if starts and starts[-1] == start:
            places[-1] = place
        else:
            starts.append(start)
            places.append(place)

    enclosing: list[tuple[int, int, Rates]] = []  # end, place and rates; the longest prefix is the last
    for prefix in sorted(prices):  # shorter prefixes come before the longer ones within them
        start, end = _range_of(prefix)
        while enclosing and enclosing[-1][0] <= start:
            ended, *_ = enclosing.pop()
            begin(ended, enclosing[-1][1] if enclosing else 0)
        merged = _over(prices[prefix], enclosing[-1][2] if enclosing else others)
        place = rates.setdefault(merged, len(rates))
        begin(start, place)
        enclosing.append((end, place, merged))
    while enclosing:
        ended, *_ = enclosing.pop()
        begin(ended, enclosing[-1][1] if enclosing else 0)
    return Ranges(starts, places, list(rates))


def _range_of(prefix: str) -> tuple[int, int]:
    """Return the first integer of a number with this prefix, and the first integer after all of them."""
    unit = 10 ** (DIGITS - len(prefix))
    return int(prefix) * unit * _LENGTHS + len(prefix), (int(prefix) + 1) * unit * _LENGTHS


def _over(own: Rates, enclosing: Rates) -> Rates:
    sms = enclosing.sms if own.sms is None else own.sms
    if own.call is None:
        return Rates(sms, enclosing.call, enclosing.pulse_seconds)
    return Rates(sms, own.call, own.pulse_seconds)
