"""How the calls and SMS of an account ended, by day and by hour of the day, over any period.

The figures are sums of `AccountOutcomeCount`, which a background task updates once a minute. So a query costs the same for a
million deliveries as for a thousand, and the figures are at most some minutes old.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from django.db import connection
from django.utils import timezone

from accounts.account_settings import zone_of
from accounts.models import Account
from iris.errors import InvalidInput
from telephony.models import DeliveryStatus

MAX_DAYS = 366
MIN_DAY, MAX_DAY = date(2000, 1, 1), date(2999, 12, 31)  # days that every time zone can express
MAX_BARS = 62  # a longer period is shown by weeks
OUTCOMES = (
    DeliveryStatus.COMPLETED,
    DeliveryStatus.HUNGUP,
    DeliveryStatus.UNANSWERED,
    DeliveryStatus.FAILED,
    DeliveryStatus.TERMINATED,
)
HOURS = 24


@dataclass(frozen=True, kw_only=True)
class Days:
    """How the calls and SMS of the days from `first` to `last` ended. Both days are included."""

    first: date
    last: date
    outcomes: Counter[DeliveryStatus] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class History:
    """The outcomes of a period, by day or by week, and by hour of the day. `hours` always has 24 of them."""

    days: list[Days]
    hours: list[Counter[DeliveryStatus]]

    @property
    def total(self) -> Counter[DeliveryStatus]:
        return sum((one.outcomes for one in self.days), Counter())


def history(*, account: Account, first: date, last: date) -> History:
    """Return the outcomes from `first` to `last`, both included, in the time zone of the account. Takes one query.

    The day is that of the submission. Raises InvalidInput if the days are in the wrong order, more than MAX_DAYS, or
    centuries away.
    """
    check_days(first, last)
    zone = zone_of(account)
    since = timezone.make_aware(datetime.combine(first, time.min), zone)
    until = timezone.make_aware(datetime.combine(last, time.min) + timedelta(days=1), zone)
    by_day: dict[date, Counter[DeliveryStatus]] = {}
    hours: list[Counter[DeliveryStatus]] = [Counter() for _ in range(HOURS)]
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, {"account": account.pk, "since": since, "until": until, "zone": zone.key})
        for day, hour, *counts in cursor.fetchall():
            outcomes = Counter({outcome: int(n) for outcome, n in zip(OUTCOMES, counts, strict=True) if n})
            if day is None:
                hours[hour] = outcomes
            else:
                by_day[day] = outcomes
    return History(days=_in_bars(first, last, by_day), hours=hours)


def check_days(first: date, last: date) -> None:
    """Raise InvalidInput unless these are at most MAX_DAYS days, in order."""
    if first > last:
        raise InvalidInput(
            f"The first day, {first}, is after the last day, {last}. Swap them.", code="days_in_wrong_order"
        )
    if (last - first).days >= MAX_DAYS:
        raise InvalidInput(f"These are more than {MAX_DAYS} days. Choose fewer.", code="too_many_days")
    if first < MIN_DAY or last > MAX_DAY:
        raise InvalidInput(f"Choose days from {MIN_DAY} to {MAX_DAY}.", code="days_out_of_range")


def _in_bars(first: date, last: date, by_day: dict[date, Counter[DeliveryStatus]]) -> list[Days]:
    days: Sequence[date] = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    width = 1 if len(days) <= MAX_BARS else 7
    return [
        Days(
            first=some[0],
            last=some[-1],
            outcomes=sum((by_day.get(day, Counter()) for day in some), Counter()),
        )
        for some in (days[start : start + width] for start in range(0, len(days), width))
    ]


_NAMES = [outcome.name.lower() for outcome in OUTCOMES]
_ADDED = ", ".join(f"sum({name}) AS {name}" for name in _NAMES)
# The counts are stored for each quarter of an hour. The inner query adds up the rows of a quarter first, because converting
# times to the zone costs most, and few rows are left then.
_SUMS = f"""
    SELECT day, hour, {_ADDED}
      FROM (SELECT *, (quarter AT TIME ZONE %(zone)s)::date AS day,
                   extract(hour FROM quarter AT TIME ZONE %(zone)s)::int AS hour
              FROM (SELECT quarter, {_ADDED} FROM telephony_accountoutcomecount
                     WHERE owner_id = %(account)s AND quarter >= %(since)s AND quarter < %(until)s
                     GROUP BY quarter) added) counted
     GROUP BY GROUPING SETS ((day), (hour))
"""
