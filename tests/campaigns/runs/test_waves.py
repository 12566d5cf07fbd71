"""Runs in waves: the first recipients, then the others when a person or the results let them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from accounts.models import AuditEntry
from campaigns import runs
from campaigns.models import Run, RunStatus
from campaigns.runs import hopper, waves
from campaigns.runs.left_out import reason_of_run
from campaigns.runs.limits import WaveRule
from iris.errors import Conflict, InvalidInput
from telephony.models import Delivery, DeliveryStatus
from tests.campaigns.runs.trying import RETRY, assert_settled, begun, claim, end, step, tick
from tests.factories import make_account, make_campaign

pytestmark = pytest.mark.django_db

S = DeliveryStatus
NUMBERS = range(9841000001, 9841000011)


def wave(how: Any) -> int:
    """Let the waves be judged, and end all calls that are due. Return how many there were."""
    waves.judge_all()
    ended = len(step(how))
    waves.judge_all()
    return ended


def state(run: Run) -> tuple[int, int | None, bool]:
    run.refresh_from_db()
    return run.wave, run.wave_room, run.waits_since is not None


class TestByHand:
    def test_a_run_waits_after_each_wave_until_somebody_lets_it_go_on(self) -> None:
        campaign, run = begun(numbers=NUMBERS, waves={"sizes": [2, 3]})
        assert (wave("completed"), wave("completed")) == (2, 0)
        assert state(run) == (1, 0, True)
        assert not hopper.unfilled().exists()  # no process polls for it
        assert runs.next_wave(campaign=campaign).wave == 2
        assert (wave("completed"), wave("completed"), state(run)) == (3, 0, (2, 0, True))
        runs.next_wave(campaign=campaign)
        assert (wave("completed"), state(run)) == (5, (3, None, False))
        assert_settled(run)
        assert run.status == RunStatus.COMPLETED

    def test_who_let_it_go_on_is_in_the_audit_log(self) -> None:
        campaign, run = begun(numbers=NUMBERS, waves={"sizes": [2]})
        wave("completed")
        runs.next_wave(campaign=campaign)
        entry = AuditEntry.objects.get(action="wave_begun")
        assert entry.details == {"run": run.pk, "wave": 2}

    def test_a_wave_that_ends_with_the_last_recipient_waits_for_nobody(self) -> None:
        _, run = begun(numbers=NUMBERS, waves={"sizes": [10]})
        assert wave("completed") == 10
        assert_settled(run)
        assert run.status == RunStatus.COMPLETED

    def test_fewer_recipients_than_a_wave_are_all(self) -> None:
        _, run = begun(numbers=NUMBERS, waves={"sizes": [100], "success_percent": 100})
        assert wave("busy") == 10
        assert_settled(run)
        assert run.status == RunStatus.COMPLETED

    def test_it_cannot_go_on_before_it_waits(self) -> None:
        campaign, run = begun(numbers=NUMBERS, waves={"sizes": [2, 2]})
        with pytest.raises(Conflict, match="Wave 1 of this campaign is not complete yet"):
            runs.next_wave(campaign=campaign)
        wave("completed")
        runs.next_wave(campaign=campaign)
        with pytest.raises(Conflict, match="Wave 2 .* not complete"):  # a second click
            runs.next_wave(campaign=campaign)
        assert state(run)[0] == 2

    def test_two_people_at_once_begin_one_wave(self) -> None:
        campaign, run = begun(numbers=NUMBERS, waves={"sizes": [2, 2]})
        wave("completed")
        run.refresh_from_db()
        assert [waves._begin_next(run), waves._begin_next(run)] == [True, False]

    @pytest.mark.parametrize("rules", [{}, {"waves": {"sizes": [3]}}])
    def test_a_run_without_further_waves_cannot(self, rules: dict[str, Any]) -> None:
        campaign, _ = begun(numbers=NUMBERS, **rules)
        if rules:
            wave("completed")
            runs.next_wave(campaign=campaign)
        with pytest.raises(Conflict, match="no further waves"):
            runs.next_wave(campaign=campaign)
        runs.stop(campaign=campaign)
        with pytest.raises(Conflict, match="is not running"):
            runs.next_wave(campaign=campaign)

    def test_a_pause_and_a_resume_change_nothing(self) -> None:
        campaign, run = begun(numbers=NUMBERS, waves={"sizes": [2]})
        wave("completed")
        runs.pause(campaign=campaign)
        with pytest.raises(Conflict, match="Resume it"):
            runs.next_wave(campaign=campaign)
        runs.resume(campaign=campaign)
        assert (wave("completed"), state(run)) == (0, (1, 0, True))
        runs.next_wave(campaign=campaign)
        assert wave("completed") == 8

    def test_a_stopped_run_ends_with_its_other_recipients_terminated(self) -> None:
        campaign, run = begun(numbers=NUMBERS, waves={"sizes": [2]})
        wave("completed")
        runs.stop(campaign=campaign)
        tick()
        shown = list(campaign.recipients.order_by("pk").values_list("status", flat=True))
        assert shown == [S.COMPLETED] * 2 + [S.TERMINATED] * 8
        assert_settled(run)

    def test_recipients_that_are_left_out_do_not_count(self) -> None:
        numbers = [9841000001] * 3 + list(NUMBERS)[1:]
        campaign, run = begun(numbers=numbers, waves={"sizes": [3]}, duplicates="once")
        assert wave("completed") == 3
        assert state(run) == (1, 0, True)
        runs.next_wave(campaign=campaign)
        assert wave("completed") == 7

    def test_a_dead_worker_neither_skips_nor_adds_to_a_wave(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, run = begun(numbers=NUMBERS, waves={"sizes": [4]})

        def die(name: str) -> None:
            if name == "filling":
                raise KeyboardInterrupt(name)

        with monkeypatch.context() as patched:
            patched.setattr(hopper, "failpoint", die)
            with pytest.raises(KeyboardInterrupt), transaction.atomic():
                hopper.fill(run.pk)
        assert (state(run), Delivery.objects.count()) == ((1, 4, False), 0)
        assert wave("completed") == 4
        assert state(run) == (1, 0, True)

    def test_a_trial_has_no_waves(self) -> None:
        campaign = make_campaign(owner=make_account(credits=100), numbers=NUMBERS)
        runs.begin(campaign=campaign, message="Hi", waves={"sizes": [1]})
        runs.stop(campaign=campaign)
        chosen = list(campaign.recipients.values_list("pk", flat=True))[:2]
        trial = runs.begin(campaign=campaign, individual=chosen, trial=True)
        assert (trial.rules, trial.wave_room) == ({}, None)


class TestThreshold:
    def test_enough_successes_let_it_go_on(self) -> None:
        campaign, run = begun(numbers=NUMBERS, waves={"sizes": [4], "success_percent": 50})
        tick()
        claimed = claim()
        assert len(claimed) == 4
        end(claimed[:1], "completed")
        waves.judge_all()
        assert state(run) == (1, 0, False)
        end(claimed[1:2], "completed")
        waves.judge_all()  # half were reached: the other half cannot change that
        assert state(run) == (2, None, False)
        end(claimed[2:], "busy")
        assert wave("completed") == 6

    def test_too_few_successes_wait_for_a_person(self) -> None:
        campaign, run = begun(numbers=NUMBERS, waves={"sizes": [4], "success_percent": 50})
        tick()
        claimed = claim()
        end(claimed[:3], "busy")
        waves.judge_all()
        assert state(run) == (1, 0, False)
        end(claimed[3:], "completed")
        waves.judge_all()
        assert state(run) == (1, 0, True)
        runs.next_wave(campaign=campaign)
        assert wave("completed") == 6

    def test_a_person_need_not_wait_for_the_results(self) -> None:
        campaign, run = begun(numbers=NUMBERS, waves={"sizes": [4], "success_percent": 90})
        tick()
        runs.next_wave(campaign=campaign)
        tick()
        assert len(claim()) == 10

    def test_the_last_try_decides(self) -> None:
        retry = RETRY | {"on": ["busy"], "delay_seconds": 1}
        _, run = begun(numbers=NUMBERS, waves={"sizes": [2], "success_percent": 100}, retry=retry)
        assert wave("busy") == 2
        assert state(run) == (1, 0, False)
        Delivery.objects.filter(status=S.QUEUED).update(not_before="2020-01-01T00:00Z")
        assert wave("completed") == 2
        assert state(run) == (2, None, False)

    def test_the_second_wave_is_judged_by_its_own_results(self) -> None:
        _, run = begun(numbers=NUMBERS, waves={"sizes": [4, 4], "success_percent": 75})
        assert wave("completed") == 4
        assert state(run)[0] == 2
        assert wave("busy") == 4
        assert state(run) == (2, 0, True)


def test_the_reason_of_a_waiting_run_is_a_sentence() -> None:
    _, run = begun(numbers=NUMBERS, waves={"sizes": [4], "success_percent": 50})
    assert reason_of_run(run) is None
    tick()
    run.refresh_from_db()
    reason = reason_of_run(run)
    assert reason is not None
    assert (reason.code, "50 %" in reason.message) == ("wave", True)
    end(claim(), "busy")
    waves.judge_all()
    run.refresh_from_db()
    reason = reason_of_run(run)
    assert reason is not None
    assert "when somebody lets it begin" in reason.message


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (3, "must be an object"),
        ([100], "must be an object"),
        ({}, "“sizes” must list"),
        ({"sizes": []}, "“sizes” must list"),
        ({"sizes": 100}, "“sizes” must list"),
        ({"sizes": "100"}, "“sizes” must list"),
        ({"sizes": [1] * 11}, "1 to 10 numbers"),
        ({"sizes": [0]}, "from 1 to 10,000,000"),
        ({"sizes": [True]}, "from 1 to 10,000,000"),
        ({"sizes": [1.5]}, "from 1 to 10,000,000"),
        ({"sizes": ["5"]}, "from 1 to 10,000,000"),
        ({"sizes": [10_000_001]}, "from 1 to 10,000,000"),
        ({"sizes": [5], "success_percent": 0}, "from 1 to 100"),
        ({"sizes": [5], "success_percent": 101}, "from 1 to 100"),
        ({"sizes": [5], "success_percent": 0.8}, "from 1 to 100"),
        ({"sizes": [5], "first": 5}, "Unknown field “first”"),
    ],
)
def test_a_wrong_rule_is_refused_with_a_sentence(sent: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        WaveRule.parse(sent)


def test_a_rule_reads_what_it_writes() -> None:
    for sent in ({"sizes": [5]}, {"sizes": [5, 7], "success_percent": 80}):
        rule = WaveRule.parse(sent)
        assert (rule.json, WaveRule.parse(rule.json)) == (sent, rule)
    assert WaveRule.parse({"sizes": [5], "success_percent": None}).json == {"sizes": [5]}
