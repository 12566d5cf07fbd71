"""Deliveries of closed trunks move to other trunks, or the operator is warned."""

from __future__ import annotations

import logging
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from iris.errors import Unavailable
from telephony import tasks
from telephony.engine import backlog, routing
from telephony.models import Channel, Delivery, DeliveryStatus, Trunk
from tests.factories import make_delivery, make_trunk

pytestmark = pytest.mark.django_db

SANDBOX = {"BACKEND": "telephony.carriers.sandbox.SandboxCarrier", "CPS": None, "CHANNELS": None}


@pytest.fixture(autouse=True)
def _two_trunks(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CARRIERS = {"first": SANDBOX, "second": SANDBOX}
    settings.ROUTES = {"call": ["first"], "sms": ["first", "second"]}
    monkeypatch.setattr(backlog, "_warned_at", -backlog.WARN_SECONDS)


def pause(alias: str, *, seconds: int | None = None) -> None:
    until = None if seconds is None else timezone.now() + timedelta(seconds=seconds)
    Trunk.objects.filter(alias=alias).update(pause_reason="wrong password", paused_until=until)


def trunk_of(delivery: Delivery) -> str:
    return Delivery.objects.select_related("trunk").get(pk=delivery.pk).trunk.alias


def test_deliveries_of_a_removed_trunk_move_to_the_present_route() -> None:
    delivery = make_delivery(trunk=make_trunk("gone"))
    assert routing.move_from_closed_trunks() == 1
    assert trunk_of(delivery) == "first"


def test_deliveries_of_a_trunk_paused_without_end_move_to_another() -> None:
    delivery = make_delivery(trunk=make_trunk("first"))
    pause("first")
    assert routing.move_from_closed_trunks() == 1
    assert trunk_of(delivery) == "second"
    assert routing.move_from_closed_trunks() == 0


def test_pinned_delivery_stays_on_its_trunk() -> None:
    delivery = make_delivery(trunk=make_trunk("first"), pinned_since=timezone.now())
    pause("first")
    assert routing.move_from_closed_trunks() == 0
    assert trunk_of(delivery) == "first"


def test_pinned_delivery_of_a_removed_trunk_is_lost_and_not_sent_by_another() -> None:
    delivery = make_delivery(trunk=make_trunk("gone"), pinned_since=timezone.now())
    assert routing.move_from_closed_trunks() == 0
    delivery.refresh_from_db()
    assert (delivery.status, delivery.cause, delivery.credits) == (DeliveryStatus.FAILED, "lost", 0)


def test_deliveries_of_a_resting_trunk_stay() -> None:
    delivery = make_delivery(trunk=make_trunk("first"))
    pause("first", seconds=60)
    assert routing.move_from_closed_trunks() == 0
    assert trunk_of(delivery) == "first"


def test_deliveries_do_not_move_between_two_closed_trunks() -> None:
    deliveries = [make_delivery(trunk=make_trunk(alias)) for alias in ("first", "second")]
    pause("first")
    pause("second")
    assert routing.move_from_closed_trunks() == 0
    assert [trunk_of(delivery) for delivery in deliveries] == ["first", "second"]


def test_delivery_that_a_carrier_may_have_does_not_move() -> None:
    delivery = make_delivery(trunk=make_trunk("gone"), status=DeliveryStatus.UNKNOWN)
    assert routing.move_from_closed_trunks() == 0
    assert trunk_of(delivery) == "gone"


def test_longest_prefix_chooses_the_new_trunk(settings: Any) -> None:
    settings.ROUTES = {"call": [], "sms": ["first", {"prefix": "+97798", "trunks": ["second"]}]}
    gone = make_trunk("gone")
    nepali, other = (
        make_delivery(trunk=gone, to="+9779800000001"),
        make_delivery(trunk=gone, to="+911234567890"),
    )
    routing.move_from_closed_trunks()
    assert (trunk_of(nepali), trunk_of(other)) == ("second", "first")


def test_deliveries_that_cannot_move_do_not_block_other_deliveries(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from telephony.engine.lifecycle import sweeping

    monkeypatch.setattr(sweeping, "SWEEP_SIZE", 1)
    settings.ROUTES = {"call": [], "sms": ["first", {"prefix": "+97798", "trunks": ["second"]}]}
    first = make_trunk("first")
    make_delivery(trunk=first, to="+911234567890")
    movable = make_delivery(trunk=first, to="+9779800000001")
    pause("first")
    routing.move_from_closed_trunks()
    assert trunk_of(movable) == "second"


def test_tick_moves_deliveries_of_closed_trunks(settings: Any) -> None:
    delivery = make_delivery(trunk=make_trunk("gone"))
    tasks.tick()
    assert trunk_of(delivery) == "first"


def test_blocked_deliveries_are_counted_in_the_log_once_a_minute(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ROUTES = {"call": [], "sms": ["first"]}
    for _ in range(3):
        make_delivery(trunk=make_trunk("first"))
    pause("first")
    with caplog.at_level(logging.WARNING, logger="telephony.engine.backlog"):
        tasks.tick()
        tasks.tick()
    (warning,) = [
        record.getMessage() for record in caplog.records if record.name == "telephony.engine.backlog"
    ]
    assert warning.startswith(
        "3 deliveries wait on the trunk first: it is paused until an operator resumes it"
    )


def test_trunk_status_warns_about_deliveries_of_a_removed_trunk(settings: Any) -> None:
    settings.ROUTES = {"call": [], "sms": []}
    make_delivery(trunk=make_trunk("gone"))
    output = StringIO()
    call_command("trunk_status", stdout=output)
    assert "WARNING: 1 deliveries wait on gone: it is no longer configured" in output.getvalue()


def test_channel_without_a_route_is_unavailable(settings: Any) -> None:
    settings.ROUTES = {"call": [], "sms": ["first"]}
    with pytest.raises(Unavailable, match="No carrier is set up for"):
        routing.check_route(Channel.CALL)
