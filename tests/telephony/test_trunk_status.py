"""`manage.py trunk_status` shows operators the state of each trunk."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from telephony.engine import circuit_breaker
from telephony.models import Channel, DeliveryStatus, PauseCause, Trunk
from tests.factories import make_delivery, make_trunk

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _two_trunks(settings: Any) -> None:
    settings.CARRIERS = {
        "sandbox": {
            "BACKEND": "telephony.carriers.sandbox.SandboxCarrier",
            "CPS": None,
            "CHANNELS": None,
        },
        "line": {
            "BACKEND": "tests.telephony.engine.test_trunk_worker.TestedSession",
            "OPTIONS": {},
            "CPS": 2.5,
            "CHANNELS": 30,
        },
    }


def trunk_status() -> dict[str, dict[str, str]]:
    output = StringIO()
    call_command("trunk_status", stdout=output)
    trunks: dict[str, dict[str, str]] = {}
    for line in output.getvalue().splitlines():
        if not line.startswith(" "):
            trunks[line.split()[0]] = trunk = {}
        else:
            name, _, text = line.strip().partition(":")
            trunk[name] = text.strip()
    return trunks


def test_status_of_a_trunk_without_connection_or_limits() -> None:
    assert trunk_status()["sandbox"] == {
        "connection": "not needed: this carrier keeps no connection",
        "state": "open",
        "pace": "no limit",
        "channels": "0 busy, no limit",
        "queue": "0 waiting, 0 under way",
        "last error": "none",
    }


def test_status_counts_busy_channels_and_queued_deliveries() -> None:
    line = make_trunk("line")
    for status in (DeliveryStatus.QUEUED, DeliveryStatus.RINGING, DeliveryStatus.ANSWERED):
        make_delivery(trunk=line, channel=Channel.CALL, status=status)
    make_delivery(trunk=line, channel=Channel.CALL, status=DeliveryStatus.COMPLETED)
    assert trunk_status()["line"]["pace"] == "2.5 a second"
    assert trunk_status()["line"]["channels"] == "2 busy of 30"
    assert trunk_status()["line"]["queue"] == "1 waiting, 2 under way"


def test_status_without_a_worker_names_its_command() -> None:
    assert (
        trunk_status()["line"]["connection"]
        == "not connected yet; start its worker: `celery --app iris worker --queues trunk.line`"
    )


def test_status_shows_the_age_of_a_connection_and_dead_workers() -> None:
    make_trunk("line")
    Trunk.objects.update(session="registered as branch", session_at=timezone.now())
    assert trunk_status()["line"]["connection"] == "registered as branch (0 s ago)"
    Trunk.objects.update(session_at=timezone.now() - timedelta(minutes=10))
    assert (
        trunk_status()["line"]["connection"]
        == "no worker since 10 min ago; its last status was: registered as branch"
    )


def test_status_of_resting_and_paused_trunks_names_the_reason() -> None:
    make_trunk("line")
    circuit_breaker.rest("line", reason="503 Service Unavailable", seconds=30)
    assert trunk_status()["line"]["state"] in {
        "resting for 30 s: 503 Service Unavailable",
        "resting for 29 s: 503 Service Unavailable",
    }
    assert trunk_status()["line"]["last error"] == (
        "503 Service Unavailable (0 s ago; it has accepted nothing since)"
    )
    circuit_breaker.fail("line", reason="wrong password", cause=PauseCause.MISCONFIGURED)
    assert trunk_status()["line"]["state"] in {
        "paused, tried with one call or SMS in 300 s: wrong password",
        "paused, tried with one call or SMS in 299 s: wrong password",
    }
    circuit_breaker.pause("line", reason="maintenance")
    assert trunk_status()["line"]["state"] == "paused until an operator resumes it: maintenance"


def test_status_says_whether_the_carrier_has_accepted_anything_since_the_last_error() -> None:
    line, other = make_trunk("line"), make_trunk("sandbox")
    now = timezone.now()
    before, after = now - timedelta(minutes=9), now - timedelta(minutes=2)
    make_delivery(trunk=line, channel=Channel.CALL, status=DeliveryStatus.COMPLETED, submitted_at=before)
    make_delivery(
        trunk=line, channel=Channel.CALL, status=DeliveryStatus.FAILED, cause="refused", submitted_at=after
    )
    make_delivery(trunk=other, channel=Channel.CALL, status=DeliveryStatus.COMPLETED, submitted_at=after)
    Trunk.objects.filter(alias="line").update(last_error="503 Full", last_error_at=now - timedelta(minutes=5))
    assert trunk_status()["line"]["last error"] == "503 Full (5 min ago; it has accepted nothing since)"
    make_delivery(trunk=line, channel=Channel.CALL, status=DeliveryStatus.HUNGUP, submitted_at=after)
    assert trunk_status()["line"]["last error"] == "503 Full (5 min ago; it has accepted 1 since)"
