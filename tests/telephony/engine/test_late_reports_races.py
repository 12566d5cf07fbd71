"""A late report at the same time as another, a stop, the end of the run, pruning or a re-run; and in any order."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.ledger import check_ledger
from campaigns.models import Recipient
from campaigns.reports.totals import credits_of
from campaigns.runs import run_statuses as runs
from campaigns.runs.stop import stop
from telephony.engine import lifecycle, retention
from telephony.engine.lifecycle import Report
from telephony.models import Cause, Channel, DeliveryStatus, LateReport
from tests.factories import make_delivery
from tests.telephony.engine.late import close_hold, late, lost, person_of, rerun, run_with_lost

S = DeliveryStatus


@pytest.mark.django_db(transaction=True)
class TestRaces:
    """Two transactions at once: whichever comes first, the price is booked once and the ledger adds up."""

    @pytest.mark.parametrize("times", range(3))
    @pytest.mark.parametrize("rival", ["late", "stop", "finish", "prune", "rerun"])
    def test_late_report_and(self, rival: str, times: int) -> None:
        run, (one, two) = run_with_lost()
        if rival in ("rerun", "prune"):
            runs.finish(run.pk)
        again = rerun(run, S.SUBMITTED, one, ref="other") if rival == "rerun" else None
        others: dict[str, Callable[[], object]] = {
            "late": lambda: late(one),
            "stop": lambda: stop(campaign=run.campaign),
            "finish": lambda: runs.finish(run.pk),
            "prune": lambda: retention.remove_in_chunks(
                retention.ended_campaign_deliveries([run.pk]), dry_run=False
            ),
            "rerun": lambda: lifecycle.apply_reports(
                [Report(id=again.pk if again else 0, status=S.COMPLETED, at=timezone.now())]
            ),
        }
        at_once(lambda: late(one), others[rival])
        assert check_ledger().differences == ()
        rows = LateReport.objects.filter(delivery=one.pk)
        assert rows.count() <= 1
        if rival == "rerun":
            assert person_of(one) == (S.COMPLETED, 1 + rows.count())
        elif rival != "prune":
            assert rows.count() == 1
            assert person_of(one) == (S.COMPLETED, 1)
        assert credits_of(run.campaign) == Recipient.objects.get(pk=one.item).credits

    def test_reports_of_two_transactions_in_opposite_order_do_not_deadlock(self) -> None:
        worlds = [run_with_lost(numbers=4) for _ in range(4)]
        deliveries = [delivery for _, some in worlds for delivery in some]
        open_ones = [
            make_delivery(status=S.SUBMITTED, hold=run.hold, owner=run.campaign.owner, batch=run.pk)
            for run, _ in worlds
        ]
        reports = [
            Report(id=d.pk, status=S.COMPLETED, at=timezone.now())
            for pair in zip(deliveries[::4], open_ones, strict=True)
            for d in pair
        ] + [Report(id=d.pk, status=S.COMPLETED, at=timezone.now()) for d in deliveries]
        at_once(
            lambda: lifecycle.apply_reports(reports),
            lambda: lifecycle.apply_reports(reports[::-1]),
            lambda: [runs.finish(run.pk) for run, _ in worlds],
        )
        assert check_ledger().differences == ()
        assert LateReport.objects.count() == len(deliveries)


def at_once(*works: Callable[[], object]) -> None:
    """Run these in threads that begin together. Raise what one of them raises."""
    barrier = threading.Barrier(len(works))
    errors: list[Exception] = []

    def run(work: Callable[[], object]) -> None:
        try:
            barrier.wait()
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class AnyOrder(TestCase):
    """Whatever is reported in whatever order, a lost delivery changes at most once, and no credit appears or vanishes."""

    @settings(max_examples=25, suppress_health_check=[HealthCheck.differing_executors])
    @given(
        balance=st.integers(0, 4),
        closes=st.integers(0, 4),
        reports=st.lists(
            st.sampled_from([S.SUBMITTED, S.COMPLETED, S.FAILED, S.UNANSWERED, S.HUNGUP]),
            min_size=1,
            max_size=5,
        ),
        channel=st.sampled_from(Channel),
    )
    def test_lost_delivery_changes_at_most_once(
        self, balance: int, closes: int, reports: list[DeliveryStatus], channel: Channel
    ) -> None:
        delivery = lost(balance=balance, channel=channel)
        changes = 0
        for place, status in enumerate(reports):
            if place == closes:
                close_hold(delivery)
            changes += late(delivery, status, cause=Cause.NONE if status != S.FAILED else Cause.REFUSED)
        final = next((status for status in reports if status >= S.COMPLETED), None)
        delivery.refresh_from_db()
        assert changes == (final is not None)
        assert delivery.status == (final or S.FAILED)
        paid = sum(LateReport.objects.values_list("captured", flat=True)) + sum(
            LateReport.objects.values_list("charged", flat=True)
        )
        assert delivery.credits == paid <= delivery.credit_limit
        assert check_ledger().differences == ()
