"""Runs with calling hours: nothing is submitted outside of them, and what waits goes on in the next ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.models import Account
from campaigns import runs
from campaigns.models import Campaign, Run, RunStatus, Service
from campaigns.reports import states
from campaigns.runs import hopper
from campaigns.runs.rules import rules_of
from otp.services import send_otp
from telephony.engine import pacing
from telephony.engine.submission import Departure, prepare
from telephony.models import Channel, Delivery, DeliveryStatus, Purpose
from tests.campaigns.runs.trying import RETRY, begun, claim, end, step, tick
from tests.clock import Clock, stopped_clock

S = DeliveryStatus
DAILY: dict[str, Any] = {"calls": [{"from": "09:00", "to": "18:00"}]}

MORNING = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)  # Monday, 07:45 in Nepal
OPENING = datetime(2026, 11, 30, 3, 15, tzinfo=UTC)
CLOSING = datetime(2026, 11, 30, 12, 15, tzinfo=UTC)


@pytest.fixture
def clock(db: None) -> Iterator[Clock]:
    with stopped_clock(MORNING) as clock:
        yield clock


def state(campaign: Campaign) -> states.RecipientState:
    return states.states_of(campaign, list(campaign.recipients.order_by("pk")))[0]


class TestRuns:
    def test_nothing_is_queued_before_the_hours_and_all_is_sent_in_them(self, clock: Clock) -> None:
        campaign, run = begun(numbers=range(9841000001, 9841000004), calling_hours=DAILY)
        assert step("completed") == []
        assert not Delivery.objects.exists()
        run.refresh_from_db()
        assert (run.status, run.opens_at) == (RunStatus.RUNNING, OPENING)
        assert not hopper.unfilled().exists()  # no process polls for it
        clock.set(OPENING)
        assert len(step("completed")) == 3
        run.refresh_from_db()
        assert run.status == RunStatus.COMPLETED

    def test_what_is_queued_at_the_end_of_the_hours_waits_for_the_next(self, clock: Clock) -> None:
        begun(numbers=range(9841000001, 9841000004), calling_hours=DAILY)
        clock.set(CLOSING - timedelta(seconds=1))
        tick()
        assert len(claim(limit=1)) == 1
        clock.set(CLOSING)
        assert claim() == []
        tick()
        assert set(Delivery.objects.filter(status=S.QUEUED).values_list("not_before", "not_after")) == {
            (OPENING + timedelta(days=1), CLOSING + timedelta(days=1))
        }
        assert claim() == []
        clock.set(OPENING + timedelta(days=1))
        assert len(claim()) == 2

    def test_a_claimed_call_is_not_submitted_after_the_hours(self, clock: Clock) -> None:
        begun(calling_hours=DAILY)
        clock.set(CLOSING - timedelta(seconds=1))
        tick()
        claimed = pacing.claim("sandbox")
        (one,) = claimed.deliveries
        departure = Departure(claimed.slots[0], one, claimed.valid_until, 0.0, claimed.closing[0])
        refused, batch = prepare([departure])
        assert (len(refused), len(batch)) == (0, 1)
        refused, batch = prepare(
            [Departure(claimed.slots[0], one, claimed.valid_until, 0.0, claimed.closing[0] - 2)]
        )
        assert ([one.text for one in refused], batch) == (["Its calling hours are over"], [])  # type: ignore[union-attr]

    def test_a_retry_that_would_be_due_at_night_waits_for_the_morning(self, clock: Clock) -> None:
        campaign, _ = begun(retry=RETRY, calling_hours=DAILY)
        clock.set(CLOSING - timedelta(minutes=5))
        step("busy")
        assert state(campaign).next_try_at == OPENING + timedelta(days=1)
        clock.advance(minutes=10)
        assert step("busy") == []
        clock.set(OPENING + timedelta(days=1))
        assert len(step("completed")) == 1

    def test_a_pause_over_the_end_of_the_hours_waits_for_the_next(self, clock: Clock) -> None:
        campaign, _ = begun(calling_hours=DAILY)
        clock.set(OPENING)
        tick()
        runs.pause(campaign=campaign)
        clock.set(CLOSING + timedelta(hours=1))
        tick()
        runs.resume(campaign=campaign)
        assert step("completed") == []
        clock.set(OPENING + timedelta(days=1))
        assert len(step("completed")) == 1

    def test_hours_that_pass_while_a_run_is_paused_are_made_up_for(self, clock: Clock) -> None:
        campaign, _ = begun(calling_hours=DAILY)
        clock.set(OPENING)
        tick()
        runs.pause(campaign=campaign)
        clock.set(OPENING + timedelta(days=2, hours=1))
        tick()
        runs.resume(campaign=campaign)
        assert len(step("completed")) == 1

    def test_sms_have_hours_of_their_own(self, clock: Clock) -> None:
        rules = {**DAILY, "sms": [{"from": "10:00", "to": "11:00"}]}
        begun(service=Service.BOTH, calling_hours=rules, fields={"sms_message": "Hi"})
        clock.set(OPENING)
        assert [one.channel for one in step("completed")] == ["call"]
        clock.advance(hours=1)
        assert [one.channel for one in step("completed")] == ["sms"]

    def test_an_sms_after_a_missed_call_waits_for_the_hours_of_sms(self, clock: Clock) -> None:
        rules = {**DAILY, "sms": [{"from": "10:00", "to": "11:00"}]}
        begun(calling_hours=rules, fields={"failover_statuses": [S.UNANSWERED], "sms_message": "Hi"})
        clock.set(OPENING)
        step("busy")
        assert step("completed") == []
        clock.advance(hours=1)
        assert [one.channel for one in step("completed")] == ["sms"]

    def test_a_stop_outside_of_the_hours_ends_everything_at_once(self, clock: Clock) -> None:
        campaign, run = begun(numbers=range(9841000001, 9841000004), retry=RETRY, calling_hours=DAILY)
        runs.stop(campaign=campaign)
        run.refresh_from_db()
        assert run.status == RunStatus.TERMINATED
        assert set(campaign.recipients.values_list("status", flat=True)) == {S.TERMINATED}

    def test_a_run_without_hours_is_not_limited(self, clock: Clock) -> None:
        begun()
        assert len(step("completed")) == 1

    def test_a_trial_calls_at_any_hour(self, clock: Clock) -> None:
        campaign, _ = begun(calling_hours=DAILY)
        runs.stop(campaign=campaign)
        runs.begin(campaign=campaign, trial=True)
        assert len(step("completed")) == 1

    def test_otps_are_sent_at_any_hour(self, clock: Clock) -> None:
        _, run = begun(calling_hours=DAILY)
        owner = run.campaign.owner
        owner.calling_hours = {**DAILY, "sms": DAILY["calls"]}
        owner.save()
        send_otp(account=owner, number="9841000009", message="Your code is {otp}", channel=Channel.SMS)
        assert [Delivery.objects.get(pk=one.id).purpose for one in claim()] == [Purpose.OTP]


class TestFrozen:
    def test_the_zone_and_hours_of_the_beginning_hold(self, clock: Clock) -> None:
        campaign, run = begun(calling_hours=DAILY)
        account = Account.objects.get(pk=campaign.owner_id)
        account.time_zone = "UTC"
        account.save()
        assert run.rules["calling_hours"] == {"time_zone": "Asia/Kathmandu", **DAILY}
        assert rules_of(run).window(Channel.CALL, MORNING).opens == OPENING

    def test_a_zone_in_the_rule_counts_instead_of_the_account_s(self, clock: Clock) -> None:
        _, run = begun(calling_hours=DAILY | {"time_zone": "UTC"})
        assert rules_of(run).window(Channel.CALL, MORNING).opens == datetime(2026, 11, 30, 9, tzinfo=UTC)

    def test_a_run_has_the_rules_of_the_account_unless_the_campaign_has_others(self, clock: Clock) -> None:
        campaign, run = begun()
        runs.stop(campaign=campaign)
        account = Account.objects.get(pk=campaign.owner_id)
        account.retry, account.calling_hours = RETRY, DAILY
        account.save()
        assert set(runs.begin(campaign=campaign).rules) == {"retry", "calling_hours"}
        runs.stop(campaign=campaign)
        assert runs.begin(campaign=campaign, retry=None).rules.keys() == {"calling_hours"}
        runs.stop(campaign=campaign)
        assert Run.objects.latest("pk").rules.keys() == {"calling_hours"}
        assert runs.begin(campaign=campaign).rules.keys() == {
            "calling_hours"
        }  # the campaign keeps its choice


def test_ended_calls_need_no_hours(clock: Clock) -> None:
    begun(calling_hours=DAILY)
    clock.set(CLOSING - timedelta(seconds=1))
    tick()
    claimed = claim()
    clock.advance(hours=1)
    end(claimed, "completed")
    tick()
    assert Run.objects.get().status == RunStatus.COMPLETED
