"""A process with a wrong clock books, closes days and starts runs by the clock of the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from unittest import mock

import pytest
from django.db import connection
from django.utils import timezone

from accounts import credits
from accounts.credits import Capture
from accounts.models import ClosedDay, CreditEntry
from campaigns.models import RunStatus
from campaigns.reports.statements import close_days
from campaigns.runs import run_statuses
from tests.factories import make_account, make_campaign, make_hold, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture(params=[-3, 3], ids=["slow", "fast"])
def wrong_clock(request: pytest.FixtureRequest) -> Iterator[timedelta]:
    """Let the clock of this process be wrong by days."""
    error, right = timedelta(days=request.param), timezone.now
    with mock.patch.object(timezone, "now", side_effect=lambda: right() + error):
        yield error


@pytest.mark.usefixtures("wrong_clock")
def test_all_kinds_of_entries_have_the_time_of_the_database() -> None:
    account = make_account(credits=100)
    credits.charge(account=account, amount=Decimal(1), cause="phone_number:1:a")
    first, second = (make_hold(account=account, amount=10) for _ in range(2))
    credits.capture_many(captures=[Capture(hold_id=first.pk, amount=Decimal(2), cause="delivery:1")])
    credits.release(hold_id=first.pk, cause="run:1")
    credits.release_many(causes={second.pk: "run:2"})

    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    entries = CreditEntry.objects.all()
    assert {entry.kind for entry in entries} == {"topup", "charge", "hold", "capture", "release"}
    assert all(abs(entry.created_at - now) < timedelta(minutes=10) for entry in entries)


@pytest.mark.usefixtures("wrong_clock")
def test_no_day_is_closed_before_it_has_ended() -> None:
    make_account(credits=100)

    list(close_days())

    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        (now,) = cursor.fetchone()
    assert all(day.ends_at < now for day in ClosedDay.objects.all())


def test_a_scheduled_run_starts_at_its_time(wrong_clock: timedelta) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        (now,) = cursor.fetchone()
    early, due = (
        make_run(campaign=make_campaign(), status=RunStatus.SCHEDULED, starts_at=now + timedelta(hours=hours))
        for hours in (1, -1)
    )

    assert run_statuses.start_due() == 1

    early.refresh_from_db()
    due.refresh_from_db()
    assert (early.status, due.status) == (RunStatus.SCHEDULED, RunStatus.RUNNING)
