"""How calls and SMS ended, by day and by hour, in the time zone of the account."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account
from campaigns.reports.outcome_history import MAX_BARS, MAX_DAYS, History, history
from iris.errors import InvalidInput
from telephony.models import AccountOutcomeCount, DeliveryStatus, OutcomeChunk
from tests.factories import make_account

pytestmark = pytest.mark.django_db

S = DeliveryStatus
COUNTS = dict.fromkeys(("completed", "hungup", "unanswered", "failed", "terminated"), 0)


def store(account: Account, at: str, *, chunk: int = 1, **counts: int) -> None:
    AccountOutcomeCount.objects.create(
        chunk=OutcomeChunk.objects.get_or_create(number=chunk)[0],
        owner=account,
        channel="sms",
        quarter=datetime.fromisoformat(at).replace(tzinfo=UTC),
        **{**COUNTS, **counts},
    )


def read(account: Account, first: str, last: str) -> History:
    return history(account=account, first=date.fromisoformat(first), last=date.fromisoformat(last))


def test_days_and_hours_are_those_of_the_accounts_zone() -> None:
    account = make_account()
    store(account, "2026-03-01T18:00", completed=1)  # 23:45 in Kathmandu
    store(account, "2026-03-01T18:15", completed=2, failed=1)  # midnight
    store(account, "2026-03-01T18:15", completed=4, chunk=2)
    found = read(account, "2026-03-01", "2026-03-02")
    assert [(one.first.day, one.outcomes) for one in found.days] == [
        (1, {S.COMPLETED: 1}),
        (2, {S.COMPLETED: 6, S.FAILED: 1}),
    ]
    assert {hour: counts for hour, counts in enumerate(found.hours) if counts} == {
        0: {S.COMPLETED: 6, S.FAILED: 1},
        23: {S.COMPLETED: 1},
    }
    assert found.total == Counter({S.COMPLETED: 7, S.FAILED: 1})
    Account.objects.filter(pk=account.pk).update(time_zone="UTC")
    account.refresh_from_db()
    found = read(account, "2026-03-01", "2026-03-02")
    assert [one.outcomes.total() for one in found.days] == [8, 0]
    assert found.hours[18].total() == 8


def test_only_the_days_and_the_account_that_were_asked_for_count() -> None:
    account = make_account()
    store(account, "2026-03-01T18:00", completed=1)
    store(account, "2026-03-02T18:15", completed=2)
    store(make_account(), "2026-03-02T12:00", completed=4)
    assert read(account, "2026-03-02", "2026-03-02").total == Counter()
    assert read(account, "2026-03-01", "2026-03-03").total == Counter({S.COMPLETED: 3})


def test_a_long_period_is_shown_by_weeks_and_takes_one_query() -> None:
    account = make_account()
    store(account, "2026-01-03T06:00", completed=1)
    store(account, "2026-12-31T06:00", completed=2)
    with CaptureQueriesContext(connection) as context:
        found = read(account, "2026-01-01", "2026-12-31")
    assert len(context) == 1
    assert (found.days[0].first, found.days[0].last) == (date(2026, 1, 1), date(2026, 1, 7))
    assert (found.days[-1].first, found.days[-1].last) == (date(2026, 12, 31), date(2026, 12, 31))
    assert (len(found.days), found.total) == (53, Counter({S.COMPLETED: 3}))
    assert len(found.days) <= MAX_BARS


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-03-02", "2026-03-01"),
        ("2025-01-01", "2026-01-02"),
        ("0001-01-01", "0001-01-02"),
        ("9999-12-31", "9999-12-31"),
    ],
)
def test_impossible_periods_are_refused_with_a_sentence(first: str, last: str) -> None:
    with pytest.raises(InvalidInput, match="Swap them|Choose"):
        read(make_account(), first, last)
    assert MAX_DAYS == 366
