"""Tariffs: the prices of an account, frozen price lists, and the import of prices. `telephony.pricing` has the formulas."""

from telephony.tariffs.choosing import rates_now, rates_of_others, tariff_of
from telephony.tariffs.price_lists import Prices, current_prices, frozen_prices, prices_of_settings

__all__ = [
    "Prices",
    "current_prices",
    "frozen_prices",
    "prices_of_settings",
    "rates_now",
    "rates_of_others",
    "tariff_of",
]
