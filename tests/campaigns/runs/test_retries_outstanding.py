"""Retries while a run is paused or stopped, what they cost, and the words of their rule."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from campaigns import runs
from campaigns.models import Recipient, RunStatus
from campaigns.runs.retries import RetryRule
from iris.errors import InvalidInput
from telephony.engine import lifecycle as deliveries
from telephony.models import Delivery, DeliveryStatus, Purpose
from tests.campaigns.runs.trying import RETRY, assert_settled, begun, claim, end, shown, step, tick, tries
from tests.clock import Clock, stopped_clock

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


class TestPauseAndStop:
    def test_a_resumed_retry_still_waits_for_its_time(self, clock: Clock) -> None:
        campaign, _ = begun(retry=RETRY)
        step("busy")
        runs.pause(campaign=campaign)
        assert shown(campaign).next_try_at == NOON + timedelta(seconds=600)
        clock.advance(seconds=300)
        runs.resume(campaign=campaign)
        assert step("busy") == []
        clock.advance(seconds=300)
        assert len(step("busy")) == 1

    def test_a_retry_that_came_due_in_a_pause_is_made_after_it(self, clock: Clock) -> None:
        campaign, _ = begun(retry=RETRY)
        step("busy")
        runs.pause(campaign=campaign)
        clock.advance(hours=2)
        assert step("busy") == []
        runs.resume(campaign=campaign)
        assert len(step("completed")) == 1

    def test_a_call_that_ends_in_a_pause_is_tried_again_after_it(self, clock: Clock) -> None:
        campaign, _ = begun(retry=RETRY)
        tick()
        claimed = claim()
        runs.pause(campaign=campaign)
        end(claimed, "busy")
        clock.advance(hours=2)
        assert step("busy") == []
        runs.resume(campaign=campaign)
        assert len(step("completed")) == 1
        assert tries() == [(1, "UNANSWERED"), (2, "COMPLETED")]

    def test_a_pause_of_the_previous_release_can_be_resumed(self, clock: Clock) -> None:
        begun(retry=RETRY)
        tick()
        Delivery.objects.update(due_at=None)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE telephony_delivery SET not_before = 'infinity'")
        tick()
        assert len(claim()) == 1

    def test_a_throttled_delivery_keeps_its_delay_over_a_pause(self, clock: Clock) -> None:
        _, run = begun(retry=RETRY)
        tick()
        (one,) = [
            *deliveries.claim(
                trunk_id=Delivery.objects.get().trunk_id, limit=1, call_limit=None, last_owner=0
            )
        ]
        deliveries.pause(purpose=Purpose.CAMPAIGN, batch=run.pk)
        deliveries.requeue(ids=[one.id], seconds=[60], texts=["Too fast"])
        deliveries.resume(purpose=Purpose.CAMPAIGN, batch=run.pk)
        assert Delivery.objects.get().not_before == NOON + timedelta(seconds=60)

    def test_a_stop_ends_waiting_retries_and_releases_their_credits(self, clock: Clock) -> None:
        campaign, run = begun(retry=RETRY)
        step("hungup")
        stopped = runs.stop(campaign=campaign)
        assert stopped.in_flight == []
        assert tries() == [(1, "HUNGUP"), (2, "TERMINATED")]
        recipient = Recipient.objects.get()
        assert (recipient.status, recipient.attempts, recipient.credits) == (S.TERMINATED, 1, 2)
        assert_settled(run)
        assert run.status == RunStatus.TERMINATED

    def test_a_call_that_ends_after_a_stop_is_not_tried_again(self, clock: Clock) -> None:
        campaign, run = begun(retry=RETRY)
        tick()
        claimed = claim()
        assert len(runs.stop(campaign=campaign).in_flight) == 1
        end(claimed, "busy")
        tick()
        assert tries() == [(1, "UNANSWERED")]
        assert (Recipient.objects.get().status, Recipient.objects.get().attempts) == (S.UNANSWERED, 1)
        assert_settled(run)

    def test_a_stopped_delivery_is_not_tried_again_in_a_run_that_goes_on(self, clock: Clock) -> None:
        begun(retry=RETRY)
        tick()
        claimed = pacing_claim()
        owner = Delivery.objects.get().owner_id
        deliveries.terminate_to(claimed.to, owner_ids=[owner], otps_until=timezone.now())
        end([claimed], "busy")
        assert tries() == [(1, "UNANSWERED")]

    def test_recipients_that_a_stop_did_not_reach_have_no_attempts(self, clock: Clock) -> None:
        campaign, _ = begun(retry=RETRY)
        runs.stop(campaign=campaign)
        assert (Recipient.objects.get().status, Recipient.objects.get().attempts) == (S.TERMINATED, 0)


def pacing_claim() -> deliveries.Claimed:
    trunk = Delivery.objects.get().trunk_id
    (one,) = deliveries.claim(trunk_id=trunk, limit=1, call_limit=None, last_owner=0)
    return one


class TestCredits:
    def test_only_retrying_calls_that_were_cut_off_multiplies_the_hold(self, clock: Clock) -> None:
        numbers = range(9841000001, 9841000004)
        assert begun(numbers=numbers, retry=RETRY)[1].hold.amount == 2 * 3 * 3
        assert begun(numbers=numbers, retry=RETRY | {"on": ["busy", "failed"]})[1].hold.amount == 2 * 3
        assert begun(numbers=numbers)[1].hold.amount == 2 * 3

    def test_a_spending_limit_below_the_tries_of_one_recipient_is_refused(self, clock: Clock) -> None:
        with pytest.raises(InvalidInput, match="too low for one number, which can cost up to 6"):
            begun(retry=RETRY, fields={"spending_limit": Decimal(5)})

    def test_a_spending_limit_covers_the_tries_that_are_outstanding(self, clock: Clock) -> None:
        fields = {"spending_limit": Decimal(8)}
        campaign, run = begun(numbers=range(9841000001, 9841000006), retry=RETRY, fields=fields)
        tried = 0
        for _ in range(20):
            tried += len(step("hungup"))
            clock.advance(seconds=600)
        run.hold.refresh_from_db()
        assert run.hold.captured <= 8
        assert tried == run.hold.captured / 2
        # The first recipient had all three tries before the second began.
        assert list(campaign.recipients.order_by("pk").values_list("attempts", flat=True))[0] == 3
        assert_settled(run)


class TestRule:
    @pytest.mark.parametrize(
        ("sent", "says"),
        [
            ([], "must be an object"),
            ({}, "“tries” must be"),
            (RETRY | {"tries": 1}, "from 2 to 5"),
            (RETRY | {"tries": 6}, "from 2 to 5"),
            (RETRY | {"tries": True}, "from 2 to 5"),
            (RETRY | {"tries": "3"}, "from 2 to 5"),
            (RETRY | {"on": []}, "must list the outcomes"),
            (RETRY | {"on": "busy"}, "must list the outcomes"),
            (RETRY | {"on": ["completed"]}, "“completed” cannot be retried"),
            (RETRY | {"on": ["lost"]}, "“lost” cannot be retried"),
            (RETRY | {"on": [["busy"]]}, "cannot be retried"),
            (RETRY | {"on": {"busy": 60}}, "not both"),
            ({"tries": 3, "on": ["busy"]}, "“delay_seconds” is missing"),
            (RETRY | {"delay_seconds": 0}, "from 1 to 604,800"),
            (RETRY | {"delay_seconds": 604801}, "from 1 to 604,800"),
            (RETRY | {"delay_seconds": 1.5}, "from 1 to 604,800"),
            ({"tries": 3, "on": {"busy": None}}, "from 1 to 604,800"),
            (RETRY | {"backoff": "linear"}, "fixed, exponential"),
            (RETRY | {"backoff": []}, "fixed, exponential"),
            (RETRY | {"delay": 5}, "Unknown field “delay”"),
            (
                {"tries": 5, "on": ["busy"], "delay_seconds": 100_000, "backoff": "exponential"},
                "800,000 seconds",
            ),
        ],
    )
    def test_a_wrong_rule_is_refused_with_a_sentence(self, sent: Any, says: str) -> None:
        with pytest.raises(InvalidInput, match=says):
            RetryRule.parse(sent)

    def test_a_rule_reads_what_it_writes(self) -> None:
        for sent in (RETRY, {"tries": 2, "on": {"busy": 60, "hungup": 90}, "backoff": "exponential"}):
            rule = RetryRule.parse(sent)
            assert RetryRule.parse(rule.json) == rule
