"""Duplicates, frequency caps and waves hold for any order of campaigns, stops, times and results of one account."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from accounts.ledger import check_ledger
from campaigns import runs
from campaigns.models import LIVE, Recipient, Run, RunStatus, Service
from campaigns.runs import hopper, waves
from telephony.engine.lifecycle import Claimed
from telephony.models import Delivery, DeliveryStatus
from tests.campaigns.runs.test_rules_property import hypothesis_settings
from tests.campaigns.runs.trying import claim, end, tick
from tests.clock import stopped_clock
from tests.factories import make_account, make_campaign
from tests.scale import at_scale

S = DeliveryStatus
START = datetime(2026, 11, 30, 6, 15, tzinfo=UTC)
POOL = [9841000001 + place for place in range(6)]
RULES = st.fixed_dictionaries(
    {},
    optional={
        "duplicates": st.just("once"),
        "frequency_cap": st.fixed_dictionaries(
            {"contacts": st.integers(1, 3), "days": st.sampled_from([1, 7])}
        ),
        "waves": st.fixed_dictionaries(
            {"sizes": st.lists(st.integers(1, 3), min_size=1, max_size=2)},
            optional={"success_percent": st.sampled_from([50, 100])},
        ),
    },
)


class AccountUnderLimits(RuleBasedStateMachine):
    """One account with several campaigns at once. The model knows each contact, and when it was made."""

    @initialize()
    def begin_with_an_account(self) -> None:
        self.stack = ExitStack()
        self.stack.enter_context(transaction.atomic())
        self.stack.callback(transaction.set_rollback, True)
        self.clock = self.stack.enter_context(stopped_clock(START))
        self.account = make_account(credits=1000)
        self.under_way: list[Claimed] = []
        self.checked = 0  # the id of the last delivery that the model has seen
        self.queued_in_wave: dict[tuple[int, int], int] = defaultdict(int)

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            try:
                self.run_to_the_end()
            finally:
                self.stack.close()

    @rule(numbers=st.lists(st.sampled_from(POOL), min_size=1, max_size=7), rules=RULES)
    def begin(self, numbers: list[int], rules: dict[str, Any]) -> None:
        campaign = make_campaign(owner=self.account, numbers=numbers, service=Service.SMS)
        run = runs.begin(campaign=campaign, message="Hi", **rules)
        contacts = len(set(numbers)) if "duplicates" in rules else len(numbers)
        assert run.hold.amount == contacts

    @rule(place=st.integers(0, 5), how=st.sampled_from(["stop", "pause", "resume", "next_wave"]))
    def act(self, place: int, how: str) -> None:
        live = list(Run.objects.filter(status__in=LIVE).select_related("campaign").order_by("pk"))
        if not live:
            return
        run = live[place % len(live)]
        able = {
            "stop": True,
            "pause": run.status == RunStatus.RUNNING,
            "resume": run.status == RunStatus.PAUSED,
            "next_wave": waves.is_waiting(run),
        }
        if able[how]:
            getattr(runs, how)(campaign=run.campaign)

    @rule(limit=st.sampled_from([1, 3, 100]))
    def send(self, limit: int) -> None:
        tick()
        self.under_way += claim(limit=limit)

    @rule(how=st.sampled_from(["completed", "failed", "lost"]), place=st.integers(0, 10))
    def report(self, how: str, place: int) -> None:
        if self.under_way:
            end([self.under_way.pop(place % len(self.under_way))], how)
            waves.judge_all()

    @rule(hours=st.sampled_from([1, 20, 24, 7 * 24]))
    def wait(self, hours: int) -> None:
        self.clock.advance(hours=hours)
        hopper._older_queued.clear()
        hopper._next_looks.clear()

    @invariant()
    def every_new_contact_was_allowed(self) -> None:
        """Check the deliveries that were queued since the last check, one by one, against all before them."""
        if not hasattr(self, "stack"):
            return
        new = Delivery.objects.filter(pk__gt=self.checked).order_by("pk")
        for one in new:
            run = Run.objects.get(pk=one.batch)
            cap = run.rules.get("frequency_cap")
            if cap is not None:
                # Those that were stopped after this one was queued counted then, so this check is not too strict.
                since = self.clock.now - timedelta(days=cap["days"])
                before = Delivery.objects.filter(to=one.to, pk__lt=one.pk).exclude(status=S.TERMINATED)
                assert (
                    sum((other.submitted_at or self.clock.now) > since for other in before) < cap["contacts"]
                )
            if run.rules.get("duplicates") == "once":
                assert Delivery.objects.filter(batch=run.pk, to=one.to).count() == 1
            self.checked = one.pk

    @invariant()
    def no_wave_is_too_large(self) -> None:
        if not hasattr(self, "stack"):
            return
        for run in Run.objects.all():
            if "waves" in run.rules:
                most = sum(run.rules["waves"]["sizes"][: run.wave])
                is_over = run.wave > len(run.rules["waves"]["sizes"])
                assert is_over or Delivery.objects.filter(batch=run.pk).count() <= most
                assert is_over or run.wave_room == most - Delivery.objects.filter(batch=run.pk).count()

    @invariant()
    def who_is_left_out_costs_nothing_and_knows_why(self) -> None:
        if not hasattr(self, "stack"):
            return
        for one in Recipient.objects.exclude(left_out=""):
            assert (one.status, one.credits) == (S.TERMINATED, 0)
            assert not Delivery.objects.filter(item=one.pk).exists()

    def run_to_the_end(self) -> None:
        for _ in range(30):
            for run in Run.objects.filter(status=RunStatus.PAUSED).select_related("campaign"):
                runs.resume(campaign=run.campaign)
            hopper._next_looks.clear()
            tick()
            end(self.under_way + claim(), "completed")
            self.under_way = []
            waves.judge_all()
            for run in Run.objects.select_related("campaign"):
                if waves.is_waiting(run):
                    runs.next_wave(campaign=run.campaign)
            tick()
            self.every_new_contact_was_allowed()
        assert not Run.objects.filter(finished_at=None).exists()
        assert not Recipient.objects.filter(status=None).exists()
        for run in Run.objects.select_related("hold"):
            queued = Delivery.objects.filter(batch=run.pk).count()
            assert run.hold.remaining == 0
            if run.status == RunStatus.COMPLETED:
                assert run.recipient_count == queued + run.duplicate_count + run.over_cap_count
        assert check_ledger().differences == ()


@pytest.mark.django_db
def test_limits_hold_for_any_order_of_events(settings: Any) -> None:
    settings.IRIS_SMS_CREDITS = Decimal(1)
    run_state_machine_as_test(AccountUnderLimits, settings=hypothesis_settings(at_scale(6, 500)))
