"""Operators pause and resume trunks, set their pace, and see what carriers deliver, in the admin pages."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from telephony.engine import circuit_breaker
from telephony.models import PauseCause, Trunk
from tests.factories import make_trunk, make_user
from tests.telephony.engine.test_outcomes import make_history

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(make_user(email="operator@example.com", is_staff=True, is_superuser=True))
    return client


def change(operator: Client, **fields: str) -> int:
    page = reverse("admin:telephony_trunk_change", args=[make_trunk().pk])
    return operator.post(page, {"pause_reason": make_trunk().pause_reason, "cps": "", **fields}).status_code


def test_operator_pauses_and_resumes_a_trunk(operator: Client) -> None:
    assert change(operator, pause_reason="maintenance") == 302
    trunk = Trunk.objects.get()
    assert (trunk.is_paused, trunk.pause_cause, trunk.probe_at) == (True, PauseCause.OPERATOR, None)
    assert change(operator, pause_reason="") == 302
    assert not Trunk.objects.get().is_paused
    entries = AuditEntry.objects.filter(kind="trunk").order_by("pk")
    assert list(entries.values_list("action", "actor_email")) == [
        ("trunk_paused", "operator@example.com"),
        ("trunk_resumed", "operator@example.com"),
    ]


def test_operator_sets_the_pace_and_nothing_else_changes(operator: Client) -> None:
    circuit_breaker.fail("sandbox", reason="no credit", cause=PauseCause.FUNDS)
    make_trunk()
    circuit_breaker.fail("sandbox", reason="no credit", cause=PauseCause.FUNDS)
    assert change(operator, cps="7.5") == 302
    trunk = Trunk.objects.get()
    assert (trunk.cps, trunk.pause_cause) == (7.5, PauseCause.FUNDS)
    assert trunk.probe_at is not None
    assert change(operator, cps="") == 302
    assert Trunk.objects.get().cps is None


@pytest.mark.parametrize("pace", ["0", "-1", "nan", "1e9", "fast"])
def test_impossible_pace_is_refused_with_a_sentence(operator: Client, pace: str) -> None:
    assert change(operator, cps=pace) == 200
    assert Trunk.objects.get().cps is None


def test_page_shows_what_carriers_deliver_and_what_is_unusual(operator: Client) -> None:
    trunk = make_trunk("worse")
    for days_ago in range(2, 6):
        make_history(trunk, days_ago=days_ago, delivered=100, silent=0)
    make_history(trunk, days_ago=0, delivered=50, silent=50)
    assert reverse("admin:telephony_trunk_truth") in operator.get("/admin/telephony/trunk/").content.decode()
    page = operator.get(reverse("admin:telephony_trunk_truth"), {"days": "1"}).content.decode()
    assert "50.0%" in page
    assert "worse, NTC: 50.0% of the sms deliveries of the last day were never reported" in page
    for odd in ("0", "x", "9" * 400):
        assert operator.get(reverse("admin:telephony_trunk_truth"), {"days": odd}).status_code == 200


def test_page_is_for_operators_only() -> None:
    client = Client()
    assert client.get(reverse("admin:telephony_trunk_truth")).status_code == 302
    client.force_login(make_user())
    assert client.get(reverse("admin:telephony_trunk_truth")).status_code == 302
    client.force_login(make_user(is_staff=True))
    assert client.get(reverse("admin:telephony_trunk_truth")).status_code == 403
