"""What is going on in an account: running campaigns, those that start next, and those that did not reach everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db import connection
from django.db.models import QuerySet, Sum
from django.utils import timezone

from accounts.models import Account, CreditHold
from campaigns.models import PENDING, Campaign, Run, RunStatus
from campaigns.reports.progress import percent_done
from telephony.models import DeliveryStatus

UNDER_WAY = (RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.STOPPING)
MAX_SHOWN = 10
FAILURE_DAYS = 7
MAX_COUNTED = 10_000  # recipients of a campaign


@dataclass(frozen=True, kw_only=True)
class LiveRun:
    """A run that has not ended, and its progress in per cent."""

    run: Run
    percent: int


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """A campaign that ended lately, and how many of its recipients were not reached."""

    campaign: Campaign
    run: Run
    count: int

    @property
    def is_more(self) -> bool:
        """Whether there are more than MAX_COUNTED, and `count` is not exact."""
        return self.count > MAX_COUNTED


def live_runs(account: Account) -> list[LiveRun]:
    """Return the account's runs that have begun and not ended, newest first, at most MAX_SHOWN. Takes three queries."""
    runs = list(_runs(account).filter(status__in=UNDER_WAY).order_by("-pk")[:MAX_SHOWN])
    percents = percent_done({run.campaign_id: run.status for run in runs})
    return [LiveRun(run=run, percent=percents[run.campaign_id]) for run in runs]


def next_runs(account: Account) -> list[Run]:
    """Return the account's runs that wait for their time or for approval, the next first. Takes one query."""
    return list(_runs(account).filter(status__in=PENDING).order_by("starts_at", "pk")[:MAX_SHOWN])


def shortfalls(account: Account) -> list[Shortfall]:
    """Return the campaigns that ended within FAILURE_DAYS without reaching everybody. Takes two queries.

    Campaigns with more than MAX_COUNTED such recipients have `is_more`.
    """
    since = timezone.now() - timedelta(days=FAILURE_DAYS)
    ended = _runs(account).filter(
        finished_at__gte=since, status__in=(RunStatus.COMPLETED, RunStatus.TERMINATED)
    )
    latest: dict[int, Run] = {}
    for run in ended.order_by("-pk")[: 5 * MAX_SHOWN]:
        latest.setdefault(run.campaign_id, run)
    counts = _not_reached(list(latest.values()))
    return [
        Shortfall(campaign=run.campaign, run=run, count=counts[pk])
        for pk, run in latest.items()
        if counts.get(pk)
    ][:MAX_SHOWN]


def on_hold(account: Account) -> Decimal:
    """Return the credits of an account that are on hold. Takes one query."""
    held = CreditHold.objects.filter(account=account).aggregate(
        amount=Sum("amount"), captured=Sum("captured"), released=Sum("released")
    )
    zero = Decimal(0)
    return (held["amount"] or zero) - (held["captured"] or zero) - (held["released"] or zero)


def _runs(account: Account) -> QuerySet[Run]:
    rows = Run.objects.filter(campaign__owner=account, campaign__deleted_at=None, trial=False)
    return rows.select_related("campaign")


def _not_reached(runs: Sequence[Run]) -> dict[int, int]:
    """Return how many recipients of each campaign were not reached, by its id, counting at most MAX_COUNTED + 1.

    Counting a million of them takes a second. The first MAX_COUNTED of each campaign are found in their partial index.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT c.id, counted.n FROM unnest(%s::bigint[]) AS c(id), LATERAL (
                   SELECT count(*) AS n FROM (
                       SELECT FROM campaigns_recipient r WHERE r.campaign_id = c.id AND r.status > %s LIMIT %s) first
               ) counted""",
            [[run.campaign_id for run in runs], int(DeliveryStatus.COMPLETED), MAX_COUNTED + 1],
        )
        return dict(cursor.fetchall())
