"""Book what campaigns book, and check that statements add up."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts import append_only, credits
from accounts.credits import Capture
from accounts.models import Account, CreditHold
from campaigns.reports.statements import SETTLING, close_days, statement
from telephony.models import Channel, Purpose
from tests.factories import make_campaign, make_delivery

DAY = timedelta(days=1)


def today() -> date:
    return timezone.localdate()


def close_until_yesterday() -> list[date]:
    """Close all days before today, and return them. Just after midnight, yesterday would not be closed yet."""
    midnight = timezone.make_aware(datetime.combine(today(), datetime.min.time()))
    return list(close_days(now=max(timezone.now(), midnight + SETTLING)))


def move_bookings_back(days: int) -> None:
    """Date the entries that are in no statement `days` earlier, but never into a closed day."""
    with connection.cursor() as cursor:
        cursor.execute(append_only.ALLOW_CHANGES)
        cursor.execute(
            """WITH closed AS (SELECT coalesce(max(ends_at), '-infinity') AS until FROM accounts_closedday)
               UPDATE accounts_creditentry SET created_at = greatest(created_at - make_interval(days => %s), until)
                 FROM closed WHERE created_at >= until""",
            [days],
        )
        cursor.execute(append_only.FORBID_CHANGES)


def make_sent_campaign(account: Account, *, name: str = "Sample", channel: Channel = Channel.SMS) -> Any:
    """Book what a run of three credits books for two deliveries, of which one is paid."""
    campaign = make_campaign(owner=account, name=name)
    hold = credits.hold(account=account, amount=Decimal(3), cause=f"campaign:{campaign.pk}:run:1")
    delivery = make_delivery(owner=account, channel=channel, purpose=Purpose.CAMPAIGN)
    credits.capture_many(
        captures=[Capture(hold_id=hold.pk, amount=Decimal(1), cause=f"delivery:{delivery.pk}")]
    )
    credits.release(hold_id=hold.pk, cause=f"run:{campaign.pk}:finished")
    return campaign


def shown_lines(shown: Any) -> list[tuple[Any, ...]]:
    return [(one.day, *one.line) for one in shown.lines]


def assert_adds_up(account: Account, *, first: date, last: date) -> Any:
    shown = statement(account=account, first=first, last=last)
    balance = sum((one.line.balance for one in shown.lines), Decimal(0))
    held = sum((one.line.held for one in shown.lines), Decimal(0))
    assert shown.closing_balance == shown.opening_balance + balance
    assert shown.closing_held == shown.opening_held + held
    if last >= today():
        account.refresh_from_db(fields=["balance"])
        assert shown.closing_balance == account.balance
        assert shown.closing_held == sum(
            (hold.remaining for hold in CreditHold.objects.filter(account=account)), Decimal(0)
        )
    return shown
