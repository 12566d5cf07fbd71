"""Choose the tariff of an account, and look up the rates of a number in the tariff."""

from __future__ import annotations

from accounts.models import Account
from telephony.models import Channel, Tariff, TariffOfAccount, TariffPrice
from telephony.models.tariffs import MAX_PREFIX_DIGITS
from telephony.pricing import Rates, rates_of_settings


def tariff_of(account: Account) -> Tariff | None:
    """Return the account's own tariff, otherwise that of its parent, otherwise the default, otherwise None.

    A test twin has the tariff of its account, so that tests show the prices of production.
    """
    nearest = [account.pk, account.parent_id]
    if account.twin_of is not None:
        nearest += [account.twin_of_id, account.twin_of.parent_id]
    given = {
        one.account_id: one.tariff
        for one in TariffOfAccount.objects.filter(
            account_id__in=[pk for pk in nearest if pk is not None]
        ).select_related("tariff")
    }
    for pk in nearest:
        if pk is not None and pk in given:
            return given[pk]
    return Tariff.objects.filter(is_default=True).first()


def rates_of_others(tariff: Tariff | None) -> Rates:
    """Return the rates of destinations without a price in the tariff."""
    settings = rates_of_settings()
    if tariff is not None and tariff.refuses_unpriced:
        return Rates(None, None, settings.pulse_seconds)
    return settings


def rates_now(account: Account, to: str) -> Rates:
    """Return the present rates of a number in E.164, without freezing them. Needs three queries.

    `price_lists` looks up the same rates for many numbers.
    """
    tariff = tariff_of(account)
    rates = rates_of_others(tariff)
    if tariff is None:
        return rates
    digits = to.removeprefix("+")
    prefixes = [digits[:length] for length in range(1, min(len(digits), MAX_PREFIX_DIGITS) + 1)]
    prices = TariffPrice.objects.filter(tariff=tariff, prefix__in=prefixes)
    for price in sorted(prices, key=lambda price: len(price.prefix)):  # the longest prefix comes last
        if price.channel == Channel.SMS:
            rates = rates._replace(sms=price.credits)
        else:
            rates = Rates(rates.sms, price.credits, price.pulse_seconds or rates.pulse_seconds)
    return rates
