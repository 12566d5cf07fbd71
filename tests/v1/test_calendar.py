"""Test times at the ends of the calendar in v1. Converting them to another time zone overflows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Account
from tests.factories import make_account, make_empty_campaign
from tests.v1.caller import Caller

# The first and the last second that `datetime` can represent in UTC, and noon of the last day.
FIRST, NOON, LAST = -62135596800, 253402257600, 253402300799


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (f"to_date={LAST}", 1),
        (f"to_date={NOON}", 1),
        (f"from_date={LAST}", 0),
        (f"to_date={FIRST}", 0),
        (f"from_date={FIRST}", 1),
    ],
)
def test_campaign_filter_accepts_the_first_and_last_representable_day(
    caller: Caller, account: Account, query: str, count: int
) -> None:
    make_empty_campaign(owner=account)
    assert caller.get(f"campaign/?{query}")["count"] == count


@pytest.mark.parametrize("sent", ["0001-01-01", "0001-01-01T00:00:00", "0001-01-01T00:00:00Z"])
def test_schedule_at_the_start_of_the_calendar_is_refused_as_past(
    caller: Caller, account: Account, sent: str
) -> None:
    campaign = make_empty_campaign(owner=account, schedule_at=timezone.now() + timedelta(days=1))
    answer = caller.fails("PATCH", f"campaign/{campaign.pk}/", {"schedule": sent}, status=400)
    assert answer["schedule"] == ["Cannot schedule past dates."]


def test_schedule_at_the_end_of_the_calendar_can_be_stored(caller: Caller, account: Account) -> None:
    campaign = make_empty_campaign(owner=account, schedule_at=timezone.now() + timedelta(days=1))
    path, last = f"campaign/{campaign.pk}/", "9999-12-31T23:59:59+05:45"
    for _ in range(2):
        assert caller.patch(path, {"schedule": last})["schedule"] == last
