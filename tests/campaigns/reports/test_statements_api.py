"""v0: statements as JSON and CSV."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest

from accounts.models import Account
from campaigns.reports.statements import MAX_LINES
from tests.campaigns.reports.bookings import (
    DAY,
    close_until_yesterday,
    make_sent_campaign,
    move_bookings_back,
    today,
)
from tests.v0 import Caller

PATH = "/api/system/credits/statement/"


class TestApi:
    def test_statement_is_json_with_exact_amounts(self, sita: Account) -> None:
        campaign = make_sent_campaign(sita, name="=1+1")
        answer = Caller(sita).get(f"{PATH}?from={today()}&to={today()}")["data"]["statement"]
        assert answer["opening"] == {"balance": "0.00", "held": "0.00"}
        assert answer["closing"] == {"balance": "99.00", "held": "0.00"}
        assert answer["lines"][0] == {
            "day": f"{today()}",
            "kind": "capture",
            "purpose": "campaign",
            "campaign_id": campaign.pk,
            "campaign": "=1+1",
            "channel": "SMS",
            "entries": 1,
            "amount": "1.00",
            "balance": "0.00",
            "held": "-1.00",
        }
        assert answer["time_zone"] == "Asia/Kathmandu"

    def test_csv_adds_up_and_contains_no_formula(self, sita: Account) -> None:
        make_sent_campaign(sita, name="=1+1")
        caller = Caller(sita)
        response = caller.client.get(PATH, {"format": "csv"})
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        text = response.getvalue().decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [rows[0]["kind"], rows[-1]["kind"]] == ["opening", "closing"]
        for column in ("balance", "held"):
            assert sum(Decimal(row[column]) for row in rows[:-1]) == Decimal(rows[-1][column])
        assert {row["campaign"] for row in rows} == {"", "'=1+1"}

    def test_period_is_the_present_month_by_default(self, sita: Account) -> None:
        answer = Caller(sita).get(PATH)["data"]["statement"]
        assert (answer["from"], answer["to"]) == (f"{today().replace(day=1)}", f"{today()}")

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("from=2026-02-30", "“2026-02-30” is not a date: write it as 2026-01-31."),
            ("to=yesterday", "“yesterday” is not a date"),
            ("to=２０２６-01-01", "is not a date"),
            ("from=2026-03-02&to=2026-03-01", "The first day, 2026-03-02, is after the last day"),
            ("from=2025-01-01&to=2026-01-02", "at most 366 days; these are 367"),
            ("from=0001-01-01&to=9999-12-31", "at most 366 days"),
            ("from=2083-01-01&to=2083-02-01", "looks like a Bikram Sambat date"),
            ("format=xml", "it must be one of json, csv"),
        ],
    )
    def test_wrong_period_is_a_400_with_a_sentence(self, sita: Account, query: str, said: str) -> None:
        answer = Caller(sita).fails("GET", f"{PATH}?{query}", status=400)
        assert said in answer["message"]

    @pytest.mark.parametrize("query", ["from=0001-01-01&to=0001-01-02", "from=9999-12-30&to=9999-12-31"])
    def test_days_without_entries_are_no_error(self, sita: Account, query: str) -> None:
        assert Caller(sita).get(f"{PATH}?{query}")["data"]["statement"]["lines"] == []

    def test_statement_with_too_many_lines_is_refused(
        self, sita: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert MAX_LINES == 100_000
        for _ in range(2):
            make_sent_campaign(sita)
            move_bookings_back(1)
        monkeypatch.setattr("campaigns.reports.statements.MAX_LINES", 3)
        for _ in range(2):  # from the ledger, and from stored statements
            answer = Caller(sita).fails("GET", f"{PATH}?from={today() - 5 * DAY}&to={today()}", status=400)
            assert "more than 3 lines" in answer["message"]
            close_until_yesterday()
