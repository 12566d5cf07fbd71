"""Test which delivery a report matches: by id, by the ids of its parts, too early, or if the response was lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from telephony.carriers import get_carrier
from telephony.carriers.base import Accepted, CarrierEvent, Later, Unknown
from telephony.engine import delivery_reports, lifecycle, unmatched_reports
from telephony.models import Cause, Delivery, DeliveryStatus, MessagePart, Trunk, UnmatchedReport
from tests.factories import make_delivery

S = DeliveryStatus
LONG = "क" * 150


def submitting(trunk: Trunk, **fields: Any) -> Delivery:
    return make_delivery(trunk=trunk, status=S.SUBMITTING, claimed_at=timezone.now(), attempts=1, **fields)


def accepted(delivery: Delivery, ref: str, *parts: str) -> None:
    delivery_reports.apply_results(
        get_carrier("smsc"), [Accepted(key=str(delivery.pk), ref=ref, parts=parts)]
    )


def report(ref: str, status: DeliveryStatus = S.COMPLETED, *, number: str = "") -> CarrierEvent:
    cause = Cause.NONE if status == S.COMPLETED else Cause.REFUSED
    return CarrierEvent(ref=ref, number=number, status=status, cause=cause, at=timezone.now())


def status(delivery: Delivery) -> int:
    return Delivery.objects.values_list("status", flat=True).get(pk=delivery.pk)


def skip_grace_period() -> None:
    ago = timedelta(seconds=unmatched_reports.MATCH_GRACE_SECONDS + 1)
    Delivery.objects.update(claimed_at=F("claimed_at") - ago)
    UnmatchedReport.objects.update(created_at=F("created_at") - ago)


class TestParts:
    def test_sms_is_delivered_when_all_its_parts_are(self, trunk: Trunk) -> None:
        delivery = submitting(trunk, text=LONG)
        accepted(delivery, "a", "a", "b", "c")
        delivery_reports.apply_events("smsc", [report("a"), report("a"), report("c")])
        assert status(delivery) == S.SUBMITTED
        delivery_reports.apply_events("smsc", [report("b")])
        assert status(delivery) == S.COMPLETED

    def test_sms_fails_when_one_of_its_parts_fails(self, trunk: Trunk) -> None:
        delivery = submitting(trunk, text=LONG)
        accepted(delivery, "a", "a", "b", "c")
        delivery_reports.apply_events("smsc", [report("a"), report("b", S.FAILED)])
        assert status(delivery) == S.FAILED
        delivery_reports.apply_events("smsc", [report("c")])
        assert status(delivery) == S.FAILED
        assert not UnmatchedReport.objects.exists()

    def test_reports_of_two_sms_are_kept_apart(self, trunk: Trunk) -> None:
        one, two = submitting(trunk, text=LONG), submitting(trunk)
        accepted(one, "a", "a", "b")
        accepted(two, "z")
        delivery_reports.apply_events("smsc", [report("a"), report("z"), report("b")])
        assert (status(one), status(two)) == (S.COMPLETED, S.COMPLETED)


class TestEarlyReports:
    def test_early_report_counts_when_the_response_is_recorded(self, trunk: Trunk) -> None:
        delivery = submitting(trunk)
        delivery_reports.apply_events("smsc", [report("early")])
        assert status(delivery) == S.SUBMITTING
        accepted(delivery, "early")
        assert status(delivery) == S.COMPLETED
        assert not UnmatchedReport.objects.exists()

    def test_early_reports_on_parts_count_when_the_response_is_recorded(self, trunk: Trunk) -> None:
        delivery = submitting(trunk, text=LONG)
        delivery_reports.apply_events("smsc", [report("a"), report("b"), report("c")])
        accepted(delivery, "a", "a", "b", "c")
        assert status(delivery) == S.COMPLETED

    def test_tick_matches_reports_recorded_concurrently_with_their_response(self, trunk: Trunk) -> None:
        delivery = submitting(trunk)
        lifecycle.apply_results([Accepted(key=str(delivery.pk), ref="early")], report_timeout=60)
        unmatched_reports.store("smsc", [report("early"), report("never")])
        delivery_reports.match_again("smsc")
        assert status(delivery) == S.COMPLETED
        assert [kept.ref for kept in UnmatchedReport.objects.all()] == ["never"]

    def test_number_of_statements_does_not_grow_with_the_batch(self, trunk: Trunk) -> None:
        costs = []
        for count in (1, 20):
            answers = [Accepted(key=str(submitting(trunk).pk), ref=f"{count}-{n}") for n in range(count)]
            with CaptureQueriesContext(connection) as queries:
                delivery_reports.apply_results(get_carrier("smsc"), answers)
            costs.append(len(queries))
        assert costs[0] == costs[1]

    def test_unmatched_reports_are_pruned(self, trunk: Trunk) -> None:
        delivery_reports.apply_events("smsc", [report("old"), report("new")])
        UnmatchedReport.objects.filter(ref="old").update(created_at=timezone.now() - timedelta(days=4))
        accepted(submitting(trunk, text=LONG), "p", "p", "q")
        MessagePart.objects.update(created_at=timezone.now() - timedelta(days=4))
        unmatched_reports.prune()
        assert [kept.ref for kept in UnmatchedReport.objects.all()] == ["new"]
        assert not MessagePart.objects.exists()


class TestLostResponses:
    def test_report_matches_by_number_if_the_response_was_lost(self, trunk: Trunk) -> None:
        delivery = submitting(trunk)
        other = submitting(trunk)
        lifecycle.apply_results([Unknown(key=str(d.pk)) for d in (delivery, other)], report_timeout=60)
        delivery_reports.apply_events("smsc", [report("77", number=delivery.to)])
        delivery_reports.match_again("smsc")
        assert status(delivery) == S.UNKNOWN, "its answer may be on its way to the record"
        skip_grace_period()
        delivery_reports.match_again("smsc")
        assert (status(delivery), status(other)) == (S.COMPLETED, S.UNKNOWN)
        assert not UnmatchedReport.objects.exists()

    def test_long_sms_needs_a_report_on_each_part(self, trunk: Trunk) -> None:
        delivery = submitting(trunk, text=LONG)
        lifecycle.apply_results([Unknown(key=str(delivery.pk))], report_timeout=60)
        delivery_reports.apply_events(
            "smsc", [report("1", number=delivery.to), report("2", number=delivery.to)]
        )
        skip_grace_period()
        delivery_reports.match_again("smsc")
        assert status(delivery) == S.UNKNOWN
        delivery_reports.apply_events("smsc", [report("3", number=delivery.to)])
        skip_grace_period()
        delivery_reports.match_again("smsc")
        assert status(delivery) == S.COMPLETED

    def test_duplicate_report_does_not_count_for_another_part(self, trunk: Trunk) -> None:
        delivery = submitting(trunk, text=LONG)
        lifecycle.apply_results([Unknown(key=str(delivery.pk))], report_timeout=60)
        one, two, three = (report(ref, number=delivery.to) for ref in "123")
        delivery_reports.apply_events("smsc", [one, two, one])
        delivery_reports.apply_events("smsc", [two])
        skip_grace_period()
        delivery_reports.match_again("smsc")
        assert status(delivery) == S.UNKNOWN
        delivery_reports.apply_events("smsc", [three])
        skip_grace_period()
        delivery_reports.match_again("smsc")
        assert status(delivery) == S.COMPLETED

    @pytest.mark.parametrize("text", ["Namaste", LONG], ids=["short", "long"])
    def test_duplicate_report_does_not_match_the_next_sms_to_the_number(
        self, trunk: Trunk, text: str
    ) -> None:
        one, two = submitting(trunk, text=text), submitting(trunk, text=text, to="+9779841000002")
        reports = [report(ref, number=one.to) for ref in "123"][: 3 if text == LONG else 1]
        lifecycle.apply_results([Unknown(key=str(d.pk)) for d in (one, two)], report_timeout=60)
        delivery_reports.apply_events("smsc", reports)
        skip_grace_period()
        delivery_reports.match_again("smsc")
        Delivery.objects.filter(pk=two.pk).update(to=one.to)
        delivery_reports.apply_events("smsc", reports)
        skip_grace_period()
        delivery_reports.match_again("smsc")
        assert (status(one), status(two)) == (S.COMPLETED, S.UNKNOWN)

    def test_reports_on_the_first_attempt_count_until_the_resend_was_sent(self, trunk: Trunk) -> None:
        delivery = submitting(trunk)
        Delivery.objects.update(pinned_since=timezone.now() - timedelta(hours=2))
        lifecycle.apply_results([Unknown(key=str(delivery.pk))], report_timeout=60)
        delivery_reports.apply_events("smsc", [report("1", number=delivery.to)])
        UnmatchedReport.objects.update(created_at=timezone.now() - timedelta(hours=1))
        delivery_reports.match_again("smsc")
        assert status(delivery) == S.COMPLETED

    def test_two_sms_to_one_number_take_one_report_each(self, trunk: Trunk) -> None:
        one = submitting(trunk, to="+9779841000001")
        two = submitting(trunk, to="+9779841000001")
        lifecycle.apply_results([Unknown(key=str(d.pk)) for d in (one, two)], report_timeout=60)
        delivery_reports.apply_events("smsc", [report("1", number=one.to)])
        skip_grace_period()
        delivery_reports.match_again("smsc")
        assert (status(one), status(two)) == (S.COMPLETED, S.UNKNOWN)

    def test_deleted_report_does_not_match_a_later_attempt(self, trunk: Trunk) -> None:
        delivery = submitting(trunk)
        lifecycle.apply_results([Unknown(key=str(delivery.pk))], report_timeout=60)
        deleted = report("1", S.FAILED, number=delivery.to)
        delivery_reports.apply_events("smsc", [replace(deleted, text="DELETED")])
        skip_grace_period()
        delivery_reports.match_again("smsc")
        assert status(delivery) == S.UNKNOWN
        delivery_reports.apply_events("smsc", [report("2", number=delivery.to)])
        skip_grace_period()
        delivery_reports.match_again("smsc")
        assert status(delivery) == S.COMPLETED

    def test_late_report_corrects_a_lost_sms_without_an_id_and_an_unknown_one_first(
        self, trunk: Trunk
    ) -> None:
        lost, unknown = submitting(trunk), submitting(trunk, to="+9779841000002")
        lifecycle.apply_results([Unknown(key=str(d.pk)) for d in (lost, unknown)], report_timeout=0)
        Delivery.objects.filter(pk=lost.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
        Delivery.objects.filter(pk=unknown.pk).update(expires_at=None, to=lost.to)
        lifecycle.lose_unreported()
        assert (status(lost), status(unknown)) == (S.FAILED, S.UNKNOWN)
        delivery_reports.apply_events("smsc", [report("1", number=lost.to)])
        skip_grace_period()
        delivery_reports.match_again("smsc")
        assert (status(lost), status(unknown)) == (S.FAILED, S.COMPLETED)
        delivery_reports.apply_events("smsc", [report("1", number=lost.to), report("2", number=lost.to)])
        skip_grace_period()
        delivery_reports.match_again("smsc")
        assert status(lost) == S.COMPLETED

    def test_report_older_than_the_submission_does_not_match(self, trunk: Trunk) -> None:
        delivery = submitting(trunk)
        lifecycle.apply_results([Unknown(key=str(delivery.pk))], report_timeout=60)
        delivery_reports.apply_events("smsc", [report("1", number=delivery.to)])
        UnmatchedReport.objects.update(created_at=timezone.now() - timedelta(hours=1))
        delivery_reports.match_again("smsc")
        assert status(delivery) == S.UNKNOWN


def test_result_recorded_twice_does_not_requeue_a_later_attempt(trunk: Trunk) -> None:
    delivery = submitting(trunk)
    later = Later(key=str(delivery.pk), seconds=0, attempt=1)
    delivery_reports.apply_results(get_carrier("smsc"), [later])
    assert status(delivery) == S.QUEUED
    Delivery.objects.update(status=S.SUBMITTING, attempts=2)
    delivery_reports.apply_results(get_carrier("smsc"), [later])
    assert status(delivery) == S.SUBMITTING


def test_acceptance_completes_the_sms_if_no_report_will_follow(trunk: Trunk) -> None:
    delivery = submitting(trunk)
    delivery_reports.apply_results(
        get_carrier("smsc"), [Accepted(key=str(delivery.pk), ref="1", completes=True)]
    )
    delivery.refresh_from_db()
    assert (delivery.status, delivery.credits, delivery.delivered_at) == (S.COMPLETED, 1, None)
