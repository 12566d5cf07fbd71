"""The prices of a run's deliveries, by the prices that the run has frozen, and at most the credits that its hold covers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeVar

from campaigns.models import Run
from campaigns.runs.rules import rules_of
from telephony import tariffs
from telephony.models import Cause
from telephony.pricing import Rates, call_credits, paid_seconds, sms_credits

NOTHING = Decimal(0)


class Price(NamedTuple):
    """The maximum credits that a delivery may capture, and for a call the rates of its destination.

    `cause` gives the reason if the delivery is not made.
    """

    limit: Decimal
    pulse_credits: Decimal | None = None
    pulse_seconds: int | None = None
    cause: Cause = Cause.NONE


_NO_PRICE = Price(NOTHING, cause=Cause.NO_PRICE)
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class RunPrices:
    """The prices of a run's deliveries. A run of the previous release has no frozen prices. Then the settings apply."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._is_frozen = run.prices_id is not None
        self._prices = (
            tariffs.prices_of_settings() if run.prices_id is None else tariffs.frozen_prices(run.prices_id)
        )
        self._paid_tries = rules_of(run).paid_tries
        # By the place of the rates and the size of the message. A chunk of recipients has few of both.
        self._calls: dict[tuple[int, float | None], Price] = {}
        self._sms: dict[tuple[int, int], Price] = {}
        self._bounds: dict[int, tuple[Decimal, Decimal]] = {}

    def of_call(self, to: str, seconds: float | None) -> Price:
        """Return the price of a call that lasts `seconds`; None if there is nothing to play."""
        place = self._prices.place_of(to)
        return _remembered(self._calls, (place, seconds), lambda: self._price_call(place, seconds))

    def of_sms(self, to: str, segments: int) -> Price:
        place = self._prices.place_of(to)
        return _remembered(self._sms, (place, segments), lambda: self._price_sms(place, segments))

    def call_bound(self, to: str) -> Price:
        """Return the price of the longest call that the hold covers."""
        place = self._prices.place_of(to)
        rates = self._prices.at(place)
        return _NO_PRICE if rates.call is None else self._of_call(rates, self._bounds_at(place)[0])

    def affordable(self, numbers: Sequence[str], credits: Decimal) -> int:
        """Return for how many of these recipients, counted from the first, the credits suffice in any case."""
        for count, to in enumerate(numbers):
            call, sms = self._bounds_at(self._prices.place_of(to))
            credits -= call * self._paid_tries + sms
            if credits < 0:
                return count
        return len(numbers)

    def _price_call(self, place: int, seconds: float | None) -> Price:
        rates = self._prices.at(place)
        if rates.call is None:
            return _NO_PRICE
        if seconds is None:
            return self._of_call(rates, NOTHING)
        cost = call_credits(seconds, rates)
        limit = self._bounds_at(place)[0]
        cause = Cause.TOO_LONG if self._is_too_long(seconds, rates, cost) else Cause.NONE
        return self._of_call(rates, min(cost, limit))._replace(cause=cause)

    def _price_sms(self, place: int, segments: int) -> Price:
        rates = self._prices.at(place)
        if rates.sms is None:
            return _NO_PRICE
        return Price(min(sms_credits(segments, rates), self._bounds_at(place)[1]))

    def _of_call(self, rates: Rates, limit: Decimal) -> Price:
        if not self._is_frozen:
            return Price(limit)
        return Price(limit, rates.call, rates.pulse_seconds)

    def _bounds_at(self, place: int) -> tuple[Decimal, Decimal]:
        """Return the maximum cost of a call and of an SMS to destinations at this place."""
        return _remembered(self._bounds, place, lambda: self._bound(place))

    def _bound(self, place: int) -> tuple[Decimal, Decimal]:
        run = self._run
        if not self._is_frozen:
            return run.call_limit, run.sms_limit
        return bounds(self._prices.at(place), seconds=run.longest_call, segments=run.most_segments)

    def _is_too_long(self, seconds: float, rates: Rates, cost: Decimal) -> bool:
        """Return whether a recording is longer than the run's hold pays for.

        The bound covers every text (`call_length`), so this happens only if the voice has changed since the run began, or
        if the bound is wrong. The settings may change during a run without frozen prices, so its seconds are compared.
        Runs of older releases have only the price.
        """
        run = self._run
        if self._is_frozen:
            longest = run.longest_call or 0.0
            return paid_seconds(seconds, rates) > paid_seconds(longest, rates)
        return cost > run.call_limit if run.call_seconds is None else paid_seconds(seconds) > run.call_seconds


def bounds(rates: Rates, *, seconds: float | None, segments: int | None) -> tuple[Decimal, Decimal]:
    """Return the maximum cost of a call of `seconds` and an SMS of `segments`. None stands for no calls or no SMS.

    A channel without a price costs nothing, because such deliveries are not made.
    """
    call = NOTHING if seconds is None or rates.call is None else call_credits(seconds, rates)
    sms = NOTHING if segments is None or rates.sms is None else sms_credits(segments, rates)
    return call, sms


def _remembered(known: dict[_Key, _Value], key: _Key, compute: Callable[[], _Value]) -> _Value:
    if key not in known:
        known[key] = compute()
    return known[key]
