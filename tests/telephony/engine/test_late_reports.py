"""A report that comes after its delivery was lost corrects it once: status, recipient, totals and credits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import credits
from accounts.ledger import check_ledger
from accounts.models import Account
from campaigns.reports.totals import credits_of
from campaigns.runs import run_statuses as runs
from campaigns.runs.stop import stop
from telephony.carriers.base import CarrierEvent
from telephony.engine import delivery_reports, lifecycle, retention
from telephony.engine.lifecycle import Report
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, LateReport
from tests.factories import (
    make_account,
    make_campaign,
    make_delivery,
    make_delivery_of,
    make_hold,
    make_run,
    make_trunk,
)
from tests.telephony.engine.late import PRICE, booked, close_hold, late, lost, person_of, rerun, run_with_lost

S = DeliveryStatus


@pytest.mark.django_db
class TestCredits:
    def test_price_comes_from_the_open_hold(self) -> None:
        delivery = lost(balance=5)
        assert late(delivery) == 1
        delivery.refresh_from_db()
        assert (delivery.status, delivery.cause, delivery.credits) == (S.COMPLETED, "", PRICE)
        assert delivery.delivered_at is not None
        assert booked(delivery) == (PRICE, 0, 0)
        assert Account.objects.get(pk=delivery.owner_id).balance == 5

    def test_price_is_charged_to_the_balance_when_the_hold_is_closed(self) -> None:
        delivery = lost(balance=5)
        close_hold(delivery)
        late(delivery)
        assert booked(delivery) == (0, PRICE, 0)
        assert Account.objects.get(pk=delivery.owner_id).balance == 5
        hold = delivery.hold
        assert hold is not None
        hold.refresh_from_db()
        assert (hold.captured, hold.remaining) == (PRICE, 0)

    def test_price_is_charged_up_to_the_balance_and_the_rest_written_off(self, capsys: Any) -> None:
        delivery = lost()
        close_hold(delivery)
        credits.charge(account=delivery.owner, amount=Decimal(2), cause="other")
        late(delivery)
        assert booked(delivery) == (0, 1, 2)
        assert Account.objects.get(pk=delivery.owner_id).balance == 0
        delivery.refresh_from_db()
        assert (delivery.status, delivery.credits) == (S.COMPLETED, 1)
        call_command("trunk_status")
        shown = capsys.readouterr().out
        assert (
            "1 lost deliveries were reported after all; 2.00 credits of their price are written off" in shown
        )

    def test_credits_that_unfinished_deliveries_need_are_left_in_the_hold(self) -> None:
        owner = make_account(credits=4)
        hold = make_hold(account=owner, amount=4)
        delivery = lost(owner=owner, hold=hold, batch=77)
        other = make_delivery(
            owner=owner, hold=hold, batch=77, credit_limit=PRICE, status=S.SUBMITTED, ref="8"
        )
        late(delivery)
        assert booked(delivery) == (1, 0, 2)
        lifecycle.apply_reports([Report(id=other.pk, status=S.COMPLETED, at=timezone.now())])
        other.refresh_from_db()
        assert (other.status, other.credits) == (S.COMPLETED, PRICE)
        assert check_ledger().differences == ()

    def test_no_more_is_captured_than_was_held_at_first(self) -> None:
        owner = make_account(credits=50)
        hold = make_hold(account=owner, amount=5)
        deliveries = [lost(owner=owner, hold=hold) for _ in range(3)]
        close_hold(deliveries[0])
        for delivery in deliveries:
            late(delivery)
        assert [booked(delivery) for delivery in deliveries] == [(0, 3, 0), (0, 2, 1), (0, 0, 3)]
        assert Account.objects.get(pk=owner.pk).balance == 45

    def test_many_late_reports_take_as_many_statements_as_one(self) -> None:
        costs = []
        for count in (1, 20):
            deliveries = [lost(balance=5) for _ in range(count)]
            for delivery in deliveries:
                close_hold(delivery)
            with CaptureQueriesContext(connection) as queries:
                lifecycle.apply_reports(
                    [Report(id=d.pk, status=S.COMPLETED, at=timezone.now()) for d in deliveries]
                )
            costs.append(len(queries))
        assert costs[0] == costs[1]


@pytest.mark.django_db
class TestOnce:
    @pytest.mark.parametrize("status", [S.COMPLETED, S.FAILED])
    def test_second_late_report_changes_nothing(self, status: DeliveryStatus) -> None:
        delivery = lost()
        assert [late(delivery, status), late(delivery), late(delivery, S.FAILED)] == [1, 0, 0]
        delivery.refresh_from_db()
        assert delivery.status == status

    def test_sweeper_does_not_lose_it_again(self) -> None:
        delivery = lost()
        late(delivery)
        Delivery.objects.update(expires_at=timezone.now())
        lifecycle.lose_unreported()
        delivery.refresh_from_db()
        assert delivery.status == S.COMPLETED

    @pytest.mark.parametrize("cause", [Cause.REFUSED, Cause.OPTED_OUT, Cause.EXPIRED, Cause.INVALID])
    def test_only_lost_deliveries_are_corrected(self, cause: Cause) -> None:
        delivery = make_delivery(status=S.FAILED, cause=cause)
        assert late(delivery) == 0
        terminated = make_delivery(status=S.TERMINATED, cause=Cause.STOPPED)
        assert late(terminated) == 0

    @pytest.mark.parametrize("status", [S.SUBMITTED, S.RINGING, S.ANSWERED])
    def test_report_that_decides_nothing_corrects_nothing(self, status: DeliveryStatus) -> None:
        delivery = lost()
        assert late(delivery, status) == 0

    def test_call_is_priced_by_its_length(self) -> None:
        delivery = lost(channel=Channel.CALL)
        late(delivery, S.HUNGUP, cause=Cause.CUT_OFF, seconds=10.0, playback=40)
        delivery.refresh_from_db()
        assert (delivery.status, delivery.playback) == (S.HUNGUP, 40)
        assert 0 < delivery.credits <= PRICE

    def test_one_bad_report_keeps_no_other_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_trunk("sandbox")
        good, bad = lost(), lost()
        Delivery.objects.filter(pk=bad.pk).update(hold=None, credit_limit=PRICE, ref="bad")
        Delivery.objects.filter(pk=good.pk).update(ref="good")
        connection.cursor().execute(
            """CREATE FUNCTION fail_bad() RETURNS trigger LANGUAGE plpgsql AS
               $$BEGIN IF NEW.ref = 'bad' AND NEW.status = 100 THEN RAISE EXCEPTION 'bad'; END IF; RETURN NEW; END$$;
               CREATE TRIGGER fail_bad BEFORE UPDATE ON telephony_delivery FOR EACH ROW EXECUTE FUNCTION fail_bad()"""
        )
        events = [
            CarrierEvent(key=str(d.pk), status=S.COMPLETED, at=timezone.now()) for d in (bad, good, good)
        ]
        assert delivery_reports.apply_events("sandbox", events) == 1
        good.refresh_from_db()
        assert good.status == S.COMPLETED
        reports = [Report(id=d.pk, status=S.COMPLETED, at=None) for d in (bad, lost())]
        assert lifecycle.apply_isolated(reports) == 1


@pytest.mark.django_db
class TestRuns:
    def test_recipient_run_and_campaign_follow(self) -> None:
        run, (one, two) = run_with_lost()
        assert person_of(one) == (S.FAILED, 0)
        late(one)
        assert (person_of(one), person_of(two)) == ((S.COMPLETED, 1), (S.FAILED, 0))
        runs.finish(run.pk)
        late(two)
        assert (person_of(one), person_of(two)) == ((S.COMPLETED, 1), (S.COMPLETED, 1))
        assert (booked(one), booked(two)) == ((1, 0, 0), (0, 1, 0))
        assert credits_of(run.campaign) == 2
        run.hold.refresh_from_db()
        assert run.hold.captured == 2

    def test_stopped_run_is_corrected_too(self) -> None:
        run, (one, two) = run_with_lost()
        stop(campaign=run.campaign)
        late(one)
        assert person_of(one) == (S.COMPLETED, 1)
        assert booked(one) == (0, 1, 0)

    @pytest.mark.parametrize("status", [S.SUBMITTING, S.UNKNOWN, S.SUBMITTED, S.COMPLETED])
    def test_recipient_whom_a_later_run_is_reaching_is_not_reached_twice(
        self, status: DeliveryStatus
    ) -> None:
        run, (one, _) = run_with_lost()
        runs.finish(run.pk)
        rerun(run, status, one)
        before = person_of(one)
        assert late(one) == 0
        assert person_of(one) == before
        assert not LateReport.objects.exists()

    @pytest.mark.parametrize("status", [S.QUEUED, S.FAILED, S.TERMINATED])
    def test_recipient_whom_a_later_run_did_not_reach_is_corrected(self, status: DeliveryStatus) -> None:
        run, (one, _) = run_with_lost()
        runs.finish(run.pk)
        rerun(run, status, one)
        assert late(one) == 1
        assert person_of(one) == (S.COMPLETED, 1)

    def test_late_failure_does_not_hide_what_a_later_run_shows(self) -> None:
        run, (one, _) = run_with_lost()
        runs.finish(run.pk)
        rerun(run, S.TERMINATED, one)
        assert late(one, S.FAILED) == 1
        assert person_of(one)[0] == S.TERMINATED

    def test_recipient_who_was_reached_is_left_out_of_the_rerun_for_failed(self) -> None:
        run, (one, two) = run_with_lost()
        runs.finish(run.pk)
        again = make_run(campaign=run.campaign, statuses=[int(S.FAILED)])
        late(one)
        assert list(again.untouched().values_list("pk", flat=True)) == [two.item]

    def test_report_waits_until_the_later_run_ends_without_reaching(self) -> None:
        run, (one, _) = run_with_lost()
        runs.finish(run.pk)
        again = rerun(run, S.SUBMITTED, one, ref="other")
        event = CarrierEvent(ref=one.ref, number=one.to, status=S.COMPLETED, at=timezone.now())
        delivery_reports.apply_events("sandbox", [event])
        delivery_reports.match_again("sandbox")
        assert person_of(one)[0] == S.FAILED
        lifecycle.apply_reports([Report(id=again.pk, status=S.FAILED, at=None, cause=Cause.REFUSED)])
        delivery_reports.match_again("sandbox")
        assert person_of(one) == (S.COMPLETED, 1)

    def test_report_after_pruning_changes_nothing(self) -> None:
        run, (one, two) = run_with_lost()
        late(two)
        runs.finish(run.pk)
        retention.remove_in_chunks(retention.ended_campaign_deliveries([run.pk]), dry_run=False)
        assert late(one) == 0
        event = CarrierEvent(ref=one.ref, number=one.to, status=S.COMPLETED, at=timezone.now())
        assert delivery_reports.apply_events("sandbox", [event]) == 0
        assert booked(two) == (1, 0, 0), "the correction stays"

    def test_missed_call_that_is_reported_late_sends_no_sms(self) -> None:
        owner = make_account(credits=50)
        campaign = make_campaign(owner=owner, numbers=[9841000001])
        campaign.service = "both"
        campaign.save()
        run = make_run(campaign=campaign, held=9, failover_statuses=[int(S.UNANSWERED)])
        person = campaign.recipients.get()
        call = make_delivery_of(run=run, recipient=person, status=S.SUBMITTED)
        lifecycle.apply_reports([Report(id=call.pk, status=S.FAILED, at=None, cause=Cause.LOST)])
        late(call, S.UNANSWERED, cause=Cause.NO_ANSWER)
        assert person_of(call)[0] == S.UNANSWERED
        assert Delivery.objects.filter(channel=Channel.SMS).count() == 0
