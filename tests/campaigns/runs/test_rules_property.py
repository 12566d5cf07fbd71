"""Rules hold for any order of outcomes, opt-outs, stops, pauses and times; and for three days of a campaign."""

from __future__ import annotations

import random
from contextlib import ExitStack
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from django.db.models import Count, F, Max, Q, Sum
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_of
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.ledger import check_ledger
from campaigns import runs
from campaigns.models import Recipient, RunStatus
from telephony.engine.lifecycle import Claimed
from telephony.models import FINAL, Channel, Delivery, DeliveryStatus
from tests.campaigns.runs.trying import ENDS, begun, claim, end, forget_counts, step, tick
from tests.clock import stopped_clock
from tests.factories import opt_out
from tests.scale import at_scale

S = DeliveryStatus
RETRIED = ("busy", "unanswered", "failed", "hungup")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
START = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)  # one day before the clocks of Berlin are set back
PRICE = Decimal(2)


def is_open(spans: list[dict[str, Any]] | None, zone: str, at: datetime) -> bool:
    """Return whether a time lies in these hours, without the code under test."""
    local = at.astimezone(ZoneInfo(zone))
    clock = f"{local:%H:%M}"
    return spans is None or any(
        one["from"] <= clock < one["to"] and DAYS[local.weekday()] in one["days"] for one in spans
    )


HOURS = st.none() | st.lists(
    st.builds(
        lambda edges, days: {
            "from": f"{min(edges):02}:00",
            "to": f"{max(edges):02}:00",
            "days": sorted(days),
        },
        st.sets(st.integers(0, 24), min_size=2, max_size=2),
        st.sets(st.sampled_from(DAYS), min_size=1),
    ),
    min_size=1,
    max_size=2,
)


