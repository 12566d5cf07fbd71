"""A trunk that accepts SMS but has stopped reporting is paused, and resumes when reports come again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from telephony.carriers.base import CarrierEvent
from telephony.engine import canaries, delivery_reports, silence
from telephony.models import Delivery, DeliveryStatus, PauseCause, Trunk
from tests.factories import make_account, make_delivery, make_trunk
from tests.telephony.engine.test_outcomes import make_history

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "_watched_at", float("-inf"))
    monkeypatch.setattr(silence, "_noted_at", {})
    monkeypatch.setattr(silence, "_limits", {})


@pytest.fixture
def trunk() -> Trunk:
    """A trunk that usually reports within ten seconds, and last did so a quarter of an hour ago."""
    trunk = make_trunk()
    for days_ago in range(1, 5):
        make_history(trunk, days_ago=days_ago, delivered=100, silent=2)
    Trunk.objects.update(reported_at=timezone.now() - timedelta(minutes=15))
    return trunk


def submit(count: int, *, minutes_ago: float, **fields: Any) -> list[Delivery]:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    owner = make_account()
    return [
        make_delivery(
            owner=owner, status=DeliveryStatus.SUBMITTED, ref=f"{place}-{minutes_ago}", submitted_at=at, claimed_at=at,
            expires_at=at + timedelta(hours=1), **fields,
        )
        for place in range(count)
    ]  # fmt: skip


def cause() -> str:
    silence.watch()
    return Trunk.objects.get().pause_cause


def test_trunk_without_reports_for_longer_than_usual_is_paused_and_a_report_resumes_it(trunk: Trunk) -> None:
    waiting = submit(40, minutes_ago=10)
    assert cause() == PauseCause.SILENCE
    assert Trunk.objects.get().pause_reason == "It has reported on none of 40 SMS for 5 minutes."
    canaries.tend()
    assert Trunk.objects.get().is_paused
    report = CarrierEvent(ref=waiting[0].ref, status=DeliveryStatus.COMPLETED, at=timezone.now())
    delivery_reports.apply_events("sandbox", [report])
    canaries.tend()
    assert Trunk.objects.get().pause_reason == ""


def test_trunk_that_has_reported_meanwhile_is_not_silent(trunk: Trunk) -> None:
    submit(40, minutes_ago=10)
    Trunk.objects.update(reported_at=timezone.now() - timedelta(minutes=1))
    assert cause() == ""


def test_few_or_recent_sms_are_no_silence(trunk: Trunk) -> None:
    submit(29, minutes_ago=10)
    submit(100, minutes_ago=2)
    assert cause() == ""


def test_many_sms_to_one_recipient_are_no_silence(trunk: Trunk) -> None:
    submit(40, minutes_ago=10, to="+9779841000001")
    assert cause() == ""


def test_carrier_without_reports_is_never_silent() -> None:
    trunk = make_trunk()
    for days_ago in range(1, 5):
        make_history(trunk, days_ago=days_ago, delivered=0, silent=0, unconfirmed=1000)
    submit(100, minutes_ago=50)
    assert cause() == ""


def test_carrier_of_which_little_is_known_is_never_silent() -> None:
    make_history(make_trunk(), days_ago=1, delivered=50, silent=0)
    submit(100, minutes_ago=50)
    assert cause() == ""


def test_slow_carrier_gets_more_time(trunk: Trunk, settings: Any) -> None:
    settings.IRIS_REPORT_TIMEOUT_SECONDS = 10**6
    slow = make_trunk("slow")
    settings.CARRIERS = {**settings.CARRIERS, "slow": settings.CARRIERS["sandbox"]}
    make_history(slow, days_ago=1, delivered=300, silent=0)
    from telephony.models import OutcomeCount

    OutcomeCount.objects.filter(trunk=slow).update(latencies=[0] * 11 + [300] + [0] * 3)  # up to an hour
    assert silence.usual_limit("sandbox") == silence.MIN_SECONDS
    limit = silence.usual_limit("slow")
    assert limit is not None
    assert limit > 3 * 3600


def test_trunk_without_a_worker_is_paused_only_if_another_can_take_its_queue(settings: Any) -> None:
    options = {"host": "127.0.0.1", "system_id": "iris", "password": "secret"}
    line = {
        "BACKEND": "telephony.carriers.smpp.SmppCarrier",
        "OPTIONS": options,
        "CPS": None,
        "CHANNELS": None,
    }
    settings.CARRIERS = {**settings.CARRIERS, "line": line}
    settings.ROUTES = {"call": [], "sms": ["line"]}
    make_delivery(trunk=make_trunk("line"))
    Trunk.objects.update(session="stopped", session_at=timezone.now() - timedelta(minutes=6))
    assert cause() == ""
    settings.ROUTES = {"call": [], "sms": ["line", "sandbox"]}
    silence._watched_at = float("-inf")
    assert cause() == PauseCause.ERRORS
    assert Trunk.objects.get().pause_reason == "It has had no worker for 5 minutes."
