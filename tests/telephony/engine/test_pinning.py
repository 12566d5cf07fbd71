"""Pinned deliveries stay on their trunk, and all reports since their first submission belong to them."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any, ClassVar

import pytest
from django.db import connection
from django.utils import timezone

from telephony.carriers import get_carrier
from telephony.carriers.base import CarrierEvent, Later, Unknown
from telephony.carriers.sandbox import SandboxCarrier
from telephony.engine import delivery_reports, lifecycle, unmatched_reports
from telephony.models import Delivery, DeliveryStatus, Repetition, Trunk, UnmatchedReport
from tests.factories import make_delivery, make_trunk

pytestmark = pytest.mark.django_db

S = DeliveryStatus
HOUR = timedelta(hours=1)


class Pinning(SandboxCarrier):
    """A carrier that recalls an earlier submission before it sends the delivery again."""

    pins_resends: ClassVar = True
    recall_text: ClassVar = "WITHDRAWN"


@pytest.fixture
def trunk(settings: Any) -> Trunk:
    settings.CARRIERS = {"sandbox": {"BACKEND": f"{__name__}.Pinning", "CPS": None, "CHANNELS": None}}
    return make_trunk("sandbox")


def unknown(trunk: Trunk, **fields: Any) -> Delivery:
    claimed_at = timezone.now() - HOUR
    return make_delivery(
        **{"trunk": trunk, "status": S.UNKNOWN, "attempts": 1, "claimed_at": claimed_at, **fields}
    )


def report(delivery: Delivery, *, text: str = "", ago: timedelta = timedelta(minutes=1)) -> None:
    """Let the carrier report the end of an SMS to the number of a delivery under an unknown id."""
    event = CarrierEvent(
        ref="1",
        number=delivery.to,
        status=S.COMPLETED if not text else S.FAILED,
        text=text,
        at=timezone.now(),
    )
    delivery_reports.apply_events("sandbox", [event])
    UnmatchedReport.objects.update(created_at=timezone.now() - ago)


def test_look_up_pins_a_delivery_from_its_first_submission_on(trunk: Trunk) -> None:
    delivery = unknown(trunk)
    first = delivery.claimed_at
    delivery_reports.look_up_unknown("sandbox")
    delivery.refresh_from_db()
    assert (delivery.status, delivery.pinned_since) == (S.QUEUED, first)
    Delivery.objects.update(status=S.UNKNOWN, attempts=2, claimed_at=timezone.now() - HOUR / 2)
    delivery_reports.look_up_unknown("sandbox")
    delivery.refresh_from_db()
    assert (delivery.status, delivery.pinned_since) == (S.QUEUED, first)


def test_look_up_pins_nothing_for_a_carrier_without_recalls(
    trunk: Trunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pinning, "pins_resends", False)
    delivery = unknown(trunk)
    delivery_reports.look_up_unknown("sandbox")
    delivery.refresh_from_db()
    assert (delivery.status, delivery.pinned_since) == (S.QUEUED, None)


def test_pinned_delivery_stays_pinned_when_it_is_queued_again_for_another_reason(trunk: Trunk) -> None:
    pinned_since = timezone.now() - HOUR
    delivery = make_delivery(trunk=trunk, status=S.SUBMITTING, pinned_since=pinned_since)
    lifecycle.apply_results([Later(key=str(delivery.pk), seconds=0)], report_timeout=60)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.pinned_since) == (S.QUEUED, pinned_since)


def test_after_a_resend_only_reports_that_came_after_its_claim_count(trunk: Trunk) -> None:
    claimed_at = timezone.now() - HOUR
    pinned, other = (
        make_delivery(trunk=trunk, status=S.SUBMITTING, claimed_at=claimed_at, pinned_since=since)
        for since in (timezone.now() - 2 * HOUR, None)
    )
    lifecycle.apply_results(
        [Unknown(key=str(one.pk), resent=True) for one in (pinned, other)], report_timeout=60
    )
    pinned.refresh_from_db()
    other.refresh_from_db()
    assert (pinned.pinned_since, other.pinned_since) == (claimed_at, None)


def test_unknown_result_of_an_unsent_resend_changes_nothing(trunk: Trunk) -> None:
    pinned_since = timezone.now() - 2 * HOUR
    delivery = make_delivery(
        trunk=trunk, status=S.SUBMITTING, claimed_at=timezone.now() - HOUR, pinned_since=pinned_since
    )
    lifecycle.apply_results([Unknown(key=str(delivery.pk))], report_timeout=60)
    delivery.refresh_from_db()
    assert delivery.pinned_since == pinned_since


@pytest.mark.parametrize(("pinned", "expected"), [(True, S.COMPLETED), (False, S.UNKNOWN)])
def test_report_from_before_the_last_claim_counts_only_for_a_pinned_delivery(
    trunk: Trunk, pinned: bool, expected: DeliveryStatus
) -> None:
    delivery = unknown(trunk, pinned_since=timezone.now() - 3 * HOUR if pinned else None)
    report(delivery, ago=2 * HOUR)
    unmatched_reports.match_by_number(get_carrier("sandbox"))
    delivery.refresh_from_db()
    assert delivery.status == expected


def test_report_that_confirms_our_own_recall_is_ignored(trunk: Trunk) -> None:
    delivery = unknown(trunk)
    report(delivery, text="WITHDRAWN by its sender")
    assert unmatched_reports.match_by_number(get_carrier("sandbox")) == 0
    assert Delivery.objects.get().status == S.UNKNOWN


def test_recall_text_is_an_ordinary_report_for_a_carrier_without_recalls(
    trunk: Trunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pinning, "recall_text", "")
    delivery = unknown(trunk)
    report(delivery, text="WITHDRAWN by its sender")
    assert unmatched_reports.match_by_number(get_carrier("sandbox")) == 1
    assert Delivery.objects.get().status == S.FAILED


class TestWorkersOfThePreviousRelease:
    """Workers of the previous release write `telephony_repetition.since`, and may run until the upgrade has finished."""

    def test_repetition_written_by_an_older_worker_pins_the_delivery(self) -> None:
        delivery, other = make_delivery(status=S.UNKNOWN), make_delivery(status=S.UNKNOWN)
        first, second = timezone.now() - 2 * HOUR, timezone.now() - HOUR
        with connection.cursor() as cursor:
            insert = """INSERT INTO telephony_repetition AS known (delivery_id, since, times) VALUES (%s, %s, 1)
                        ON CONFLICT (delivery_id) DO UPDATE SET times = known.times + 1"""
            cursor.execute(insert, [delivery.pk, first])
            assert Delivery.objects.get(pk=delivery.pk).pinned_since == first
            cursor.execute(insert, [delivery.pk, second])
            assert Delivery.objects.get(pk=delivery.pk).pinned_since == first
            cursor.execute("UPDATE telephony_repetition SET since = %s", [second])
        assert Delivery.objects.get(pk=delivery.pk).pinned_since == second
        assert Delivery.objects.get(pk=other.pk).pinned_since is None

    def test_migration_pins_unfinished_deliveries_that_older_workers_have_resent(self) -> None:
        since = timezone.now() - HOUR
        resent, finished, other = (
            make_delivery(status=status) for status in (S.QUEUED, S.COMPLETED, S.QUEUED)
        )
        for delivery in (resent, finished):
            Repetition.objects.create(delivery=delivery, since=since)
        Delivery.objects.update(pinned_since=None)
        migration = import_module("telephony.migrations.0018_pin_deliveries")
        with connection.cursor() as cursor:
            cursor.execute(migration.PIN)
        assert dict(Delivery.objects.values_list("pk", "pinned_since")) == {
            resent.pk: since,
            finished.pk: None,
            other.pk: None,
        }
