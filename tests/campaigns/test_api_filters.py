"""Filters for the lists of campaigns, phone numbers and OTPs, in both dialects."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accounts.models import Account
from campaigns.models import Campaign, Service
from otp.models import Otp
from tests import v0
from tests.factories import make_account, make_empty_campaign, make_phone_number
from tests.v1 import caller as v1


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=1000)


def changed_on(campaign: Campaign, day: int) -> Campaign:
    """Set the last change of a campaign to a day in January, at noon in Nepal."""
    Campaign.objects.filter(pk=campaign.pk).update(updated_at=datetime(2026, 1, day, 6, 15, tzinfo=UTC))
    return campaign


def in_v0(account: Account, query: str) -> set[str]:
    answer = v0.Caller(account).get(f"/api/system/campaigns?{query}")
    return {campaign["name"] for campaign in answer["result"]["campaign-lists"]}


def in_v1(account: Account, query: str) -> set[str]:
    return {campaign["name"] for campaign in v1.Caller(account).get(f"campaign/?{query}")["results"]}


class TestCampaigns:
    @pytest.fixture(autouse=True)
    def campaigns(self, account: Account) -> None:
        changed_on(make_empty_campaign(owner=account, name="Water bill", service=Service.SMS), 1)
        changed_on(make_empty_campaign(owner=account, name="Water cut", service=Service.CALL), 2)
        changed_on(make_empty_campaign(owner=account, name="Election", service=Service.BOTH), 3)
        make_empty_campaign(owner=make_account(email="stranger@example.com"), name="Water of others")

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("search=water", {"Water bill", "Water cut"}),
            ("name=CUT", {"Water cut"}),
            ("name=water&search=bill", {"Water bill"}),
            ("search=100%25", set()),
            ("services=sms", {"Water bill"}),
            ("services=SMS %26 PHONE", {"Election"}),
            ("status=running", set()),
            ("status=Not Started&services=PHONE", {"Water cut"}),
            ("from_date=2026-01-02", {"Water cut", "Election"}),
            ("to_date=2026-01-02", {"Water bill", "Water cut"}),
            ("from_date=2026-01-02&to_date=2026-01-02", {"Water cut"}),
            (f"to_date={int(datetime(2026, 1, 2, tzinfo=UTC).timestamp())}", {"Water bill", "Water cut"}),
            ("search=&services=&status=&from_date=", {"Water bill", "Water cut", "Election"}),
            ("unknown=1", {"Water bill", "Water cut", "Election"}),
        ],
    )
    def test_both_dialects_find_the_same_campaigns_with_the_same_filters(
        self, account: Account, query: str, names: set[str]
    ) -> None:
        assert in_v0(account, query) == in_v1(account, query) == names

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("services", "FAX"),
            ("status", "Done"),
            ("status", "100%25"),
            ("status", "%25s%25(x)s"),
            ("from_date", "yesterday"),
            ("from_date", "2026-02-30"),
            ("from_date", "9" * 30),
            ("to_date", "2026-1-1"),
            ("search", "x" * 201),
        ],
    )
    def test_invalid_filter_values_are_refused(self, account: Account, field: str, value: str) -> None:
        refusal = v0.Caller(account).fails("GET", f"/api/system/campaigns?{field}={value}", status=400)
        assert [error["field"] for error in refusal["errors"]] == [field]
        refusal = v1.Caller(account).fails("GET", f"campaign/?{field}={value}", status=400)
        assert refusal["message"].startswith(f"{field}: ")
        assert len(refusal[field]) == 1

    def test_each_invalid_filter_is_named(self, account: Account) -> None:
        refusal = v0.Caller(account).fails(
            "GET", "/api/system/campaigns?services=FAX&status=Done", status=400
        )
        assert {error["field"] for error in refusal["errors"]} == {"services", "status"}
        assert refusal["message"].endswith("(1 more under errors.)")

    def test_links_to_pages_keep_the_filters(self, account: Account) -> None:
        answer = v0.Caller(account).get("/api/system/campaigns?search=water&page_size=1")
        assert answer["pagination"]["total_items"] == 2
        assert "search=water" in answer["pagination"]["links"][0]
        assert "search=water" in v1.Caller(account).get("campaign/?search=water&limit=1")["next"]


def test_the_list_of_phone_numbers_can_be_filtered(account: Account) -> None:
    mine = make_phone_number(number="9800000101", owner=account)
    other = make_phone_number(number="9800000102", owner=account)
    other.capabilities, other.friendly_name = "SMS", "Ward office"
    other.save()
    sale = make_phone_number(number="9800000201")
    of_v0, of_v1 = v0.Caller(account), v1.Caller(account)

    def owned(query: str) -> list[str]:
        listed = of_v0.get(f"/api/system/owned/phone_numbers?{query}")["data"]["owned_numbers"]
        ids = [number["id"] for number in of_v1.get(f"phone-number/active/?{query}")]
        assert ids == [number["id"] for number in of_v1.get(f"active-broker-phone/?{query}")]
        assert len(ids) == len(listed)
        return [number["phone_number"] for number in listed]

    assert owned("") == [mine.number, other.number]
    assert owned("number=102") == owned("search=WARD") == [other.number]
    assert owned("capability=voice") == [mine.number]
    for_sale = of_v0.get("/api/system/phone_numbers?number=980000020")["data"]["number_lists"]
    assert [number["phone_number"] for number in for_sale] == [sale.number]
    assert of_v0.get("/api/system/phone_numbers?number=101")["data"]["number_lists"] == []
    of_v0.fails("GET", "/api/system/phone_numbers?capability=fax", status=400)
    of_v0.fails("GET", "/api/system/owned/phone_numbers?capability=fax", status=400)
    of_v1.fails("GET", "phone-number/active/?capability=fax", status=400)


def test_the_list_of_otps_can_be_filtered(account: Account) -> None:
    def make(number: str, channel: str, origin: str, day: int) -> int:
        return Otp.objects.create(
            owner=account,
            number=number,
            to=f"+977{number}",
            channel=channel,
            origin=origin,
            code="1234",
            message="1234",
            created_at=datetime(2026, 1, day, 6, 15, tzinfo=UTC),
        ).pk

    first = make("9841000001", "sms", "owner", 1)
    second = make("9841000001", "call", "generated", 2)
    third = make("9841000002", "sms", "generated", 3)
    caller = v1.Caller(account)

    def found(query: str) -> list[int]:
        return [otp["id"] for otp in caller.get(f"auths/list/send-otps/?{query}")["results"]["data"]]

    assert found("") == [third, second, first]
    assert found("number=977-9841000001") == [second, first]
    assert found("sms_send_options=voice") == [second]
    assert found("otp_options=generated") == [third, second]
    assert found("from_date=2026-01-02&to_date=2026-01-02") == [second]
    for query in ("number=abc", "sms_send_options=fax", "otp_options=x", "from_date=x"):
        caller.fails("GET", f"auths/list/send-otps/?{query}", status=400)
