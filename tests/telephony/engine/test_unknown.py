"""iris asks the carrier about unknown deliveries. No unknown delivery is sent twice or counts as lost too early."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.utils import timezone

from telephony import tasks
from telephony.carriers import get_carrier
from telephony.carriers.base import Accepted, Carrier, CarrierEvent, Later, Result, Submission
from telephony.engine import delivery_reports, lifecycle
from telephony.models import Channel, Delivery, DeliveryStatus, Purpose
from tests.factories import make_delivery, make_trunk

pytestmark = pytest.mark.django_db

S = DeliveryStatus
DAY = 86_400.0


class PatientCarrier(Carrier):
    """A carrier whose report timeout is one day."""

    channels: ClassVar = frozenset(Channel)

    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        return [Accepted(key=one.key, ref="") for one in batch]

    def report_timeout(self) -> float:
        return DAY


@pytest.fixture
def patient(settings: Any) -> str:
    settings.CARRIERS = {
        **settings.CARRIERS,
        "patient": {
            "BACKEND": "tests.telephony.engine.test_unknown.PatientCarrier",
            "CPS": None,
            "CHANNELS": None,
        },
    }
    return "patient"


def unknown(**fields: Any) -> Delivery:
    """Create an unknown delivery whose lease ended long ago."""
    return make_delivery(
        **{
            "status": S.UNKNOWN,
            "attempts": 1,
            "claimed_at": timezone.now() - timedelta(minutes=2),
            "expires_at": timezone.now() + timedelta(hours=1),
            **fields,
        }
    )


def claim(delivery: Delivery) -> list[int]:
    claimed = lifecycle.claim(trunk_id=delivery.trunk_id, limit=10, call_limit=None, last_owner=0)
    return [one.id for one in claimed]


def seconds_left(delivery: Delivery) -> float:
    delivery.refresh_from_db()
    assert delivery.expires_at is not None
    return (delivery.expires_at - timezone.now()).total_seconds()


@pytest.mark.parametrize("stopped", [False, True], ids=["running campaign", "stopped campaign"])
def test_delivery_claimed_again_during_a_look_up_is_not_changed(
    stopped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = unknown()

    def look_up(keys: Sequence[str]) -> dict[str, bool]:
        """Before answering, let the process that outlived its lease requeue the delivery, and another claim it."""
        late = Later(key=str(delivery.pk), seconds=0)
        lifecycle.apply_results([late], report_timeout=60, attempts={delivery.pk: 1})
        assert claim(delivery) == [delivery.pk]
        if stopped:
            lifecycle.terminate(purpose=Purpose.CAMPAIGN, batch=delivery.batch)
        return dict.fromkeys(keys, False)

    monkeypatch.setattr(get_carrier("sandbox"), "look_up", look_up)
    delivery_reports.look_up_unknown("sandbox")
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == (S.SUBMITTING, 2)
    assert claim(delivery) == []


def test_delivery_that_the_carrier_does_not_have_is_queued_again() -> None:
    delivery = unknown()
    delivery_reports.look_up_unknown("sandbox")
    assert claim(delivery) == [delivery.pk]


def test_stopped_delivery_that_the_carrier_does_not_have_is_terminated() -> None:
    delivery = unknown(stopped=True)
    delivery_reports.look_up_unknown("sandbox")
    delivery.refresh_from_db()
    assert (delivery.status, delivery.cause) == (S.TERMINATED, "stopped")


def test_expired_lease_starts_the_carriers_own_report_timeout(patient: str, settings: Any) -> None:
    settings.IRIS_REPORT_TIMEOUT_SECONDS = 3600
    over = {"status": S.SUBMITTING, "expires_at": timezone.now() - timedelta(seconds=1)}
    theirs = make_delivery(trunk=make_trunk(patient), **over)
    removed = make_delivery(trunk=make_trunk("removed"), **over)
    tasks.tick()
    assert DAY - 60 < seconds_left(theirs) <= DAY
    assert 3600 - 60 < seconds_left(removed) <= 3600
    assert [theirs.status, removed.status] == [S.UNKNOWN, S.UNKNOWN]


def test_short_report_timeout_leaves_time_for_a_look_up() -> None:
    delivery = make_delivery(status=S.SUBMITTING, expires_at=timezone.now() - timedelta(seconds=1))
    lifecycle.expire_leases({"sandbox": 0.01})
    assert seconds_left(delivery) > 5 * lifecycle.LEASE_GRACE


@pytest.mark.parametrize("before", [S.SUBMITTING, S.UNKNOWN])
def test_first_report_starts_the_carriers_own_report_timeout(before: S, patient: str) -> None:
    delivery = unknown(trunk=make_trunk(patient), status=before)
    event = CarrierEvent(key=str(delivery.pk), status=S.RINGING, at=timezone.now())
    delivery_reports.apply_events(patient, [event])
    assert DAY - 60 < seconds_left(delivery) <= DAY
