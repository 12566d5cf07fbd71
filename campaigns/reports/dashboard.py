"""Compute the figures of an account's dashboard."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Case, Count, Q, Sum, Value, When
from django.db.models.functions import TruncDate
from django.utils import timezone

from accounts.models import Account, CreditEntry, CreditHold
from campaigns.models import Campaign, Run, RunStatus, Service
from telephony.models import Channel, Delivery, DeliveryStatus, PhoneNumber, Purpose

# Upper ends, in per cent, of the ranges of `playback` for which calls are counted.
QUARTERS = (25, 50, 75, 100)
OUTCOMES = (
    DeliveryStatus.UNANSWERED,
    DeliveryStatus.HUNGUP,
    DeliveryStatus.FAILED,
    DeliveryStatus.TERMINATED,
    DeliveryStatus.COMPLETED,
)


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Credits spent on one day."""

    day: date
    calls: Decimal
    sms: Decimal


@dataclass(frozen=True, kw_only=True)
class TopCampaign:
    """The campaign with the largest share of completed calls and SMS."""

    id: int
    name: str
    deliveries: int
    completed: int


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """The figures of an account. Credits, campaigns and numbers are current; all other figures cover the requested days."""

    purchased: Decimal
    used: Decimal
    remaining: Decimal
    campaigns: Counter[RunStatus | None]
    drafts: int
    services: Counter[Service]
    numbers: int
    calls: int
    sms: int
    seconds: float
    answered: int
    heard: int  # sum of `playback` (per cent) over all answered calls
    quarters: Counter[int]  # answered calls by upper end of their range
    outcomes: Counter[DeliveryStatus]
    spent: list[Spent]
    top: TopCampaign | None


def dashboard(*, account: Account, days: int) -> Dashboard:
    """Return the figures of an account for the last `days` days, today included. Always takes seven statements."""
    today = timezone.localdate()
    first = today - timedelta(days=days - 1)
    since = timezone.make_aware(datetime.combine(first, time.min))
    purchased, used = _credits(account)
    owned: Any = Campaign.objects.owned_by(account).with_status().order_by()
    kinds = list(owned.values_list("run_status", "draft", "service").annotate(n=Count("pk")))
    campaigns: Counter[RunStatus | None] = Counter()
    services: Counter[Service] = Counter()
    for status, draft, service, n in kinds:
        services[Service(service)] += n
        if not draft:
            campaigns[RunStatus(status) if status else None] += n
    figures = _Figures()
    figures.read(account, since)
    return Dashboard(
        purchased=purchased,
        used=used,
        remaining=account.balance,
        campaigns=campaigns,
        drafts=sum(n for _, draft, _, n in kinds if draft),
        services=services,
        numbers=PhoneNumber.objects.filter(owner=account).count(),
        calls=figures.sent[Channel.CALL],
        sms=figures.sent[Channel.SMS],
        seconds=figures.seconds,
        answered=figures.answered,
        heard=figures.heard,
        quarters=figures.quarters,
        outcomes=figures.outcomes,
        spent=[
            Spent(
                day=day,
                calls=figures.spent.get((day, Channel.CALL), Decimal(0)),
                sms=figures.spent.get((day, Channel.SMS), Decimal(0)),
            )
            for day in (first + timedelta(days=n) for n in range(days))
        ],
        top=_top(account, since),
    )


def _credits(account: Account) -> tuple[Decimal, Decimal]:
    """Return the credits that an account has ever received, and those spent: charges and captures from holds.

    Credits that moved to or from a department, or the parent, count as received, with their sign.
    """
    kind = CreditEntry.Kind
    # Two conditions, because each has its own partial index.
    direct = Q(kind__in=[kind.TOPUP.value, kind.CHARGE.value]) | Q(kind=kind.TRANSFER.value)
    moved: dict[str, Decimal] = dict(
        CreditEntry.objects.filter(direct, account=account)
        .order_by()
        .values_list("kind")
        .annotate(Sum("balance_delta"))
    )
    captured = CreditHold.objects.filter(account=account).aggregate(sum=Sum("captured"))["sum"] or Decimal(0)
    received = moved.get(kind.TOPUP, Decimal(0)) + moved.get(kind.TRANSFER, Decimal(0))
    return received, captured - moved.get(kind.CHARGE, Decimal(0))


class _Figures:
    """Sums over the deliveries of some days."""

    def __init__(self) -> None:
        self.sent: Counter[Channel] = Counter()
        self.seconds = 0.0
        self.answered = self.heard = 0
        self.quarters: Counter[int] = Counter()
        self.outcomes: Counter[DeliveryStatus] = Counter()
        self.spent: dict[tuple[date, Channel], Decimal] = {}

    def read(self, account: Account, since: datetime) -> None:
        runs = Run.objects.filter(Q(finished_at=None) | Q(finished_at__gte=since), campaign__owner=account)
        self._add(Q(purpose=Purpose.CAMPAIGN, batch__in=runs.values("pk"), created_at__gte=since))
        self._add(Q(purpose=Purpose.OTP, owner=account, created_at__gte=since))

    def _add(self, which: Q) -> None:
        quarter = Case(*[When(playback__lte=end, then=Value(end)) for end in QUARTERS], default=Value(100))
        groups = (
            Delivery.objects.filter(which)
            .annotate(day=TruncDate("created_at"), quarter=quarter)
            .order_by()
            .values_list("day", "channel", "status", "quarter")
            .annotate(
                ended=Count("pk", filter=Q(retried=False)),
                sent=Count("pk", filter=Q(submitted_at__isnull=False)),
                answered=Count("pk", filter=Q(playback__isnull=False)),
                spent=Sum("credits"),
                heard=Sum("playback", default=0),
                talked=Sum("seconds", default=0.0),
            )
        )
        for day, word, status, end, ended, sent, answered, spent, heard, talked in groups:
            channel = Channel(word)
            self.sent[channel] += sent
            self.spent[day, channel] = self.spent.get((day, channel), Decimal(0)) + spent
            if channel is Channel.CALL:
                self.outcomes[DeliveryStatus(status)] += ended  # a try that another one follows is no outcome
                self.seconds += talked
                self.answered += answered
                self.heard += heard
                self.quarters[end] += answered


_TOP = """
    SELECT c.id, c.name, count(*), count(*) FILTER (WHERE d.status = %s)
      FROM campaigns_campaign c
      JOIN campaigns_run r ON r.campaign_id = c.id AND NOT r.trial AND (r.finished_at IS NULL OR r.finished_at >= %s)
      JOIN telephony_delivery d ON d.batch = r.id AND d.purpose = %s AND d.created_at >= %s
                               AND NOT d.retried
     WHERE c.owner_id = %s AND c.deleted_at IS NULL
     GROUP BY c.id
     ORDER BY (count(*) FILTER (WHERE d.status = %s))::float / count(*) DESC, count(*) DESC, c.id DESC
     LIMIT 1
"""


def _top(account: Account, since: datetime) -> TopCampaign | None:
    completed = DeliveryStatus.COMPLETED.value
    with connection.cursor() as cursor:
        cursor.execute(_TOP, [completed, since, Purpose.CAMPAIGN.value, since, account.pk, completed])
        row = cursor.fetchone()
    if row is None:
        return None
    return TopCampaign(id=row[0], name=row[1], deliveries=row[2], completed=row[3])
