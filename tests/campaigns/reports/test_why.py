"""What holds a campaign or a number back: one reason for each condition, with its code, and none when nothing does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings as django_settings

from accounts.models import Account
from campaigns import runs
from campaigns.models import Campaign, ImportStatus, Recipient, Service, SheetImport
from campaigns.reports import why
from campaigns.reports.why import Hold, Reason, Situation
from campaigns.runs import hopper, setting_aside
from iris.errors import InvalidInput
from telephony.carriers.base import Later
from telephony.engine import circuit_breaker, held_back, pacing, restore_hold, workers
from telephony.engine import lifecycle as deliveries
from telephony.engine.held_back import TrunkHold
from telephony.engine.lifecycle.conditions import CONDITIONS, Wait
from telephony.models import Delivery, OptOut, PauseCause, Purpose, TimeSlice, Trunk
from tests.campaigns.runs.trying import RETRY, TRUNK, begun, claim, end, step, tick
from tests.clock import Clock, stopped_clock
from tests.factories import make_account, make_campaign, make_delivery

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 30, 6, 15, tzinfo=UTC)  # 12:00 in Nepal
DAILY: dict[str, Any] = {"calls": [{"from": "09:00", "to": "18:00"}]}
OPENING = datetime(2026, 12, 1, 3, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[Clock]:
    with stopped_clock(NOON) as clock:
        yield clock


@pytest.fixture(autouse=True)
def worker(clock: Clock) -> TimeSlice:
    return TimeSlice.objects.create(
        name=f"{workers.PREFIX}2:7:server", began_at=clock.now + timedelta(days=9)
    )


@pytest.fixture
def trunk_settings(settings: Any) -> dict[str, Any]:
    """The settings of the trunk, for a test that changes them."""
    settings.CARRIERS = {alias: dict(config) for alias, config in django_settings.CARRIERS.items()}
    config: dict[str, Any] = settings.CARRIERS[TRUNK]
    config.pop("CPS", None)
    config.pop("CHANNELS", None)
    return config


def why_of(campaign: Campaign, recipient: Recipient | None = None) -> dict[str, Reason]:
    """Return the reasons by their codes."""
    found = why.reasons(Situation(campaign, recipient=recipient))
    assert len({(reason.code, reason.trunk) for reason in found}) == len(found), found
    for reason in found:
        assert reason.message.endswith("."), reason.message
        assert ".." not in reason.message, reason.message
    return {str(reason.code): reason for reason in found}


def only(campaign: Campaign, code: str, recipient: Recipient | None = None) -> Reason:
    """Return the only reason, apart from the pace of the trunk, which every queue has."""
    found = why_of(campaign, recipient)
    found.pop(TrunkHold.PACE, None)
    assert list(found) == [code], found
    return found[code]


class TestRuns:
    def test_a_campaign_that_was_never_begun(self) -> None:
        campaign = make_campaign(service=Service.SMS)
        only(campaign, Hold.NOT_BEGUN)
        only(campaign, Hold.NOT_BEGUN, campaign.recipients.first())

    def test_an_import(self) -> None:
        campaign = make_campaign(service=Service.SMS)
        SheetImport.objects.create(
            campaign=campaign, file="x", after=0, imported=1200, status=ImportStatus.IMPORTING
        )
        assert "1,200 so far" in why_of(campaign)[Hold.IMPORT].message

    def test_a_run_that_awaits_approval(self) -> None:
        owner = make_account(credits=100)
        Account.objects.filter(pk=owner.pk).update(approval_above=1, approval_hours=5)
        owner.refresh_from_db()
        campaign = make_campaign(owner=owner, service=Service.SMS)
        runs.begin(campaign=campaign, message="Hi")
        assert only(campaign, Hold.APPROVAL).until == NOON + timedelta(hours=5)

    def test_a_scheduled_run(self, clock: Clock) -> None:
        campaign = make_campaign(service=Service.SMS)
        runs.begin(campaign=campaign, message="Hi", starts_at=NOON + timedelta(hours=1))
        assert only(campaign, Hold.SCHEDULED).until == NOON + timedelta(hours=1)
        clock.advance(hours=1)
        tick()
        assert Hold.SCHEDULED not in why_of(campaign)

    def test_a_paused_run_is_named_once_although_its_deliveries_wait(self) -> None:
        campaign, _ = begun(numbers=range(9841000001, 9841000004))
        tick()
        runs.pause(campaign=campaign)
        only(campaign, Hold.PAUSED)
        assert list(why_of(campaign, campaign.recipients.first())) == [Hold.PAUSED]

    def test_a_run_that_was_set_aside_says_why(self) -> None:
        campaign, run = begun()
        setting_aside.set_aside_for_speech(run.pk, InvalidInput("The text “x” cannot be spoken."))
        assert "The text “x” cannot be spoken." in only(campaign, Hold.SET_ASIDE).message

    def test_a_stopped_run_whose_calls_still_ring(self) -> None:
        campaign, _ = begun()
        tick()
        claim()
        runs.stop(campaign=campaign)
        only(campaign, Hold.STOPPED)

    def test_hours_hold_back_what_is_not_queued_and_what_is(self, clock: Clock) -> None:
        campaign, run = begun(numbers=range(9841000001, 9841000004), calling_hours=DAILY)
        clock.set(NOON + timedelta(hours=7))
        assert only(campaign, Hold.HOURS).until == OPENING
        clock.set(NOON)
        tick()
        clock.set(NOON + timedelta(hours=7))
        tick()
        reason = only(campaign, Wait.HOURS)
        assert (reason.count, reason.until) == (3, OPENING)
        assert claim() == []

    def test_a_spending_limit_that_is_used_up(self, settings: Any) -> None:
        settings.IRIS_CALL_CREDITS = Decimal(2)
        campaign, run = begun(numbers=range(9841000001, 9841000004), fields={"spending_limit": Decimal(2)})
        tick()
        found = why_of(campaign)
        assert Hold.CREDITS in found
        waiting = campaign.recipients.order_by("pk").last()
        assert Hold.CREDITS in why_of(campaign, waiting)
        end(claim(), "completed")
        assert hopper.unfilled().filter(pk=run.pk).exists()

    def test_a_full_hopper_lets_the_others_take_their_turn(self, settings: Any) -> None:
        settings.IRIS_HOPPER_SIZE = 2
        campaign, _ = begun(numbers=range(9841000001, 9841000009))
        hopper.fill_all(budget=0)
        assert Hold.IN_TURN in why_of(campaign)
        assert Hold.IN_TURN in why_of(campaign, campaign.recipients.order_by("pk").last())
        assert Hold.IN_TURN not in why_of(campaign, campaign.recipients.order_by("pk").first())

    def test_a_run_that_cannot_be_prepared(self, settings: Any) -> None:
        campaign, run = begun()
        setting_aside.set_aside_if_failing(run.pk, InvalidInput("x"))
        assert why_of(campaign)[Hold.FAILING].since == NOON

    def test_nothing_holds_back_what_is_under_way(self, trunk_settings: dict[str, Any]) -> None:
        campaign, _ = begun()
        tick()
        claim()
        assert why_of(campaign) == {}

    def test_a_wave_that_waits_for_a_go_ahead(self) -> None:
        campaign, _ = begun(numbers=range(9841000001, 9841000004), waves={"sizes": [1]})
        step("completed")
        assert "Wave 1" in only(campaign, Hold.WAVE).message
        assert Hold.WAVE in why_of(campaign, campaign.recipients.order_by("pk").last())

    def test_a_trial_does_not_count_as_the_run(self) -> None:
        campaign = make_campaign(service=Service.SMS)
        runs.begin(campaign=campaign, message="Hi", individual=[campaign.recipients.all()[0].pk], trial=True)
        only(campaign, Hold.NOT_BEGUN)


class TestDeliveries:
    def test_a_retry_says_when_it_is_due(self, clock: Clock) -> None:
        campaign, _ = begun(retry=RETRY)
        step("busy")
        reason = only(campaign, Wait.NEXT_TRY)
        assert (reason.count, reason.until) == (1, NOON + timedelta(seconds=600))
        assert only(campaign, Wait.NEXT_TRY, campaign.recipients.get()).until == NOON + timedelta(seconds=600)
        clock.advance(seconds=600)
        assert Wait.NEXT_TRY not in why_of(campaign)

    def test_a_carrier_that_asks_to_wait_is_quoted(self) -> None:
        campaign, _ = begun()
        tick()
        (one,) = pacing.claim(TRUNK).deliveries
        deliveries.apply_results(
            [Later(key=str(one.id), seconds=30, text="Too many requests.")], report_timeout=60
        )
        reason = only(campaign, Wait.CARRIER)
        assert reason.until == NOON + timedelta(seconds=30)
        assert "Too many requests." in reason.message

    @pytest.mark.parametrize("place", range(len(CONDITIONS)))
    def test_each_condition_of_claims_names_what_it_keeps_back(self, place: int) -> None:
        """What is claimed has no wait, and what has one is not claimed, whatever the condition."""
        changes: list[dict[str, Any]] = [
            {"not_before": NOON + timedelta(hours=1)},
            {"not_after": NOON - timedelta(seconds=1)},
            {"useful_until": NOON - timedelta(seconds=1)},
        ]
        assert len(changes) == len(CONDITIONS)
        campaign, run = begun()
        tick()
        Delivery.objects.update(**changes[place])
        (waiting,) = held_back.waits(purpose=Purpose.CAMPAIGN, batch=run.pk)
        assert waiting.wait is not None
        assert not waiting.is_due
        assert claim() == []

    def test_counts_stop_at_a_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(held_back, "MAX_EXAMINED", 2)
        campaign, _ = begun(numbers=range(9841000001, 9841000006))
        tick()
        assert Situation(campaign).queued == 2


class TestTrunks:
    @pytest.fixture
    def queued(self, trunk_settings: dict[str, Any]) -> Campaign:
        campaign, _ = begun(numbers=range(9841000001, 9841000004))
        tick()
        return campaign

    def test_a_due_call_on_an_open_trunk_has_no_reason(self, queued: Campaign) -> None:
        assert why_of(queued) == {}

    def test_a_paused_trunk_says_since_when_and_why(self, queued: Campaign) -> None:
        circuit_breaker.fail(TRUNK, reason="The password is wrong.", cause=PauseCause.MISCONFIGURED)
        reason = only(queued, TrunkHold.PAUSED)
        assert (reason.since, reason.until, reason.trunk) == (NOON, None, TRUNK)
        assert "The password is wrong." in reason.message
        assert pacing.claim(TRUNK).deliveries == []

    def test_a_resting_trunk_says_until_when(self, queued: Campaign, clock: Clock) -> None:
        circuit_breaker.rest(TRUNK, reason="Busy", seconds=5)
        assert only(queued, TrunkHold.RESTS).until == NOON + timedelta(seconds=5)
        clock.advance(seconds=5)
        assert why_of(queued) == {}
        assert pacing.claim(TRUNK).deliveries

    def test_a_trunk_that_is_no_longer_configured(self, queued: Campaign, settings: Any) -> None:
        settings.CARRIERS = {alias: one for alias, one in settings.CARRIERS.items() if alias != TRUNK}
        only(queued, TrunkHold.NOT_CONFIGURED)

    def test_busy_channels(self, queued: Campaign, trunk_settings: dict[str, Any]) -> None:
        trunk_settings["CHANNELS"] = 2
        assert TrunkHold.NO_FREE_CHANNELS not in why_of(queued)
        assert len(claim()) == 2
        reason = only(queued, TrunkHold.NO_FREE_CHANNELS)
        assert reason.count == 2
        assert "All 2 channels" in reason.message

    def test_the_pace_of_the_trunk_and_a_pace_below_its_setting(
        self, queued: Campaign, trunk_settings: dict[str, Any], clock: Clock
    ) -> None:
        trunk_settings["CPS"] = 1
        assert why_of(queued)[TrunkHold.PACE].count == 3
        Trunk.objects.filter(alias=TRUNK).update(pace_note="the carrier is slow", pace_noted_at=clock.now)
        assert "the carrier is slow" in why_of(queued)[TrunkHold.SLOW].message
        clock.advance(minutes=1)
        assert TrunkHold.SLOW not in why_of(queued)

    def test_deliveries_that_go_first(self, queued: Campaign) -> None:
        make_delivery(trunk=Trunk.objects.get(alias=TRUNK), priority=0, not_before=NOON)
        assert only(queued, TrunkHold.OTHERS_FIRST).count == 1

    def test_no_worker(self, queued: Campaign, worker: TimeSlice) -> None:
        worker.delete()
        assert only(queued, TrunkHold.NO_WORKER).trunk is None

    def test_a_trunk_whose_own_worker_is_gone(
        self, queued: Campaign, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("telephony.engine.trunk_queues.is_served", lambda alias: False)
        assert only(queued, TrunkHold.NO_WORKER).trunk == TRUNK

    def test_a_restored_backup(self, queued: Campaign) -> None:
        restore_hold.hold_everything()
        assert TrunkHold.RESTORED in why_of(queued)


class TestNumbers:
    def test_a_number_whose_owner_has_opted_out(self) -> None:
        campaign, _ = begun(service=Service.SMS)
        recipient = campaign.recipients.get()
        OptOut.objects.create(owner=campaign.owner, number=recipient.to)
        assert Hold.OPTED_OUT in why_of(campaign, recipient)

    def test_a_number_that_cannot_exist(self) -> None:
        campaign = make_campaign(service=Service.SMS)
        recipient = Recipient.objects.create(campaign=campaign, number="12", to="")
        assert Hold.INVALID in why_of(campaign, recipient)

    def test_a_number_that_was_added_after_the_run_began(self) -> None:
        campaign, run = begun()
        added = Recipient.objects.create(campaign=campaign, number="9841000009", to="+9779841000009")
        only(campaign, Hold.NOT_IN_RUN, added)

    def test_a_number_that_a_rule_has_left_out(self) -> None:
        campaign, _ = begun(numbers=[9841000001, "+9779841000001"], duplicates="once")
        step("completed")
        only(campaign, Hold.DUPLICATE, campaign.recipients.order_by("pk").last())

    def test_a_number_that_was_reached(self) -> None:
        campaign, _ = begun()
        step("completed")
        only(campaign, Hold.ENDED, campaign.recipients.get())


def test_takes_few_queries_whatever_the_size(django_assert_max_num_queries: Any) -> None:
    campaign, _ = begun(numbers=range(9841000001, 9841000201))
    tick()
    with django_assert_max_num_queries(20):
        why_of(campaign)
