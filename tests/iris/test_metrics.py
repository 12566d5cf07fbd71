"""/metrics shows the state of the installation, only to those who may read it, and names no account and no person."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from accounts.models import CreditEntry
from iris.health import record_heartbeat
from iris.metrics import collecting
from telephony.engine import circuit_breaker, outcomes
from telephony.models import DeliveryStatus, PauseCause, Purpose, Trunk
from tests.factories import make_account, make_campaign, make_delivery, make_run, make_trunk, make_user
from tests.iris.processes import ROOT
from tests.telephony.engine.test_outcomes import delivered, make_history

RULES = ROOT / "deploy" / "prometheus" / "iris.rules.yml"
RULE_TESTS = ROOT / "deploy" / "prometheus" / "iris.rules.test.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "iris.json"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
TOKEN = "a-token-of-sufficient-length"


def samples(text: str | None = None) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the values by name and label values, in the order of the labels' names."""
    text = Client().get("/metrics").content.decode() if text is None else text
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def make_everything() -> None:
    """Create at least one row for each figure."""
    make_run(campaign=make_campaign())
    call_command("check_ledger", verbosity=0)
    delivered(4)
    for status in (DeliveryStatus.QUEUED, DeliveryStatus.SUBMITTED):
        make_delivery(status=status, trunk=make_trunk())
    outcomes.count_due()
    for days_ago in (0, 2, 3):
        make_history(make_trunk(), days_ago=days_ago, delivered=200, silent=3)
    record_heartbeat()


@pytest.mark.django_db
class TestAccess:
    def test_this_machine_may_read_without_a_token(self) -> None:
        for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            assert Client(REMOTE_ADDR=address).get("/metrics").status_code == 200

    @pytest.mark.parametrize(
        "header", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded", "Via"]
    )
    def test_requests_through_a_proxy_on_this_machine_need_the_token(self, header: str) -> None:
        response = Client(headers={header: "192.0.2.1"}).get("/metrics")
        assert response.status_code == 403
        assert b"IRIS_METRICS_TOKEN" in response.content

    def test_other_machines_need_the_token(self, settings: Any) -> None:
        client = Client(REMOTE_ADDR="192.0.2.1")
        assert client.get("/metrics").status_code == 403
        assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 403
        settings.IRIS_METRICS_TOKEN = TOKEN
        for value in ("", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"):
            assert client.get("/metrics", headers={"Authorization": value}).status_code == 403
        assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200

    def test_unreadable_address_is_refused(self) -> None:
        assert Client(REMOTE_ADDR="").get("/metrics").status_code == 403

    def test_only_reading_is_allowed(self) -> None:
        assert Client().post("/metrics").status_code == 405


@pytest.mark.django_db
class TestFigures:
    def test_trunks_show_their_state_pace_and_queue(self, settings: Any) -> None:
        settings.CARRIERS = {"sandbox": {**settings.CARRIERS["sandbox"], "CPS": 20}}
        make_delivery(trunk=make_trunk())
        make_delivery(trunk=make_trunk(), purpose=Purpose.OTP)
        shown = samples()
        assert shown["iris_trunk_state", ("working", "sandbox")] == 1
        assert shown["iris_trunk_pace_setting", ("sandbox",)] == 20
        assert shown["iris_trunk_deliveries", ("sms", "otp", "queued", "sandbox")] == 1
        assert shown["iris_trunk_queue_age_seconds", ("sms", "campaign", "sandbox")] >= 0
        circuit_breaker.fail("sandbox", reason="no credit", cause=PauseCause.FUNDS)
        Trunk.objects.update(cps=7, claimed=41)
        shown = samples()
        assert shown["iris_trunk_state", ("working", "sandbox")] == 0
        assert shown["iris_trunk_state", ("paused", "sandbox")] == 1
        assert shown["iris_trunk_paused", ("funds", "sandbox")] == 1
        assert shown["iris_trunk_paused", ("operator", "sandbox")] == 0
        assert shown["iris_trunk_pace_setting", ("sandbox",)] == 7
        assert shown["iris_trunk_claimed_total", ("sandbox",)] == 41

    def test_openmetrics_is_answered_to_those_who_ask_for_it(self) -> None:
        make_everything()
        response = Client().get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        families = openmetrics.text_string_to_metric_families(response.content.decode())  # type: ignore[no-untyped-call]
        assert {family.name for family in families} >= {"iris_trunk_claimed", "iris_carrier_report_seconds"}

    def test_difference_in_the_ledger_shows_after_the_check(self) -> None:
        account = make_account(credits=5)
        call_command("check_ledger")
        assert samples()["iris_ledger_differences", ()] == 0
        type(account).objects.update(balance=6)
        assert CreditEntry.objects.exists()
        with pytest.raises(SystemExit):
            call_command("check_ledger")
        assert samples()["iris_ledger_differences", ()] > 0

    def test_no_account_no_person_and_no_number_is_named(self) -> None:
        user = make_user(email="sita@example.com", first_name="Sita")
        account = make_account(name="Ministry of Water")
        make_delivery(owner=account, to="+9779841555123", text="Confidential")
        make_everything()
        content = Client().get("/metrics").content.decode()
        for hidden in (user.email, "Sita", "Ministry", "9841555123", "Confidential"):
            assert hidden not in content

    def test_figures_cost_few_queries_however_many_deliveries_there_are(
        self, django_assert_max_num_queries: Callable[..., Any]
    ) -> None:
        make_everything()
        with django_assert_max_num_queries(40):
            Client().get("/metrics")


@pytest.mark.django_db(transaction=True)
def test_database_that_does_not_answer_in_time_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "STATEMENT_SECONDS", 0.2)
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("LOCK TABLE telephony_trunk IN ACCESS EXCLUSIVE MODE")
        response = Client().get("/metrics")
    assert response.status_code == 503
    assert Client().get("/metrics").status_code == 200


@pytest.mark.django_db
class TestPrometheus:
    @pytest.fixture(autouse=True)
    def _promtool(self, require_program: Callable[[str], str]) -> None:
        self.promtool = require_program("promtool")

    def run(self, *arguments: str, given: str = "") -> None:
        done = subprocess.run(
            [self.promtool, *arguments], input=given, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def test_promtool_accepts_the_metrics(self) -> None:
        make_everything()
        self.run("check", "metrics", given=Client().get("/metrics").content.decode())

    def test_promtool_accepts_the_rules_and_their_tests_pass(self) -> None:
        self.run("check", "rules", str(RULES))
        self.run("test", "rules", str(RULE_TESTS))


@pytest.mark.django_db
def test_rules_and_dashboard_use_metrics_that_exist(settings: Any) -> None:
    settings.CARRIERS = {
        "sandbox": {**settings.CARRIERS["sandbox"], "CPS": 20},
        "line": {
            "BACKEND": "telephony.carriers.smpp.SmppCarrier",
            "OPTIONS": {"host": "127.0.0.1", "system_id": "a", "password": "b"},
            "CPS": None,
            "CHANNELS": None,
        },
    }
    make_trunk("line")
    make_everything()
    exported = {name for name, _ in samples()}
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = set(re.findall(r"\biris_[a-z0-9_]+", "\n".join([RULES.read_text(), *expressions])))
    assert len(used) > 15
    assert used <= exported
    section = OPERATIONS.split("## Metrics and alerts")[1].split("\n## ")[0]
    documented = set(re.findall(r"`(iris_[a-z_]+)`", section))
    assert documented == {name.removesuffix("_bucket") for name in exported} - {"iris_info"}
    assert DASHBOARD.name in OPERATIONS
    assert RULES.name in OPERATIONS
