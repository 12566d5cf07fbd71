"""Urgent runs: before all others, outside of calling hours, and past opt-outs only where the account allows it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Account
from campaigns import runs, services
from campaigns.models import Campaign, RunStatus, Service
from campaigns.runs import hopper, run_statuses
from campaigns.runs.rules import PRIORITY, URGENT_PRIORITY, rules_of
from campaigns.runs.urgent import OptOutsHold, UrgentRule
from iris.errors import InvalidInput
from telephony.engine import pacing
from telephony.models import Cause, Delivery, DeliveryStatus, OptOut
from tests.campaigns.runs.trying import RETRY, TRUNK, begun, claim, step, tick
from tests.clock import Clock, stopped_clock

pytestmark = pytest.mark.django_db

MIDNIGHT = datetime(2026, 11, 30, 18, 15, tzinfo=UTC)
DAILY: dict[str, Any] = {"calls": [{"from": "09:00", "to": "18:00"}]}
FLOOD = UrgentRule(reason="Flood warning for ward 5")


@pytest.fixture
def clock() -> Iterator[Clock]:
    with stopped_clock(MIDNIGHT) as clock:
        yield clock


def priorities() -> set[int]:
    return set(Delivery.objects.values_list("priority", flat=True))


class TestRules:
    def test_calls_at_midnight_although_the_account_has_calling_hours(self, clock: Clock) -> None:
        _, ordinary = begun(numbers=[9841000001], calling_hours=DAILY)
        campaign, urgent = begun(numbers=[9841000002])
        runs.stop(campaign=campaign)
        Account.objects.filter(pk=campaign.owner_id).update(calling_hours=DAILY)
        campaign = Campaign.objects.get(pk=campaign.pk)
        urgent = runs.begin(campaign=campaign, urgent=FLOOD)
        (called,) = step("completed")
        assert called.to.endswith("9841000002")
        urgent.refresh_from_db()
        assert urgent.status == RunStatus.COMPLETED

    def test_retries_hold_and_the_next_run_is_an_ordinary_one(self) -> None:
        campaign, run = begun(urgent=FLOOD, retry=RETRY)
        assert run.rules == {"retry": RETRY | {"backoff": "fixed"}, "urgent": FLOOD.json}
        assert rules_of(run).priority == URGENT_PRIORITY
        runs.stop(campaign=campaign)
        again = runs.begin(campaign=campaign)
        assert "urgent" not in again.rules
        assert rules_of(again).priority == PRIORITY

    def test_a_change_before_its_start_keeps_it_urgent(self, clock: Clock) -> None:
        campaign, run = begun(urgent=FLOOD, starts_at=MIDNIGHT + timedelta(hours=1))
        services.update_campaign(campaign=campaign, speed=Decimal("1.2"))
        (replacing,) = campaign.runs.exclude(pk=run.pk)
        assert replacing.rules["urgent"] == FLOOD.json

    @pytest.mark.parametrize(
        ("service", "rule", "says"),
        [
            (Service.SMS, {"heard": True}, "An SMS cannot ask"),
            (Service.BOTH, {"heard": {"sms": True}}, "sends an SMS to every number"),
            (Service.CALL, {"heard": {"household": "house"}}, "unknown tag “house”"),
        ],
    )
    def test_contradictions_are_refused_and_begin_nothing(
        self, service: Service, rule: dict[str, Any], says: str
    ) -> None:
        with pytest.raises(InvalidInput, match=says):
            begun(service=service, urgent=UrgentRule.parse({"reason": "Flood", **rule}))

    def test_calling_hours_with_an_urgent_run_are_a_contradiction(self) -> None:
        with pytest.raises(InvalidInput, match="ignores “calling_hours”"):
            begun(urgent=FLOOD, calling_hours=DAILY)

    @pytest.mark.parametrize(
        ("sent", "says"),
        [
            ("now", "must be an object"),
            ({}, "State the “reason”"),
            ({"reason": " \n"}, "State the “reason”"),
            ({"reason": 5}, "State the “reason”"),
            ({"reason": "x" * 301}, "at most 300"),
            ({"reason": "Flood", "priority": 1}, "Unknown field “priority”"),
            ({"reason": "Flood", "past_opt_outs": "yes"}, "must be true or false"),
            ({"reason": "Flood", "heard": "yes"}, "“heard” must be true"),
            ({"reason": "Flood", "heard": {"keys": 1}}, "Unknown field “keys”"),
            ({"reason": "Flood", "heard": {"household": ""}}, "must be the name of a tag"),
            ({"reason": "Flood", "heard": {"household": 7}}, "must be the name of a tag"),
        ],
    )
    def test_a_wrong_rule_is_refused_with_a_sentence(self, sent: Any, says: str) -> None:
        with pytest.raises(InvalidInput, match=says):
            UrgentRule.parse(sent)

    @pytest.mark.parametrize(
        "rule",
        [
            {"reason": "Flood"},
            {"reason": "Flood", "past_opt_outs": True, "heard": True},
            {"reason": "Flood", "heard": {"sms": True, "household": "house"}},
        ],
    )
    def test_a_stored_rule_is_read_as_it_was(self, rule: dict[str, Any]) -> None:
        parsed = UrgentRule.parse(rule)
        assert UrgentRule.parse(parsed.json) == parsed


class TestOrder:
    def test_everything_urgent_is_claimed_before_anything_else(self) -> None:
        begun(numbers=range(9841000001, 9841000021))
        tick()
        _, urgent = begun(numbers=range(9841000101, 9841000121), urgent=FLOOD)
        tick()
        order = [one.to for batch in range(8) for one in pacing.claim(TRUNK, max_count=5).deliveries]
        assert len(order) == 40
        assert all(int(to[-3:]) >= 101 for to in order[:20])
        assert all(int(to[-3:]) < 101 for to in order[20:])

    def test_an_urgent_run_of_the_same_account_goes_first_too(self) -> None:
        campaign, _ = begun(numbers=range(9841000001, 9841000011))
        tick()
        other = services.create_campaign(
            account=campaign.owner, name="Flood", service=Service.SMS, numbers=[9841000101]
        ).campaign
        runs.begin(campaign=other, message="Flood", urgent=FLOOD)
        tick()
        (first,) = pacing.claim(TRUNK, max_count=1).deliveries
        assert first.to.endswith("9841000101")

    def test_hoppers_of_urgent_runs_are_filled_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(3):
            begun(numbers=[9841000001 + number])
        _, urgent = begun(numbers=[9841000101], urgent=FLOOD)
        filled: list[int] = []
        fill = hopper.fill

        def filling(pk: int) -> int:
            filled.append(pk)
            return fill(pk)

        monkeypatch.setattr(hopper, "fill", filling)
        hopper.fill_all(budget=0)
        assert filled == [urgent.pk]

    def test_an_urgent_run_that_begins_while_others_are_filled_does_not_wait_for_all(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(3):
            begun(numbers=[9841000001 + number])
        filled: list[int] = []
        fill = hopper.fill

        def filling(pk: int) -> int:
            if not filled:
                begun(numbers=[9841000101], urgent=FLOOD)
            filled.append(pk)
            return fill(pk)

        monkeypatch.setattr(hopper, "fill", filling)
        hopper.fill_all(budget=5)
        urgent = Delivery.objects.get(priority=URGENT_PRIORITY).batch
        assert filled[1] == urgent
        assert len(set(filled)) == 4

    def test_a_paused_urgent_run_is_resumed_by_the_tick(self) -> None:
        campaign, run = begun(urgent=FLOOD)
        tick()
        runs.pause(campaign=campaign)
        run_statuses.resume(run.pk)  # a process that died before it resumed the deliveries
        run_statuses.reconcile_all()
        assert len(claim()) == 1


class TestOptOuts:
    def opted_out(self, campaign: Campaign) -> None:
        OptOut.objects.create(owner=campaign.owner, number=campaign.recipients.get().to)

    def test_an_urgent_run_reaches_nobody_who_has_opted_out(self) -> None:
        campaign, _ = begun(service=Service.SMS, urgent=FLOOD)
        self.opted_out(campaign)
        tick()
        assert [one.opted_out for one in pacing.claim(TRUNK).deliveries] == [True]

    def test_it_does_if_the_account_allows_it_and_the_run_says_so(self) -> None:
        campaign, _ = begun(service=Service.CALL)
        runs.stop(campaign=campaign)
        Account.objects.filter(pk=campaign.owner_id).update(alerts_past_opt_outs=True)
        campaign = Campaign.objects.get(pk=campaign.pk)
        self.opted_out(campaign)
        runs.begin(campaign=campaign, retry=RETRY, urgent=UrgentRule(reason="Flood", past_opt_outs=True))
        (first,) = step("busy")
        assert not first.opted_out
        assert Delivery.objects.get(status=DeliveryStatus.QUEUED).past_opt_outs  # the next try

    def test_a_run_that_says_so_is_refused_if_the_account_does_not_allow_it(self) -> None:
        with pytest.raises(OptOutsHold, match="alerts_past_opt_outs"):
            begun(urgent=UrgentRule(reason="Flood", past_opt_outs=True))
        assert not Delivery.objects.exclude(cause=Cause.NONE).exists()
