"""v0: the prices of an account, and what one number costs."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Account
from telephony.models import PriceList
from tests.factories import make_account
from tests.telephony.tariffs.making import call, make_tariff, sms
from tests.v0 import Caller

TARIFF = "/api/system/tariff/"
ROWS = (call("977", "2", 30), sms("977", "1.25"), sms("97798", "0.5"), call("44", "0", 1))


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


def prices(answer: Any) -> list[tuple[Any, ...]]:
    return [tuple(price.values()) for price in answer["data"]["prices"]]


def test_without_a_tariff_the_settings_are_shown(caller: Caller) -> None:
    data = caller.get(TARIFF)["data"]
    assert data["other_destinations"] == {"sms_credits": 1, "call_credits": 2, "pulse_seconds": 60}
    assert (data["prices"], data["pagination"]["total_items"]) == ([], 0)


def test_prices_are_listed_by_prefix_and_channel(caller: Caller, account: Account) -> None:
    make_tariff(*ROWS, account=account)
    make_tariff(sms("1", "1"), account=make_account())
    answer = caller.get(TARIFF)
    assert list(answer["data"]["prices"][0]) == ["prefix", "channel", "credits", "pulse_seconds"]
    assert prices(answer) == [
        ("+44", "PHONE", 0, 1),
        ("+977", "PHONE", 2, 30),
        ("+977", "SMS", 1.25, None),
        ("+97798", "SMS", 0.5, None),
    ]


def test_other_destinations_may_be_refused(caller: Caller, account: Account) -> None:
    make_tariff(*ROWS, account=account, refuses_unpriced=True)
    refused = {"sms_credits": None, "call_credits": None, "pulse_seconds": None}
    assert caller.get(TARIFF)["data"]["other_destinations"] == refused
    assert caller.get(f"{TARIFF}?number=%2B447400123456")["data"]["number"] == {
        "number": "+447400123456",
        "e164": "+447400123456",
        "sms_credits": None,
        "call_credits": 0,
        "pulse_seconds": 1,
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("prefix=977", ["+977", "+977", "+97798"]),
        ("prefix=%2B977", ["+977", "+977", "+97798"]),
        ("prefix=+9779", ["+97798"]),
        ("channel=sms", ["+977", "+97798"]),
        ("channel=PHONE&prefix=4", ["+44"]),
        ("channel=call&prefix=977", ["+977"]),
        ("prefix=", ["+44", "+977", "+977", "+97798"]),
    ],
)
def test_prices_are_filtered(caller: Caller, account: Account, query: str, found: list[str]) -> None:
    make_tariff(*ROWS, account=account)
    assert [price["prefix"] for price in caller.get(f"{TARIFF}?{query}")["data"]["prices"]] == found


def test_prices_come_in_pages(caller: Caller, account: Account) -> None:
    make_tariff(*ROWS, account=account)
    page = caller.get(f"{TARIFF}?page=2&page_size=3")
    assert (len(page["data"]["prices"]), page["data"]["pagination"]["total_pages"]) == (1, 2)
    caller.fails("GET", f"{TARIFF}?page=9", status=404)


@pytest.mark.parametrize(
    ("number", "cost"),
    [
        ("9841000001", (0.5, 2, 30)),
        ("+977-9841000001", (0.5, 2, 30)),
        ("+919810000001", (1, 2, 60)),
    ],
)
def test_a_number_shows_its_price(
    caller: Caller, account: Account, number: str, cost: tuple[Any, ...]
) -> None:
    make_tariff(*ROWS, account=account)
    shown = caller.get(f"{TARIFF}?number={number.replace('+', '%2B')}")["data"]["number"]
    assert tuple(shown.values())[2:] == cost
    assert not PriceList.objects.exists()


@pytest.mark.parametrize(
    "query",
    ["number=abc", "number=123", "number=1234567", "prefix=98x", "prefix=09", "channel=fax", "page=x"],
)
def test_what_cannot_be_read_is_refused(caller: Caller, query: str) -> None:
    caller.fails("GET", f"{TARIFF}?{query}", status=400)
