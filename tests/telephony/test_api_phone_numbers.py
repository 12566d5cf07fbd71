"""v0: phone numbers that accounts buy and release."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.credits import InsufficientCredits
from accounts.models import Account, CreditEntry
from iris.errors import Conflict, NotFound
from telephony import phone_numbers
from telephony.models import PhoneNumber
from tests.factories import make_account, make_phone_number
from tests.golden import assert_answers_as_documented, golden
from tests.v0 import Caller

SID = "0f3c9a5be17d42c68a90b1c2d3e4f506"
NUMBERS = "/api/system/phone_numbers/"
OWNED = "/api/system/owned/phone_numbers/"


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


def balance(account: Account) -> Decimal:
    account.refresh_from_db()
    return account.balance


def test_owned_numbers_are_listed(caller: Caller, account: Account) -> None:
    make_phone_number(sid=SID, owner=account)
    make_phone_number(number="9800000102")
    make_phone_number(number="9800000103", owner=make_account(email="other@example.com"))
    assert_answers_as_documented(caller.client, "owned_phone_numbers")


def test_numbers_for_sale_are_listed(caller: Caller, account: Account) -> None:
    make_phone_number(sid=SID)
    make_phone_number(number="9800000102", owner=account)
    assert_answers_as_documented(caller.client, "phone_numbers")


def test_buying_a_number_charges_its_rate(caller: Caller, account: Account) -> None:
    make_phone_number(sid=SID)
    assert_answers_as_documented(caller.client, "phone_number_buy")
    assert balance(account) == 60
    assert PhoneNumber.objects.get(sid=SID).owner == account
    assert caller.get(OWNED)["data"]["owned_numbers"] == golden("phone_number_buy")["data"]["number_details"]
    assert caller.get(NUMBERS)["data"]["number_lists"] == []


def test_owned_number_is_released(caller: Caller, account: Account) -> None:
    make_phone_number(sid=SID, owner=account)
    assert_answers_as_documented(caller.client, "phone_number_release")
    assert PhoneNumber.objects.get(sid=SID).owner is None


def test_number_is_released_by_a_form_request(caller: Caller, account: Account) -> None:
    make_phone_number(sid=SID, owner=account)
    assert caller.delete(NUMBERS, {"phone_sid": SID}, format="multipart") == golden("phone_number_release")


def test_number_is_released_with_its_sid_in_the_query_string(caller: Caller, account: Account) -> None:
    make_phone_number(sid=SID, owner=account)
    assert caller.delete(f"{NUMBERS}?phone_sid={SID}") == golden("phone_number_release")


def test_buying_a_released_number_again_charges_again(caller: Caller, account: Account) -> None:
    make_phone_number(sid=SID)
    for _ in range(2):
        caller.post(NUMBERS, {"phone_sid": SID})
        caller.delete(NUMBERS, {"phone_sid": SID})
    assert balance(account) == 20
    assert CreditEntry.objects.filter(account=account, kind=CreditEntry.Kind.CHARGE).count() == 2


def test_number_with_rate_zero_can_be_bought(caller: Caller, account: Account) -> None:
    make_phone_number(sid=SID, rate=0)
    caller.post(NUMBERS, {"phone_sid": SID})
    assert balance(account) == 100


def test_buying_with_insufficient_credits_changes_nothing(caller: Caller, account: Account) -> None:
    make_phone_number(sid=SID, rate=Decimal("100.01"))
    caller.fails("POST", NUMBERS, {"phone_sid": SID}, status=402)
    assert balance(account) == 100
    assert PhoneNumber.objects.get(sid=SID).owner is None


def test_buying_an_owned_number_again_is_a_conflict(caller: Caller, account: Account) -> None:
    make_phone_number(sid=SID, owner=account)
    caller.fails("POST", NUMBERS, {"phone_sid": SID}, status=409)
    assert balance(account) == 100


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_number_of_another_account_is_not_found(caller: Caller, account: Account, method: str) -> None:
    owner = make_account(email="other@example.com")
    make_phone_number(sid=SID, owner=owner)
    caller.fails(method, NUMBERS, {"phone_sid": SID}, status=404)
    assert PhoneNumber.objects.get(sid=SID).owner == owner


def test_number_for_sale_cannot_be_released(caller: Caller) -> None:
    make_phone_number(sid=SID)
    caller.fails("DELETE", NUMBERS, {"phone_sid": SID}, status=404)


@pytest.mark.parametrize("path", [NUMBERS, OWNED])
def test_number_lists_need_a_constant_number_of_queries(caller: Caller, account: Account, path: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            caller.get(path)
        return len(context)

    make_phone_number(owner=account if path == OWNED else None)
    before = queries()
    for last in range(102, 112):
        make_phone_number(number=f"9800000{last}", owner=account if path == OWNED else None)
    assert queries() == before <= 2


@pytest.mark.django_db(transaction=True)
def test_concurrent_buyers_get_one_owner_and_one_charge() -> None:
    buyers = [make_account(email=f"buyer{number}@example.com", credits=1000) for number in range(4)]
    for attempt in range(5):
        number = make_phone_number(number=f"980000020{attempt}", rate=40)
        outcomes = _at_once(
            lambda buyer, sid=number.sid: phone_numbers.buy_number(account=buyer, sid=sid), buyers
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == [*["NotFound"] * 3, "PhoneNumber"]
        number.refresh_from_db()
        assert number.owner is not None
        assert outcomes[buyers.index(number.owner)] == number
    assert sum(balance(buyer) for buyer in buyers) == 4 * 1000 - 5 * 40


@pytest.mark.django_db(transaction=True)
def test_concurrent_purchases_by_one_buyer_charge_once() -> None:
    buyer = make_account(email="buyer@example.com", credits=100)
    number = make_phone_number(rate=40)
    outcomes = _at_once(
        lambda account: phone_numbers.buy_number(account=account, sid=number.sid), [buyer, buyer, buyer]
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "Conflict", "PhoneNumber"]
    assert balance(buyer) == 60


@pytest.mark.django_db(transaction=True)
def test_concurrent_purchases_never_overdraw_the_balance() -> None:
    buyer = make_account(email="buyer@example.com", credits=60)
    numbers = [make_phone_number(number=f"980000030{digit}", rate=40) for digit in range(2)]
    outcomes = _at_once(lambda number: phone_numbers.buy_number(account=buyer, sid=number.sid), numbers)
    assert {type(outcome) for outcome in outcomes} == {PhoneNumber, InsufficientCredits}
    assert balance(buyer) == 20
    assert PhoneNumber.objects.filter(owner=buyer).count() == 1


def _at_once(verb: Any, arguments: list[Any]) -> list[Any]:
    """Start all calls at the same time; return what each returned or raised."""
    outcomes: list[Any] = [None] * len(arguments)
    start = threading.Barrier(len(arguments))

    def run(index: int) -> None:
        try:
            start.wait()
            outcomes[index] = verb(arguments[index])
        except (Conflict, NotFound, InsufficientCredits) as error:
            outcomes[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(arguments))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
