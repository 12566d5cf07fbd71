"""Before a run begins, compute the maximum that it can cost, from the destinations of its recipients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import QuerySet

from campaigns.models import Recipient
from campaigns.runs.prices import bounds
from campaigns.runs.quote import Quote
from iris.errors import InvalidInput
from telephony.tariffs import Prices
from telephony.tariffs.price_lists import range_sql

PREFIX_DIGITS = 4  # of the destinations that an error names
PREFIXES_NAMED = 5


class CostLimits(NamedTuple):
    """The maximum credits that one call, one SMS, one recipient, and the whole run can cost."""

    call: Decimal
    sms: Decimal
    recipient: Decimal
    run: Decimal


def cost_limits(
    quote: Quote, prices: Prices, recipients: QuerySet[Recipient], *, count: int, paid_tries: int = 1
) -> CostLimits:
    """Return the limits of a run for these recipients, `count` in number. Up to `paid_tries` calls to each cost credits.

    Executes no query if all destinations cost the same, otherwise one. Raises InvalidInput if destinations have no price.
    """
    counts = {0: count} if prices.is_uniform else _count_by_place(prices, recipients)
    _refuse_unpriced(quote, prices, recipients, counts)
    each = {
        place: bounds(prices.at(place), seconds=quote.longest_call, segments=quote.most_segments)
        for place in counts
    }
    return CostLimits(
        call=max((call for call, _ in each.values()), default=Decimal(0)),
        sms=max((sms for _, sms in each.values()), default=Decimal(0)),
        recipient=max((call * paid_tries + sms for call, sms in each.values()), default=Decimal(0)),
        run=sum(
            (counts[place] * (call * paid_tries + sms) for place, (call, sms) in each.items()), Decimal(0)
        ),
    )


def _count_by_place(prices: Prices, recipients: QuerySet[Recipient]) -> dict[int, int]:
    """Return the number of recipients by the place of their rates."""
    numbers, parameters = _numbers_of(recipients)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT {range_sql('r."to"')}, count(*) FROM ({numbers}) r GROUP BY 1""",
            [prices.pk, *parameters],
        )
        counts: Counter[int] = Counter()
        for found, count in cursor.fetchall():
            counts[prices.place_in(found)] += count
    return counts


def _refuse_unpriced(
    quote: Quote, prices: Prices, recipients: QuerySet[Recipient], counts: dict[int, int]
) -> None:
    """Raise InvalidInput if some recipients cannot be reached at any price, with their number and first digits."""
    refused = [place for place in counts if not _is_priced(quote, prices, place)]
    if not refused:
        return
    unpriced = sum(counts[place] for place in refused)
    raise InvalidInput(
        f"{unpriced:,} of {sum(counts.values()):,} numbers are at destinations that this account has no price for:"
        f" {_prefixes_of(prices, recipients, refused)}. Remove these numbers, or ask the operator for a price.",
        code="no_price",
    )


def _is_priced(quote: Quote, prices: Prices, place: int) -> bool:
    rates = prices.at(place)
    return not (
        (quote.longest_call is not None and rates.call is None)
        or (quote.most_segments is not None and rates.sms is None)
    )


def _prefixes_of(prices: Prices, recipients: QuerySet[Recipient], places: Sequence[int]) -> str:
    """Return the first digits of the numbers at these places, the most frequent ones first, each with a count."""
    numbers, parameters = _numbers_of(recipients)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT left(r."to", %s), count(*) FROM ({numbers}) r
                 WHERE r."to" <> '' AND {range_sql('r."to"')} = ANY (%s)
                 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s""",
            [
                PREFIX_DIGITS + 1,
                *parameters,
                prices.pk,
                prices.ranges_at(places),
                PREFIXES_NAMED + 1,
            ],
        )
        found = cursor.fetchall()
    named = ", ".join(f"{prefix}… ({count:,})" for prefix, count in found[:PREFIXES_NAMED])
    return f"{named} and others" if len(found) > PREFIXES_NAMED else named


def _numbers_of(recipients: QuerySet[Recipient]) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL of a query for the numbers of these recipients, and its parameters."""
    sql, parameters = recipients.order_by().values("to").query.sql_with_params()
    return sql, parameters
