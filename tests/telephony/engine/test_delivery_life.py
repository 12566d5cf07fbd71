"""A delivery has one final status and at most one capture, for any order of events, including repeated and late ones.

The one exception: a lost delivery is corrected once.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
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
from accounts.models import CreditEntry
from telephony.carriers.base import Accepted, Later, Rejected, Result, Unknown
from telephony.engine import lifecycle
from telephony.engine.lifecycle import Changed, Report
from telephony.engine.signals import deliveries_changed
from telephony.models import FINAL, Cause, Channel, Delivery, DeliveryStatus, LateReport, Purpose
from tests.factories import make_account, make_delivery, make_hold
from tests.scale import at_scale

S = DeliveryStatus
LIMIT = Decimal(4)


class DeliveryLife(RuleBasedStateMachine):
    """One delivery, a carrier that responds and reports in any order, and an owner who stops and pauses."""

    @initialize(channel=st.sampled_from(Channel))
    def queue(self, channel: Channel) -> None:
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        owner = make_account(credits=10)
        self.hold = make_hold(account=owner, amount=LIMIT)
        self.delivery = make_delivery(owner=owner, hold=self.hold, credit_limit=LIMIT, channel=channel)
        self.end: tuple[int, str, Decimal] | None = None
        self.announced_ends = 0
        self.corrected = False
        self.stopped = False
        self.submissions = 0
        deliveries_changed.connect(self.count_ends)

    def teardown(self) -> None:
        deliveries_changed.disconnect(self.count_ends)
        if hasattr(self, "transaction"):
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    def count_ends(self, changed: list[Changed], **kwargs: object) -> None:
        self.announced_ends += sum(
            delivery.is_final for delivery in changed if delivery.id == self.delivery.pk
        )

    @rule()
    def claim(self) -> None:
        before = self.status()
        claimed = lifecycle.claim(trunk_id=self.delivery.trunk_id, limit=10, call_limit=None, last_owner=0)
        if self.delivery.pk in [delivery.id for delivery in claimed]:
            assert before == S.QUEUED
            assert not self.stopped
            self.submissions += 1

    @rule(result=st.sampled_from(["accepted", "rejected", "later", "unknown"]))
    @precondition(lambda self: self.submissions > 0)
    def submit_result(self, result: str) -> None:
        key = str(self.delivery.pk)
        results: dict[str, Result] = {
            "accepted": Accepted(key=key, ref="r"),
            "rejected": Rejected(key=key, cause=Cause.INVALID),
            "later": Later(key=key, seconds=0),
            "unknown": Unknown(key=key),
        }
        lifecycle.apply_results([results[result]], report_timeout=0)

    @rule(
        statuses=st.lists(
            st.sampled_from([s for s in S if s >= S.SUBMITTED and s != S.TERMINATED]), min_size=1, max_size=4
        ),
        seconds=st.one_of(st.none(), st.floats(0, 1000)),
    )
    @precondition(lambda self: self.submissions > 0)
    def report(self, statuses: list[DeliveryStatus], seconds: float | None) -> None:
        reports = [
            Report(id=self.delivery.pk, status=s, at=timezone.now(), seconds=seconds) for s in statuses
        ]
        lifecycle.apply_reports(reports)
        lifecycle.apply_reports(reports[::-1])

    @rule()
    def stop(self) -> None:
        lifecycle.terminate(purpose=Purpose.CAMPAIGN, batch=self.delivery.batch)
        self.stopped = True

    @rule()
    def pause_and_resume(self) -> None:
        lifecycle.pause(purpose=Purpose.CAMPAIGN, batch=self.delivery.batch)
        assert lifecycle.claim(trunk_id=self.delivery.trunk_id, limit=10, call_limit=None, last_owner=0) == []
        lifecycle.resume(purpose=Purpose.CAMPAIGN, batch=self.delivery.batch)

    @rule()
    def sweep(self) -> None:
        Delivery.objects.filter(status=S.SUBMITTING).update(expires_at="2020-01-01T00:00:00Z")
        lifecycle.expire_leases()
        lifecycle.lose_unreported()

    @rule(taken=st.booleans())
    def look_up(self, taken: bool) -> None:
        if taken:
            lifecycle.resolve_unknown(taken=[self.delivery.pk], report_timeout=60)
        else:
            lifecycle.requeue(ids=[self.delivery.pk], seconds=[0.0], texts=[""])

    def status(self) -> int:
        return Delivery.objects.values_list("status", flat=True).get(pk=self.delivery.pk)

    @invariant()
    def final_status_is_announced_and_charged_once_and_only_a_lost_one_is_corrected(self) -> None:
        if not hasattr(self, "delivery"):
            return
        row = Delivery.objects.values_list("status", "cause", "credits").get(pk=self.delivery.pk)
        if self.end is not None and row != self.end:
            assert self.end == (S.FAILED, Cause.LOST, 0), "only a lost delivery is corrected"
            assert not self.corrected
            self.corrected = True
        if row[0] >= FINAL:
            self.end = row
        else:
            assert self.end is None
        assert self.announced_ends == (self.end is not None) + self.corrected
        assert LateReport.objects.filter(delivery=self.delivery.pk).count() == self.corrected
        captures = CreditEntry.objects.filter(kind="capture", cause=f"delivery:{self.delivery.pk}")
        assert [entry.amount for entry in captures] == ([row[2]] if row[2] else [])
        assert row[2] == 0 or row[0] in (S.COMPLETED, S.HUNGUP)

    @invariant()
    def the_ledger_is_exact(self) -> None:
        assert check_ledger().differences == ()


@pytest.mark.field
@pytest.mark.django_db
def test_events_in_any_order_end_in_one_status_and_at_most_one_capture() -> None:
    run_state_machine_as_test(
        DeliveryLife,
        settings=settings(
            max_examples=at_scale(12, 1000),
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
