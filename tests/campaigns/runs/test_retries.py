"""Retries: which outcomes are tried again, when, and what is shown meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from campaigns import runs
from campaigns.models import Recipient, Run, RunStatus, Service
from campaigns.reports import progress, states
from campaigns.runs import run_statuses
from telephony.models import Cause, Channel, Delivery, DeliveryStatus
from tests.campaigns.runs.trying import (
    RETRY,
    assert_settled,
    begun,
    claim,
    end,
    forget_counts,
    shown,
    step,
    tick,
    tries,
)
from tests.clock import Clock, stopped_clock
from tests.factories import make_account, make_phone_number

pytestmark = pytest.mark.django_db

S = DeliveryStatus
NOON = datetime(2026, 11, 30, 6, 15, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[Clock]:
    with stopped_clock(NOON) as clock:
        yield clock


@pytest.fixture(autouse=True)
def prices(settings: Any) -> None:
    settings.IRIS_CALL_CREDITS, settings.IRIS_SMS_CREDITS = Decimal(2), Decimal(1)


class TestOutcomes:
    @pytest.mark.parametrize("how", ["busy", "unanswered", "failed", "hungup"])
    def test_a_recipient_is_tried_again_after_the_delay_until_the_last_try(
        self, clock: Clock, how: str
    ) -> None:
        campaign, run = begun(retry=RETRY)
        for number in (1, 2, 3):
            assert len(step(how)) == 1
            assert step(how) == []  # nothing is due before the delay is over
            clock.advance(seconds=599)
            assert step(how) == []
            clock.advance(seconds=1)
            assert len(tries()) == min(number + 1, 3)
        assert step(how) == []
        final = {"busy": S.UNANSWERED, "unanswered": S.UNANSWERED, "failed": S.FAILED, "hungup": S.HUNGUP}[
            how
        ]
        assert tries() == [(1, final.name), (2, final.name), (3, final.name)]
        recipient = Recipient.objects.get()
        assert (recipient.status, recipient.attempts) == (final, 3)
        assert recipient.credits == (6 if how == "hungup" else 0)
        assert_settled(run)
        assert run.status == RunStatus.COMPLETED

    @pytest.mark.parametrize("how", ["completed", "invalid", "lost", "opted_out", "expired"])
    def test_other_ends_are_final_at_once(self, clock: Clock, how: str) -> None:
        _, run = begun(retry=RETRY)
        step(how)
        assert [number for number, _ in tries()] == [1]
        assert Recipient.objects.get().status in (S.COMPLETED, S.FAILED)
        assert_settled(run)
        assert run.status == RunStatus.COMPLETED

    @pytest.mark.parametrize(
        ("on", "how"), [("busy", "unanswered"), ("unanswered", "busy"), ("failed", "hungup")]
    )
    def test_an_outcome_that_the_rule_does_not_name_is_final(self, clock: Clock, on: str, how: str) -> None:
        begun(retry=RETRY | {"on": [on]})
        step(how)
        assert [number for number, _ in tries()] == [1]

    def test_a_lost_try_is_not_repeated_when_its_report_comes_late(self, clock: Clock) -> None:
        _, run = begun(retry=RETRY)
        claimed = step("lost")
        end(claimed, "unanswered")
        assert tries() == [(1, "UNANSWERED")]
        assert Recipient.objects.get().status == S.UNANSWERED

    def test_only_failed_sms_are_sent_again(self, clock: Clock) -> None:
        _, run = begun(service=Service.SMS, retry=RETRY | {"on": ["failed"]})
        step("failed")
        clock.advance(seconds=600)
        assert [one.channel for one in step("completed")] == ["sms"]
        recipient = Recipient.objects.get()
        assert (recipient.status, recipient.attempts, recipient.credits) == (S.COMPLETED, 2, 1)
        assert_settled(run)

    def test_calls_without_anything_to_play_are_not_repeated(self, clock: Clock) -> None:
        begun(retry=RETRY)
        tick()
        Delivery.objects.update(audio=None)
        end(claim(), "failed")
        assert [number for number, _ in tries()] == [1]

    def test_a_run_without_a_rule_tries_once_and_shows_no_attempts(self, clock: Clock) -> None:
        campaign, _ = begun()
        step("busy")
        assert tries() == [(1, "UNANSWERED")]
        assert (shown(campaign).attempts, shown(campaign).next_try_at) == (None, None)

    def test_a_trial_is_not_repeated(self, clock: Clock) -> None:
        campaign, _ = begun(retry=RETRY)
        step("completed")
        runs.begin(campaign=campaign, trial=True)
        step("busy")
        assert [number for number, _ in tries()] == [1, 1]


class TestTries:
    def test_the_next_try_is_a_copy_at_the_same_price(self, clock: Clock) -> None:
        begun(retry=RETRY)
        step("busy")
        first, second = Delivery.objects.order_by("pk")
        for field in ("owner_id", "batch", "item", "channel", "to", "text", "audio_id", "hold_id", "credit_limit",
                      "pulse_credits", "pulse_seconds", "priority", "trunk_id", "purpose", "script"):  # fmt: skip
            assert getattr(first, field) == getattr(second, field), field
        assert (first.retried, second.retried) == (True, False)
        assert second.not_before == NOON + timedelta(seconds=600)

    def test_exponential_delays_double(self, clock: Clock) -> None:
        begun(retry=RETRY | {"tries": 5, "backoff": "exponential"})
        waits = []
        for _ in range(4):
            step("busy")
            waits.append((Delivery.objects.latest("pk").not_before - clock.now).total_seconds())
            clock.advance(seconds=waits[-1])
        assert waits == [600, 1200, 2400, 4800]

    def test_each_outcome_can_have_its_own_delay(self, clock: Clock) -> None:
        begun(retry={"tries": 3, "on": {"busy": 60, "unanswered": 3600}})
        step("unanswered")
        assert Delivery.objects.latest("pk").not_before == NOON + timedelta(hours=1)
        clock.advance(hours=1)
        step("busy")
        assert Delivery.objects.latest("pk").not_before == clock.now + timedelta(minutes=1)

    def test_a_released_caller_number_is_not_shown_by_the_next_try(self, clock: Clock) -> None:
        owner = make_account(credits=100)
        number = make_phone_number(owner=owner, number="9800000101")
        campaign, _ = begun(retry=RETRY)
        campaign.owner = owner
        campaign.save()
        Run.objects.update(caller=number.number)
        tick()
        claimed = claim()
        number.owner = None
        number.save()
        end(claimed, "busy")
        assert Delivery.objects.latest("pk").caller == ""

    def test_repeated_reports_queue_one_try(self, clock: Clock) -> None:
        begun(retry=RETRY)
        tick()
        claimed = claim()
        end(claimed * 2, "busy")
        end(claimed, "unanswered")
        assert tries() == [(1, "UNANSWERED"), (2, "QUEUED")]

    def test_waiting_retries_leave_room_for_new_recipients(self, clock: Clock, settings: Any) -> None:
        settings.IRIS_HOPPER_SIZE = 10
        forget_counts()
        begun(numbers=range(9841000001, 9841000041), retry=RETRY)
        seen = 0
        for _ in range(20):
            forget_counts()  # counted afresh, as a second later
            seen += len(step("unanswered"))
        assert seen == 40
        assert Delivery.objects.filter(status=S.QUEUED, try_number=2).count() == 40


class TestShown:
    def test_between_two_tries_no_final_status_is_shown(self, clock: Clock) -> None:
        campaign, _ = begun(retry=RETRY)
        tick()
        assert (shown(campaign).status, shown(campaign).attempts) == (None, 0)
        step("hungup")
        state = shown(campaign)
        assert (state.status, state.attempts, state.credits) == (S.SUBMITTING, 1, 2)
        assert (state.seconds, state.playback) == (None, None)
        assert state.next_try_at == NOON + timedelta(seconds=600)
        assert progress.percent_done({campaign.pk: RunStatus.RUNNING}) == {campaign.pk: 0}
        assert Recipient.objects.get().status is None

    def test_recipients_between_two_tries_are_found_as_in_progress(self, clock: Clock) -> None:
        campaign, _ = begun(retry=RETRY)
        step("busy")

        def found(*statuses: DeliveryStatus | None) -> int:
            condition = states.has_status(campaign, frozenset(statuses), ids=(0, 2**62))
            return campaign.recipients.filter(condition).count()

        assert found(S.SUBMITTING, S.UNKNOWN, S.SUBMITTED) == 1
        assert found(None, S.QUEUED) == found(S.UNANSWERED) == found(S.FAILED) == 0

    def test_the_sms_after_a_missed_call_is_sent_after_the_last_try(self, clock: Clock) -> None:
        fields = {"failover_statuses": [S.UNANSWERED], "sms_message": "We called you."}
        _, run = begun(retry=RETRY | {"tries": 2}, fields=fields)
        step("unanswered")
        assert not Delivery.objects.filter(channel=Channel.SMS).exists()
        clock.advance(seconds=600)
        step("unanswered")
        step("completed")
        assert Delivery.objects.filter(channel=Channel.SMS).count() == 1
        assert_settled(run)

    def test_a_rerun_by_status_reaches_those_whose_last_try_failed(self, clock: Clock) -> None:
        campaign, _ = begun(numbers=[9841000001, 9841000002], retry=RETRY | {"tries": 2})
        step(lambda one: "busy" if one.to.endswith("1") else "unanswered")
        clock.advance(seconds=600)
        step(lambda one: "busy" if one.to.endswith("1") else "completed")
        run = runs.begin(campaign=campaign, statuses=[S.UNANSWERED])
        assert run.recipient_count == 1
        assert [one.to[-1] for one in step("completed")] == ["1"]


def test_the_cause_of_the_first_try_does_not_stick_to_the_next(clock: Clock) -> None:
    begun(retry=RETRY)
    step("busy")
    second = Delivery.objects.latest("pk")
    assert (second.cause, second.carrier_text, second.ref, second.attempts) == (Cause.NONE, "", "", 0)
    assert run_statuses.has_unfinished_deliveries(second.batch)
