"""The prices of an account's calls and SMS. TingTing's API has no prices; this is an addition of iris."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.amounts import credits_json
from accounts.api.permissions import needs
from accounts.permissions import Permission
from iris.api.envelope import success
from iris.api.fields import Text, Word, quoted
from iris.api.filters import FilterSet, SentFilter
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet
from iris.errors import InvalidInput
from telephony import numbering, tariffs
from telephony.models import Channel, TariffPrice
from telephony.pricing import Rates
from telephony.tariffs.imports import read_prefix

CHANNELS = {"PHONE": Channel.CALL, "SMS": Channel.SMS}
WORDS = {channel.value: word for word, channel in CHANNELS.items()}


class Prefix(Text):
    """The first digits of numbers, such as 977 or +977."""

    default_error_messages = {
        "unreadable": "{value} is no prefix: send digits that begin with a country code, such as 977."
    }

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        try:
            return read_prefix(text)
        except InvalidInput:
            self.fail("unreadable", value=quoted(text))


class TariffFilter(FilterSet):
    """Filter prices by the first digits of their prefixes, and by channel."""

    prefix = SentFilter(Prefix(max_length=40), field_name="prefix", lookup_expr="startswith")
    channel = SentFilter(Word({**CHANNELS, "call": Channel.CALL}), field_name="channel")


class TariffViewSet(V0ViewSet):
    """The prices that will apply to the account's next run and its next OTP."""

    filterset_class = TariffFilter

    @needs(Permission.VIEW)
    def list(self, request: Request) -> Response:
        number = request.query_params.get("number", "").strip()
        if number:
            return success({"number": _number_json(request, number)})
        tariff = tariffs.tariff_of(account_of(request))
        prices: QuerySet[TariffPrice] = TariffPrice.objects.none()
        if tariff is not None:
            prices = TariffPrice.objects.filter(tariff=tariff).order_by("prefix", "channel")
        page = paginate(request, self.filter_queryset(prices))
        return success(
            {
                "other_destinations": _rates_json(tariffs.rates_of_others(tariff)),
                "pagination": page.pagination,
                "prices": [_price_json(price) for price in page.items],
            }
        )


def _number_json(request: Request, number: str) -> dict[str, Any]:
    """Return the price of calls and SMS to one number. Raises InvalidInput for a number that cannot exist."""
    parsed = numbering.parse(number)
    if not parsed.to:
        raise InvalidInput(
            f"{parsed.number} is not a valid phone number. Check its digits and its country code.",
            code="invalid_number",
        )
    rates = tariffs.rates_now(account_of(request), parsed.to)
    return {"number": parsed.number, "e164": parsed.to, **_rates_json(rates)}


def _rates_json(rates: Rates) -> dict[str, Any]:
    """Return the credits for an SMS segment and for a pulse of a call. Null means that such deliveries are refused."""
    return {
        "sms_credits": None if rates.sms is None else credits_json(rates.sms),
        "call_credits": None if rates.call is None else credits_json(rates.call),
        "pulse_seconds": None if rates.call is None else rates.pulse_seconds,
    }


def _price_json(price: TariffPrice) -> dict[str, Any]:
    return {
        "prefix": f"+{price.prefix}",
        "channel": WORDS[price.channel],
        "credits": credits_json(price.credits),
        "pulse_seconds": price.pulse_seconds,
    }
