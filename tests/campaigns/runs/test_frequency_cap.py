"""The frequency cap: what counts as a contact of a number, and whom a run leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from campaigns import runs
from campaigns.models import Run, RunStatus, Service
from campaigns.runs import delivery_requests, frequency_cap, hopper
from campaigns.runs.limits import FrequencyCap
from iris.errors import InvalidInput
from telephony.engine import lifecycle as deliveries
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, Purpose
from tests.campaigns.runs.trying import (
    NUMBERS,
    ONCE_A_WEEK,
    RETRY,
    another,
    assert_settled,
    begun,
    claim,
    end,
    step,
    tick,
)
from tests.clock import Clock, stopped_clock
from tests.factories import make_account, make_audio, make_campaign, make_delivery

S = DeliveryStatus
NOON = datetime(2026, 11, 30, 6, 15, tzinfo=UTC)


@pytest.fixture
def clock(db: None) -> Iterator[Clock]:
    with stopped_clock(NOON) as clock:
        yield clock


def left_out(run: Run) -> list[str]:
    return list(run.campaign.recipients.order_by("pk").values_list("left_out", flat=True))


class TestCounting:
    def test_over_the_cap_a_recipient_is_terminated_and_says_why(self, clock: Clock) -> None:
        campaign, _ = begun(numbers=NUMBERS)
        step("completed")
        run = another(campaign, numbers=(*NUMBERS, 9841000003), frequency_cap=ONCE_A_WEEK)
        assert [one.to[-1] for one in step("completed")] == ["3"]
        shown = list(run.campaign.recipients.order_by("pk").values_list("status", "left_out", "credits"))
        assert shown[:2] == [(S.TERMINATED, "frequency_cap", 0)] * 2
        assert_settled(run)
        assert (run.status, run.over_cap_count) == (RunStatus.COMPLETED, 2)

    def test_contacts_older_than_the_days_do_not_count(self, clock: Clock) -> None:
        campaign, _ = begun(numbers=NUMBERS)
        step("completed")
        clock.advance(days=7, seconds=-1)
        assert left_out_after_filling(another(campaign, frequency_cap=ONCE_A_WEEK)) == 2
        clock.advance(seconds=2)
        assert left_out_after_filling(another(campaign, frequency_cap=ONCE_A_WEEK)) == 0

    def test_queued_recipients_count_however_long_they_wait(self, clock: Clock) -> None:
        campaign, _ = begun(numbers=NUMBERS)
        tick()
        runs.pause(campaign=campaign)
        clock.advance(days=100)
        assert left_out_after_filling(another(campaign, frequency_cap=ONCE_A_WEEK)) == 2
        runs.stop(campaign=campaign)  # nobody was contacted
        assert left_out_after_filling(another(campaign, frequency_cap=ONCE_A_WEEK)) == 0

    def test_the_time_of_the_submission_counts_not_that_of_the_queue(self, clock: Clock) -> None:
        campaign, _ = begun(numbers=NUMBERS)
        tick()
        runs.pause(campaign=campaign)
        clock.advance(days=10)
        runs.resume(campaign=campaign)
        assert len(step("completed")) == 2
        clock.advance(days=6)
        assert left_out_after_filling(another(campaign, frequency_cap=ONCE_A_WEEK)) == 2

    def test_tries_of_one_recipient_count_once(self, clock: Clock) -> None:
        campaign, _ = begun(numbers=NUMBERS, retry=RETRY, frequency_cap=ONCE_A_WEEK)
        for _ in range(3):
            assert len(step("busy")) == 2  # its own retries are not forbidden, either
            clock.advance(seconds=600)
        assert left_out_after_filling(another(campaign, frequency_cap={"contacts": 2, "days": 7})) == 0

    def test_a_call_and_an_sms_of_one_recipient_count_once(self, clock: Clock) -> None:
        fields = {"failover_statuses": [S.UNANSWERED], "sms_message": "Hi"}
        campaign, _ = begun(numbers=NUMBERS, fields=fields)
        step("busy")
        step("completed")
        assert Delivery.objects.filter(channel=Channel.SMS, status=S.COMPLETED).count() == 2
        assert left_out_after_filling(another(campaign, frequency_cap={"contacts": 2, "days": 7})) == 0

    def test_calls_and_sms_of_all_campaigns_count_together(self, clock: Clock) -> None:
        campaign, _ = begun(numbers=NUMBERS)
        step("completed")
        another(campaign, service=Service.SMS)
        step("completed")
        assert left_out_after_filling(another(campaign, frequency_cap={"contacts": 2, "days": 7})) == 2
        assert left_out_after_filling(another(campaign, frequency_cap={"contacts": 3, "days": 7})) == 0

    def test_a_number_that_is_repeated_in_a_campaign_is_capped_there(self, clock: Clock) -> None:
        _, run = begun(numbers=[NUMBERS[0]] * 5, frequency_cap={"contacts": 2, "days": 1})
        assert len(step("completed")) == 2
        assert left_out(run) == ["", ""] + ["frequency_cap"] * 3

    def test_other_accounts_and_otps_do_not_count(self, clock: Clock) -> None:
        campaign, _ = begun(numbers=NUMBERS)
        step("completed")
        for purpose, owner in ((Purpose.OTP, make_account()), (Purpose.OTP, campaign.owner)):
            make_delivery(
                to=f"+977{NUMBERS[0]}", purpose=purpose, owner=owner, status=S.COMPLETED, submitted_at=NOON
            )
        campaign, _ = begun(numbers=[9841000009])
        step("completed")
        assert left_out_after_filling(another(campaign, frequency_cap=ONCE_A_WEEK)) == 0

    @pytest.mark.parametrize(
        ("ended", "counts"),
        [
            ({"status": S.TERMINATED, "cause": Cause.STOPPED}, False),
            ({"status": S.FAILED, "cause": Cause.OPTED_OUT}, False),
            ({"status": S.FAILED, "cause": Cause.INVALID}, False),
            ({"status": S.FAILED, "cause": Cause.REFUSED, "submitted_at": NOON}, True),
            ({"status": S.FAILED, "cause": Cause.LOST}, True),  # the carrier may have it
            ({"status": S.COMPLETED}, True),  # its report came before its submit response
            ({"status": S.UNKNOWN}, True),
            ({"status": S.SUBMITTING}, True),
            ({"status": S.QUEUED}, True),
        ],
    )
    def test_only_what_may_have_reached_the_phone_counts(
        self, clock: Clock, ended: dict[str, Any], counts: bool
    ) -> None:
        campaign, run = begun(numbers=NUMBERS[:1])
        tick()
        Delivery.objects.update(claimed_at=NOON, **ended)
        other = another(campaign, numbers=NUMBERS[:1], frequency_cap=ONCE_A_WEEK)
        assert left_out_after_filling(other) == counts

    def test_invalid_numbers_are_not_capped(self, clock: Clock) -> None:
        _, run = begun(numbers=NUMBERS, frequency_cap=ONCE_A_WEEK)
        run.campaign.recipients.update(to="")
        tick()
        assert Delivery.objects.count() == 2

    def test_runs_that_ended_before_the_days_are_not_read(self, clock: Clock) -> None:
        campaign, first = begun(numbers=NUMBERS)
        step("completed")
        clock.advance(days=8)
        second = another(campaign, frequency_cap=ONCE_A_WEEK)
        read_after = frequency_cap._oldest_delivery(campaign.owner_id, 7, second.pk, second.created_at)
        assert read_after == second.after_delivery == max(Delivery.objects.values_list("pk", flat=True))
        assert first.after_delivery < read_after

    def test_a_run_of_the_previous_release_hides_no_contact(self, clock: Clock) -> None:
        campaign, run = begun(numbers=NUMBERS)
        step("completed")
        Run.objects.filter(pk=run.pk).update(after_delivery=0)
        assert left_out_after_filling(another(campaign, frequency_cap=ONCE_A_WEEK)) == 2

    def test_a_scheduled_run_that_started_late_hides_no_contact(self, clock: Clock) -> None:
        campaign, _ = begun(numbers=(9841000007,), starts_at=NOON + timedelta(days=30))
        clock.advance(days=20)
        first = another(campaign, numbers=NUMBERS, frequency_cap=ONCE_A_WEEK)
        hopper.fill(first.pk)
        clock.advance(days=10)
        step("completed")
        second = another(campaign, numbers=(*NUMBERS, 9841000007), frequency_cap=ONCE_A_WEEK)
        assert left_out_after_filling(second) == 3


def left_out_after_filling(run: Run) -> int:
    """Fill a run, stop it before anything is sent, and return how many recipients the cap left out."""
    hopper.fill(run.pk)
    run.refresh_from_db()
    if run.status == RunStatus.RUNNING:
        runs.stop(campaign=run.campaign)
    return run.over_cap_count


class TestFilling:
    def test_speech_is_not_made_for_recipients_that_are_left_out(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        campaign, _ = begun(numbers=NUMBERS)
        step("completed")
        other = make_campaign(owner=campaign.owner, service=Service.CALL, numbers=(*NUMBERS, 9841000003))
        run = runs.begin(campaign=other, message="Namaste", frequency_cap=ONCE_A_WEEK)
        asked: list[int] = []
        requests_for = delivery_requests.requests_for

        def counted(run: Run, recipients: Any) -> Any:
            asked.append(len(recipients))
            return requests_for(run, recipients)

        monkeypatch.setattr(delivery_requests, "requests_for", counted)
        hopper.fill(run.pk)
        assert asked == [1]

    def test_a_spending_limit_is_spent_on_others_than_capped_numbers(self, clock: Clock) -> None:
        campaign, first = begun(numbers=NUMBERS)
        step("completed")
        limit = first.hold.amount / 2
        other = make_campaign(
            owner=campaign.owner, service=Service.CALL, numbers=(*NUMBERS, 9841000003, 9841000004),
            audio=make_audio(seconds=3.0), spending_limit=limit,
        )  # fmt: skip
        run = runs.begin(campaign=other, frequency_cap=ONCE_A_WEEK)
        for _ in range(4):
            step("completed")
        assert left_out(run) == ["frequency_cap", "frequency_cap", "", ""]
        assert list(other.recipients.order_by("pk").values_list("status", flat=True))[2:] == [
            S.COMPLETED,
            None,
        ]
        assert_settled(run)

    def test_recipients_that_are_left_out_do_not_fill_a_wave(self, clock: Clock) -> None:
        campaign, _ = begun(numbers=NUMBERS)
        step("completed")
        numbers = (*NUMBERS, 9841000003, 9841000004, 9841000005)
        run = another(campaign, numbers=numbers, frequency_cap=ONCE_A_WEEK, waves={"sizes": [2]})
        assert [one.to[-1] for one in step("completed")] == ["3", "4"]
        run.refresh_from_db()
        assert (run.wave_room, run.over_cap_count) == (0, 2)

    def test_a_dead_worker_counts_nobody(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        campaign, _ = begun(numbers=NUMBERS[:1])
        step("completed")
        run = another(campaign, frequency_cap=ONCE_A_WEEK)

        def die(name: str) -> None:
            if name == "filling":
                raise KeyboardInterrupt(name)

        with monkeypatch.context() as patched:
            patched.setattr(hopper, "failpoint", die)
            with pytest.raises(KeyboardInterrupt):
                hopper.fill(run.pk)
        run.refresh_from_db()
        assert (run.over_cap_count, left_out(run)) == (0, ["", ""])
        assert len(step("completed")) == 1
        run.refresh_from_db()
        assert (run.over_cap_count, left_out(run)) == (1, ["frequency_cap", ""])

    def test_a_throttled_call_still_counts(self, clock: Clock) -> None:
        campaign, _ = begun(numbers=NUMBERS[:1])
        tick()
        (one,) = deliveries.claim(
            trunk_id=Delivery.objects.get().trunk_id, limit=1, call_limit=None, last_owner=0
        )
        deliveries.requeue(ids=[one.id], seconds=[60], texts=["Too fast"])
        assert left_out_after_filling(another(campaign, frequency_cap=ONCE_A_WEEK)) == 1
        end(claim(), "completed")


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (3, "must be an object"),
        ({}, "“contacts” says how often"),
        ({"contacts": 0, "days": 7}, "from 1 to 100"),
        ({"contacts": 101, "days": 7}, "from 1 to 100"),
        ({"contacts": True, "days": 7}, "from 1 to 100"),
        ({"contacts": 1.0, "days": 7}, "from 1 to 100"),
        ({"contacts": "1", "days": 7}, "from 1 to 100"),
        ({"contacts": 1}, "“days” says in how many"),
        ({"contacts": 1, "days": 366}, "from 1 to 365"),
        ({"contacts": 1, "days": 0}, "from 1 to 365"),
        ({"contacts": 1, "days": 7, "hours": 1}, "Unknown field “hours”"),
    ],
)
def test_a_wrong_cap_is_refused_with_a_sentence(sent: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        FrequencyCap.parse(sent)