class RunUnderRules(RuleBasedStateMachine):
    """One run with rules, a carrier that ends calls in any way, an owner who pauses and stops, recipients who opt out."""

    @initialize(
        numbers=st.integers(1, 4),
        tries=st.integers(2, 5),
        delays=st.dictionaries(st.sampled_from(RETRIED), st.sampled_from([60, 3600, 40_000]), min_size=1),
        backoff=st.sampled_from(["fixed", "exponential"]),
        hours=HOURS,
        zone=st.sampled_from(["Asia/Kathmandu", "Europe/Berlin"]),
        failover=st.booleans(),
        limit=st.sampled_from([None, Decimal(11), Decimal(25)]),
    )
    def begin(
        self,
        numbers: int,
        tries: int,
        delays: dict[str, int],
        backoff: str,
        hours: list[dict[str, Any]] | None,
        zone: str,
        failover: bool,
        limit: Decimal | None,
    ) -> None:
        self.stack = ExitStack()
        self.stack.enter_context(transaction.atomic())
        self.stack.callback(transaction.set_rollback, True)
        self.clock = self.stack.enter_context(stopped_clock(START))
        self.tries, self.delays, self.backoff, self.hours, self.zone = tries, delays, backoff, hours, zone
        rules: dict[str, Any] = {"retry": {"tries": tries, "on": delays, "backoff": backoff}}
        if hours is not None:
            rules["calling_hours"] = {"calls": hours, "time_zone": zone}
        fields: dict[str, Any] = {"spending_limit": limit}
        if failover:
            fields |= {"failover_statuses": [S.UNANSWERED], "sms_message": "Hi"}
        self.campaign, self.run = begun(
            numbers=range(9841000001, 9841000001 + numbers), fields=fields, **rules
        )
        self.under_way: list[Claimed] = []
        self.made: dict[int, int] = {}  # tries by recipient
        self.ended: dict[int, tuple[datetime, str]] = {}
        self.outcomes: dict[int, int] = {}
        self.cost = Decimal(0)
        self.is_paused = self.is_stopped = False
        self.opted_out: set[str] = set()
        forget_counts()

    def teardown(self) -> None:
        if not hasattr(self, "stack"):
            return
        try:
            self.run_to_the_end()
        finally:
            self.stack.close()

    @rule()
    def tick(self) -> None:
        tick()

    @rule(limit=st.sampled_from([1, 2, 100]))
    def call(self, limit: int) -> None:
        for one in claim(limit=limit):
            assert not self.is_paused
            assert not self.is_stopped
            assert one.to not in self.opted_out
            self.under_way.append(one)
            if one.channel == Channel.CALL:
                self.check_try(Delivery.objects.get(pk=one.id))

    def check_try(self, delivery: Delivery) -> None:
        assert is_open(self.hours, self.zone, self.clock.now), self.clock.now
        made = self.made[delivery.item] = self.made.get(delivery.item, 0) + 1
        assert delivery.try_number == made <= self.tries
        if made > 1:
            at, how = self.ended[delivery.item]
            delay = self.delays[how] * (2 ** (made - 2) if self.backoff == "exponential" else 1)
            assert self.clock.now >= at + timedelta(seconds=delay)

    @rule(how=st.sampled_from(sorted(ENDS)), place=st.integers(0, 10), twice=st.booleans())
    @precondition(lambda self: self.under_way)
    def hang_up(self, how: str, place: int, twice: bool) -> None:
        one = self.under_way.pop(place % len(self.under_way))
        self.end_one(one, how)
        if twice and how != "lost":  # carriers repeat reports, and contradict themselves
            end([one], "busy" if how == "hungup" else how)

    def end_one(self, one: Claimed, how: str) -> None:
        if one.channel == Channel.SMS:
            how = "completed"
        else:
            self.ended[Delivery.objects.get(pk=one.id).item] = self.clock.now, how
        end([one], how)
        if how in ("completed", "hungup"):
            self.cost += PRICE if one.channel == Channel.CALL else 1

    @rule(seconds=st.sampled_from([1, 59, 60, 600, 3600, 3 * 3600, 24 * 3600]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)
        forget_counts()

    @rule(place=st.integers(0, 3))
    def opt_out(self, place: int) -> None:
        numbers = sorted(self.campaign.recipients.values_list("to", flat=True))
        self.opted_out.add(number := numbers[place % len(numbers)])
        opt_out(self.campaign.owner_id, number)

    @rule()
    def pause_or_resume(self) -> None:
        self.run.refresh_from_db()
        if self.is_paused:
            runs.resume(campaign=self.campaign)
        elif self.run.status == RunStatus.RUNNING:
            runs.pause(campaign=self.campaign)
        else:
            return
        self.is_paused = not self.is_paused

    @rule(really=st.integers(0, 5))
    def stop(self, really: int) -> None:
        self.run.refresh_from_db()
        if really == 0 and self.run.status in (RunStatus.RUNNING, RunStatus.PAUSED):
            runs.stop(campaign=self.campaign)
            self.is_stopped, self.is_paused = True, False
            assert not Delivery.objects.filter(status=S.QUEUED).exists()

    @invariant()
    def each_recipient_has_at_most_one_outcome(self) -> None:
        for pk, status in Recipient.objects.values_list("pk", "status"):
            if pk in self.outcomes:
                assert status == self.outcomes[pk]
            elif status is not None:
                self.outcomes[pk] = status
        unfinished = (
            Delivery.objects.filter(status__lt=FINAL).values("item", "channel").annotate(n=Count("pk"))
        )
        assert not unfinished.filter(n__gt=1).exists()
        calls = set(
            Delivery.objects.filter(status__lt=FINAL, channel=Channel.CALL).values_list("item", flat=True)
        )
        assert not calls & self.outcomes.keys()

    @invariant()
    def only_calls_that_were_answered_cost_credits(self) -> None:
        self.run.hold.refresh_from_db()
        assert self.run.hold.captured == self.cost
        assert (Recipient.objects.aggregate(sum=Sum("credits"))["sum"] or 0) == self.cost

    def run_to_the_end(self) -> None:
        """Let a week and more pass, with all calls answered, and check that everybody has one outcome."""
        if self.is_paused:
            runs.resume(campaign=self.campaign)
            self.is_paused = False
        for _ in range(60):
            tick()
            self.call(100)
            for one in self.under_way:
                self.end_one(one, "completed")
            self.under_way = []
            tick()
            self.run.refresh_from_db()
            if self.run.finished_at is not None:
                break
            self.to_next_event()
        assert self.run.status in (RunStatus.COMPLETED, RunStatus.TERMINATED)
        self.each_recipient_has_at_most_one_outcome()
        self.only_calls_that_were_answered_cost_credits()
        limited = self.run.is_capped
        assert limited or all(status is not None for (status,) in Recipient.objects.values_list("status"))
        self.run.hold.refresh_from_db()
        assert self.run.hold.remaining == 0
        assert check_ledger().differences == ()

    def to_next_event(self) -> None:
        due = list(Delivery.objects.filter(status=S.QUEUED).values_list("not_before", flat=True))
        if self.run.filled_at is None and self.run.opens_at is not None:
            due.append(self.run.opens_at)
        later = [moment for moment in due if moment > self.clock.now]
        self.clock.set(min(later) if later else self.clock.now + timedelta(seconds=1))
        forget_counts()


@pytest.mark.django_db
def test_rules_hold_for_any_order_of_events(settings: Any) -> None:
    settings.IRIS_CALL_CREDITS, settings.IRIS_SMS_CREDITS = PRICE, Decimal(1)
    run_state_machine_as_test(
        RunUnderRules,
        settings=hypothesis_settings(at_scale(10, 500)),
    )


def hypothesis_settings(examples: int) -> hypothesis_of:
    return hypothesis_of(
        max_examples=examples,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )


@pytest.mark.django_db
def test_three_days_of_a_campaign(settings: Any) -> None:
    """20,000 recipients, calls from 9 to 18 o'clock in Nepal, up to three tries, 1,500 calls in half an hour."""
    settings.IRIS_CALL_CREDITS = PRICE
    count = at_scale(600, 20_000)
    chance = random.Random(7)
    opening, closing, zone = time(9), time(18), ZoneInfo("Asia/Kathmandu")
    with stopped_clock(datetime(2026, 11, 29, 0, 0, tzinfo=UTC)) as clock:
        campaign, run = begun(
            numbers=range(9841000000, 9841000000 + count),
            credits=10 * count,
            retry={"tries": 3, "on": {"busy": 600, "unanswered": 7200}, "backoff": "exponential"},
            calling_hours={"calls": [{"from": "09:00", "to": "18:00"}]},
        )
        days = set()
        while clock.now < datetime(2026, 12, 2, tzinfo=UTC):
            forget_counts()
            tick()
            claimed = claim(limit=at_scale(50, 1_500))
            local = clock.now.astimezone(zone)
            assert not claimed or opening <= local.time() < closing
            days |= {local.date() for _ in claimed}
            end(claimed, lambda _: chance.choice(["completed", "busy", "unanswered", "unanswered", "failed"]))
            clock.advance(minutes=30)
        step("completed")
        run.refresh_from_db()
        assert run.status == RunStatus.COMPLETED
        assert len(days) > 1
        tries = Delivery.objects.aggregate(
            most=Max("try_number"), n=Count("pk"), again=Count("pk", filter=Q(try_number=2))
        )
        assert tries["most"] == 3
        assert tries["again"] > count / 2
        assert Delivery.objects.filter(status__lt=FINAL).count() == 0
        assert campaign.recipients.filter(status=None).count() == 0
        answered = Delivery.objects.filter(status=S.COMPLETED)
        assert answered.count() == campaign.recipients.filter(status=S.COMPLETED).count()
        assert campaign.recipients.aggregate(sum=Sum("credits"))["sum"] == PRICE * answered.count()
        assert not Delivery.objects.exclude(status=S.COMPLETED).filter(credits__gt=0).exists()
        assert not Delivery.objects.filter(claimed_at__gte=F("not_after")).exists()
        assert not Delivery.objects.filter(claimed_at__lt=F("not_before")).exists()
        assert not outside(zone)


def outside(zone: ZoneInfo) -> list[int]:
    """Return the deliveries that were claimed outside of 9 to 18 o'clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id FROM telephony_delivery
                WHERE (claimed_at AT TIME ZONE %s)::time NOT BETWEEN '09:00' AND '17:59:59.999'""",
            [zone.key],
        )
        return [row[0] for row in cursor.fetchall()]
