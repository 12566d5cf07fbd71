"""The expected end of a run: its pace so far, only within its calling hours, and not before its last waiting retry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from campaigns.models import Run
from campaigns.reports.expected_end import after_open_seconds, expected_end, open_seconds
from campaigns.runs.calling_hours import CallingHours
from telephony.models import Channel
from tests.campaigns.runs.trying import RETRY, begun, claim, end, step, tick
from tests.clock import Clock, stopped_clock
from tests.v0 import Caller

OPENING = datetime(2026, 11, 30, 3, 15, tzinfo=UTC)
CLOSING = datetime(2026, 11, 30, 12, 15, tzinfo=UTC)
DAILY = {"calls": [{"from": "09:00", "to": "18:00"}], "time_zone": "Asia/Kathmandu"}
RULE = CallingHours.parse(DAILY)
HOUR = 3600.0


@pytest.fixture
def clock(db: None) -> Iterator[Clock]:
    with stopped_clock(OPENING) as clock:
        yield clock


def test_only_time_within_the_hours_counts() -> None:
    night = CLOSING + timedelta(hours=2)
    assert open_seconds(RULE, Channel.CALL, since=OPENING, until=night) == 9 * HOUR
    assert open_seconds(RULE, Channel.CALL, since=CLOSING, until=night) == 0
    assert (
        open_seconds(RULE, Channel.CALL, since=OPENING, until=OPENING + timedelta(days=2, hours=1))
        == 19 * HOUR
    )
    assert open_seconds(None, Channel.CALL, since=OPENING, until=night) == 11 * HOUR


def test_work_goes_on_in_the_next_hours() -> None:
    late = CLOSING - timedelta(hours=1)
    assert after_open_seconds(RULE, Channel.CALL, at=late, seconds=HOUR) == CLOSING
    assert after_open_seconds(RULE, Channel.CALL, at=late, seconds=2 * HOUR) == OPENING + timedelta(
        days=1, hours=1
    )
    assert after_open_seconds(None, Channel.CALL, at=late, seconds=2 * HOUR) == CLOSING + timedelta(hours=1)
    assert after_open_seconds(RULE, Channel.CALL, at=late, seconds=10**9) is None


def test_a_run_goes_on_at_its_pace_on_the_next_day(clock: Clock) -> None:
    _, run = begun(numbers=range(9841000001, 9841000005), calling_hours=DAILY)
    assert expected_end(Run.objects.get()) is None
    tick()
    end(claim(limit=1), "completed")
    clock.set(OPENING + timedelta(hours=6))  # a quarter in six hours, so 18 hours of work remain
    assert expected_end(Run.objects.get()) == OPENING + timedelta(days=2, hours=6)


def test_a_run_does_not_end_before_its_last_waiting_retry(clock: Clock) -> None:
    campaign, _ = begun(numbers=range(9841000001, 9841000003), retry=RETRY | {"delay_seconds": 86_400})
    step(lambda one: "busy" if one.to.endswith("1") else "completed")
    clock.advance(seconds=60)
    assert expected_end(Run.objects.get()) == OPENING + timedelta(days=1)
    (shown,) = Caller(campaign.owner).get(f"/api/system/campaigns/{campaign.pk}/details/")["data"]["details"]
    assert shown["expected_end"] == "2026-12-01T09:00:00+05:45"
