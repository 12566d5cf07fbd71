"""Freeze the prices of an account as a list, and look up what a number costs.

A look-up needs no query: lists never change, so a process reads each list only once.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from uuid import UUID

from accounts.models import Account
from telephony.models import Channel, PriceList, Tariff
from telephony.pricing import Rates, rates_of_settings
from telephony.tariffs import ranges
from telephony.tariffs.choosing import rates_of_others, tariff_of

CACHED_LISTS = 16  # per process; a list of 100,000 prefixes takes 3 MB


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """The prices of an account at one time.

    `pk` is the id of the frozen list. It is None for the prices that the settings have now.

    `invalid` are the rates of numbers that cannot exist. Nothing is charged for them, because they fail.
    """

    pk: UUID | None
    starts: Sequence[int]
    places: Sequence[int]
    rates: tuple[Rates, ...]
    invalid: Rates

    def of(self, to: str) -> Rates:
        """Return the rates of a number in E.164. "" stands for a number that cannot exist."""
        return self.at(self.place_of(to))

    def place_of(self, to: str) -> int:
        """Return the place of a number's rates: their index in `rates`, or INVALID.

        `range_sql` does the same search in SQL.
        """
        return self.places[bisect_right(self.starts, ranges.position(to))] if to else INVALID

    def place_in(self, found: int) -> int:
        """Return the place of the rates of a range, as `range_sql` returns it."""
        return INVALID if found == INVALID else self.places[found]

    def ranges_at(self, places: Collection[int]) -> list[int]:
        """Return all ranges with these places."""
        wanted = frozenset(places)
        return [found for found, place in enumerate(self.places) if place in wanted]

    def at(self, place: int) -> Rates:
        return self.invalid if place == INVALID else self.rates[place]

    @property
    def is_uniform(self) -> bool:
        """Return whether all destinations have the same rates."""
        return len(self.rates) == 1


INVALID = -1  # the place of numbers that cannot exist


def range_sql(to: str) -> str:
    """Return the SQL of a number's range in a list, the index of `places`. It has one parameter, the id of the list.

    The subquery reads the list once for the whole statement. Appending an empty array decompresses the stored array.
    Otherwise PostgreSQL would decompress it again for each number.
    """
    starts = "(SELECT starts || '{}'::bigint[] FROM telephony_pricelist WHERE id = %s)"
    return f"CASE WHEN {to} = '' THEN {INVALID} ELSE width_bucket({ranges.position_sql(to)}, {starts}) END"


def prices_of_settings() -> Prices:
    """Return the prices that the settings have now."""
    rates = rates_of_settings()
    return Prices(pk=None, starts=(), places=(0,), rates=(rates,), invalid=rates)


def current_prices(account: Account) -> Prices:
    """Freeze the present prices of an account and return them. Needs three queries unless the tariff has changed."""
    tariff = tariff_of(account)
    found = (
        PriceList.objects.filter(key=_key_of(tariff))
        .order_by("created_at")
        .values_list("pk", flat=True)
        .first()
    )
    return frozen_prices(_freeze(tariff) if found is None else found)


@lru_cache(maxsize=CACHED_LISTS)
def frozen_prices(pk: UUID) -> Prices:
    """Return a frozen list. Raises PriceList.DoesNotExist."""
    stored = PriceList.objects.get(pk=pk)
    invalid, *rates = (_rates_from(one) for one in stored.rates)
    return Prices(
        pk=pk,
        starts=array("q", stored.starts),
        places=array("i", stored.places),
        rates=tuple(rates),
        invalid=invalid,
    )


def _key_of(tariff: Tariff | None) -> str:
    parts: list[object] = list(rates_of_settings())
    if tariff is not None:
        parts += [tariff.pk, tariff.revision, tariff.refuses_unpriced]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _freeze(tariff: Tariff | None) -> UUID:
    """Store the prices of a tariff as they are now, and return the id of the list."""
    settings = rates_of_settings()
    prices: dict[str, Rates] = {}
    if tariff is not None:
        # One statement reads the revision together with the prices, so that they belong to the same moment.
        rows = Tariff.objects.filter(pk=tariff.pk).values_list(
            "revision",
            "refuses_unpriced",
            "prices__channel",
            "prices__prefix",
            "prices__credits",
            "prices__pulse_seconds",
        )
        for revision, refuses, channel, prefix, credits, pulse in rows:
            tariff.revision, tariff.refuses_unpriced = revision, refuses
            if prefix is None:  # the tariff has no prices
                continue
            known = prices.get(prefix, Rates(None, None, settings.pulse_seconds))
            if channel == Channel.SMS:
                prices[prefix] = known._replace(sms=credits)
            else:
                prices[prefix] = known._replace(call=credits, pulse_seconds=pulse or settings.pulse_seconds)
    divided = ranges.divide(prices, others=rates_of_others(tariff))
    stored = PriceList.objects.create(
        key=_key_of(tariff),
        tariff_name="" if tariff is None else tariff.name,
        starts=divided.starts,
        places=divided.places,
        rates=[_rates_json(one) for one in (settings, *divided.rates)],
    )
    return stored.pk


def _rates_json(rates: Rates) -> list[object]:
    amounts = [None if one is None else f"{one:f}" for one in (rates.sms, rates.call)]
    return [*amounts, rates.pulse_seconds]


def _rates_from(stored: Sequence[str | int | None]) -> Rates:
    sms, call, pulse = stored
    return Rates(
        None if sms is None else Decimal(sms), None if call is None else Decimal(call), int(pulse or 1)
    )
