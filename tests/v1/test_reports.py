"""Test CSV reports and the dashboard of v1, and the number of queries of lists."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account
from campaigns.models import Campaign, RunStatus, Service
from telephony.models import DeliveryStatus, Purpose
from tests.factories import (
    make_campaign,
    make_delivery,
    make_delivery_of,
    make_empty_campaign,
    make_recipient,
    make_run,
)
from tests.v1.caller import Caller

CONTACT = {
    "number": "9841000001",
    "status": "completed",
    "call_duration": "12s",
    "playback": "100",
    "credit_consumed": "2",
    "credit_consumed_SMS": "0",
    "carrier": "NTC",
}


def make_called_campaign(account: Account, **tags: Any) -> Campaign:
    campaign = make_empty_campaign(owner=account, service=Service.CALL, tags=list(tags))
    result = {"status": DeliveryStatus.COMPLETED, "seconds": 12, "playback": 100, "credits": 2}
    make_recipient(campaign=campaign, number=9841000001, tags=tags, **result)
    return campaign


def read(caller: Caller, campaign: Campaign, method: str = "get") -> list[dict[str, str]]:
    answer = getattr(caller.client, method)(
        f"/api/v1/download/report/{campaign.pk}/", HTTP_ACCEPT="application/json"
    )
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert answer["Content-Disposition"] == f'attachment; filename="campaign-{campaign.pk}.csv"'
    assert answer.streaming
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))


class TestReport:
    @pytest.mark.parametrize("method", ["get", "post"])
    def test_csv_report_has_a_row_for_each_contact(
        self, caller: Caller, account: Account, method: str
    ) -> None:
        campaign = make_called_campaign(account, tags_name="राम, “the” first", tags_age=22)
        make_recipient(campaign=campaign, number="+977-9801000001")
        first, second = read(caller, campaign, method)
        assert first.pop("updated_at") < second["updated_at"]
        assert first == {**CONTACT, "name": "राम, “the” first", "age": "22"}
        assert (second["status"], second["carrier"], second["age"]) == ("not started", "Ncell", "")

    def test_csv_report_has_the_sms_status_when_the_campaign_sends_sms(
        self, caller: Caller, account: Account
    ) -> None:
        campaign = make_empty_campaign(owner=account, service=Service.BOTH)
        make_recipient(campaign=campaign, status=DeliveryStatus.FAILED, sms_status=DeliveryStatus.COMPLETED)
        (row,) = read(caller, campaign)
        assert (row["status"], row["sms_status"]) == ("failed", "completed")

    @pytest.mark.parametrize(
        "formula",
        [
            '=HYPERLINK("http://evil.example")',
            "+1+1",
            "-2+3",
            "@SUM(A1)",
            "  =1",
            "＝1+1",
            "-",
        ],
    )
    def test_csv_report_escapes_formulas(self, caller: Caller, account: Account, formula: str) -> None:
        campaign = make_called_campaign(account, tags_name=formula)
        assert read(caller, campaign)[0]["name"] == f"'{formula}"

    @pytest.mark.parametrize(
        ("formula", "escaped"),
        [
            ("x;=1+1", "x;'=1+1"),
            ("x; +1;y", "x;' +1;y"),
            ('x;"=1"', 'x;\'"=1"'),
            ("\t=1", "'\t'=1"),
            ("=1\n=2", "'=1\n'=2"),
            ("x\r@SUM(A1)", "x\r'@SUM(A1)"),
            ("x|-2", "x|'-2"),
        ],
    )
    def test_csv_report_escapes_formulas_after_other_cell_separators(
        self, caller: Caller, account: Account, formula: str, escaped: str
    ) -> None:
        campaign = make_called_campaign(account, tags_name=formula)
        assert read(caller, campaign)[0]["name"] == escaped

    def test_csv_report_escapes_formulas_in_its_heading(self, caller: Caller, account: Account) -> None:
        campaign = make_called_campaign(account, **{"tags_=1+1": "x"})
        make_recipient(campaign=campaign, number="(984)-1000001")
        rows = read(caller, campaign)
        assert rows[0]["'=1+1"] == "x"
        assert rows[1]["number"] == "(984)-1000001"

    @pytest.mark.parametrize("value", ["+9779841000001", "Ward 4 - east", "a=b", -5, -1.5, 0, ""])
    def test_csv_report_leaves_harmless_values_unchanged(
        self, caller: Caller, account: Account, value: Any
    ) -> None:
        campaign = make_called_campaign(account, tags_name=value)
        assert read(caller, campaign)[0]["name"] == str(value)

    def test_csv_report_is_read_in_batches(
        self, caller: Caller, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        campaign = make_campaign(owner=account, numbers=range(9841000001, 9841000026))
        make_run(campaign=campaign, status=RunStatus.RUNNING)
        monkeypatch.setattr("campaigns.reports.totals.BATCH", 10)
        with CaptureQueriesContext(connection) as queries:
            rows = read(caller, campaign)
        assert [row["number"] for row in rows] == [str(number) for number in range(9841000001, 9841000026)]
        assert len(queries) == 4 + 4 * 3  # one of them notes the export in the audit log

    def test_csv_report_of_a_campaign_without_contacts_has_no_rows(
        self, caller: Caller, account: Account
    ) -> None:
        assert read(caller, make_empty_campaign(owner=account)) == []


class TestDashboard:
    @pytest.mark.parametrize("days", ["0", "-1", "x", "367", "1.5", "99999"])
    def test_dashboard_refuses_invalid_days(self, caller: Caller, days: str) -> None:
        assert "days" in caller.fails("GET", f"dashboard/?days={days}", status=400)

    def test_dashboard_ignores_deliveries_before_the_period(self, caller: Caller, account: Account) -> None:
        before = timezone.now() - timedelta(days=8)
        run = make_run(campaign=make_campaign(owner=account), status=RunStatus.RUNNING)
        for created in (before, timezone.now()):
            for fields in ({"purpose": Purpose.OTP}, {"batch": run.pk}):
                make_delivery(
                    owner=account,
                    created_at=created,
                    submitted_at=created,
                    status=DeliveryStatus.COMPLETED,
                    **fields,
                )
        assert caller.get("dashboard/?days=7")["outbound_sms"] == 2
        assert caller.get("dashboard/")["outbound_sms"] == 4

    def test_dashboard_ignores_other_accounts(self, caller: Caller) -> None:
        make_campaign(service=Service.CALL)
        make_delivery(status=DeliveryStatus.COMPLETED)
        answer = caller.get("dashboard/")
        assert (answer["campaigns"]["total"], answer["outbound_sms"], answer["credits_used"]) == (0, 0, 0)
        assert answer["total_credits_purchased"] == answer["remaining_credits"] == 100


class TestQueries:
    """Test that the number of queries does not depend on the number of rows."""

    def count(self, caller: Caller, path: str) -> int:
        caller.get(path)  # fills the caches
        with CaptureQueriesContext(connection) as queries:
            caller.get(path)
        return len(queries)

    def fill(self, account: Account, campaign: Campaign, run: Any) -> None:
        for number in range(9841000101, 9841000104):
            contact = make_recipient(campaign=campaign, number=number)
            make_delivery_of(run=run, recipient=contact, status=DeliveryStatus.RINGING)
            make_run(campaign=make_campaign(owner=account), status=RunStatus.RUNNING)
            make_run(campaign=make_campaign(owner=account), status=RunStatus.COMPLETED)

    @pytest.mark.parametrize(
        ("path", "max_queries"),
        [
            ("campaign/", 5),
            ("campaign/{}/", 7),
            ("campaign-detail/{}/", 8),
            ("dashboard/", 9),
            ("auths/list/send-otps/", 3),
            ("active-broker-phone/", 2),
            ("voice-models/", 1),
        ],
    )
    def test_number_of_queries_does_not_grow_with_the_rows(
        self, caller: Caller, account: Account, path: str, max_queries: int
    ) -> None:
        campaign = make_campaign(owner=account, service=Service.CALL, message="Namaste")
        run = make_run(campaign=campaign, status=RunStatus.RUNNING)
        path = path.format(campaign.pk)
        before = self.count(caller, path)
        self.fill(account, campaign, run)
        assert self.count(caller, path) == before <= max_queries

    def test_adding_many_contacts_uses_the_same_number_of_queries(
        self, caller: Caller, account: Account
    ) -> None:
        campaign = make_campaign(owner=account)

        def cost(n: int) -> int:
            contacts = [
                {"number": 9841001000 + number, "other_variables": {"name": str(number)}}
                for number in range(n)
            ]
            with CaptureQueriesContext(connection) as queries:
                caller.post(f"campaign/{campaign.pk}/add-contact/", {"contacts": contacts}, status=201)
            return len(queries)

        cost(1)
        assert cost(500) == cost(400) <= 22
        assert cost(2) <= 22
