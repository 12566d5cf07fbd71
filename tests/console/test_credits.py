"""The page of credits: departments, transfers, and the warning that few credits are left."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import departments, twins
from accounts.models import Account
from tests.console.world import World, client_for
from tests.factories import make_account, make_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def department(world: World) -> Account:
    return departments.create(parent=world.account, name="Ward 5")


def get(client: Client, world: World, **other: int) -> str:
    response = client.get(world.address("credits", **other))
    assert response.status_code == 200
    return response.content.decode()


def form(client: Client, world: World, to: Account, **changes: str) -> dict[str, str]:
    """Return what the form of a transfer sends."""
    found = re.search(r'name="cause" value="([^"]+)"', get(client, world))
    assert found is not None
    sent = {"department": str(to.pk), "direction": "to_department", "amount": "120.50", "note": "May"}
    return {**sent, "cause": found[1], **changes}


def balances(*accounts: Account) -> list[Decimal]:
    stored = dict(Account.objects.values_list("pk", "balance"))
    return [stored[account.pk] for account in accounts]


def test_credits_move_to_a_department_and_back(world: World, client: Client, department: Account) -> None:
    (before,) = balances(world.account)
    sent = form(client, world, department)
    for _ in range(2):  # a form that is sent twice moves the credits once
        response = client.post(world.address("credits-transfer"), sent, follow=True)
        assert "120.50 credits were moved" in response.content.decode()
    assert balances(world.account, department) == [before - Decimal("120.50"), Decimal("120.50")]
    page = get(client, world)
    assert "Ward 5" in page
    assert 'data-label="Left">120.50<' in page
    back = form(client, world, department, direction="from_department", amount="20")
    client.post(world.address("credits-transfer"), back)
    assert balances(department) == [Decimal("100.50")]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"amount": "99999999"}, "has only"),
        ({"direction": "from_department"}, "has only 0.00"),
        ({"amount": "0"}, "greater than or equal to 0.01"),
        ({"amount": "NaN"}, "Enter a number"),
        ({"amount": "1.001"}, "no more than 2 decimal places"),
        ({"department": "1"}, "Select a valid choice"),
        ({"department": "x"}, "Select a valid choice"),
        ({"direction": "sideways"}, "Select a valid choice"),
        ({"note": "x" * 201}, "at most 200 characters"),
    ],
)
def test_a_transfer_that_cannot_be_is_said_in_the_form(
    world: World, client: Client, department: Account, changes: dict[str, str], sentence: str
) -> None:
    before = balances(world.account, department)
    response = client.post(world.address("credits-transfer"), form(client, world, department, **changes))
    assert response.status_code == 200
    page = response.content.decode()
    assert sentence in page
    assert "<details open>" in page
    assert balances(world.account, department) == before


def test_departments_of_others_and_suspended_ones_get_nothing(
    world: World, client: Client, department: Account
) -> None:
    other = departments.create(parent=make_account(), name="Theirs")
    Account.objects.filter(pk=department.pk).update(is_suspended=True)
    sent = form(client, world, departments.create(parent=world.account, name="Ward 6"))
    for one in (other, department):
        response = client.post(world.address("credits-transfer"), {**sent, "department": str(one.pk)})
        assert "Select a valid choice" in response.content.decode()
    assert balances(other, department) == [0, 0]


def test_a_department_is_made(world: World, client: Client) -> None:
    assert "Move credits" not in get(client, world)
    client.post(world.address("department-add"), {"name": " Ward 7 "})
    assert Account.objects.filter(parent=world.account).get().name == "Ward 7"
    assert "Move credits" in get(client, world)
    page = client.post(world.address("department-add"), {"name": " "})
    assert 'id="id_name_error"' in page.content.decode()
    below = world.address("department-add", account_id=Account.objects.get(name="Ward 7").pk)
    assert "cannot have departments" in client.post(below, {"name": "Ward 8"}).content.decode()


def test_many_departments_take_the_same_queries(
    world: World, client: Client, department: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            get(client, world)
        return len(context)

    get(client, world)
    one = queries()
    for number in range(6, 9):
        departments.create(parent=world.account, name=f"Ward {number}")
    assert queries() == one
    monkeypatch.setattr("console.views.credits.SHOWN_DEPARTMENTS", 2)
    assert queries() == one
    assert "?page=2#departments" in get(client, world)


def test_the_level_of_the_warning_is_saved_and_shown(world: World, client: Client) -> None:
    viewer = client_for(make_member(world.account, "viewer"))
    assert "Nobody is warned" in get(viewer, world)
    client.post(world.address("credits-alert"), {"low_credit_level": "500"})
    assert Account.objects.get(pk=world.account.pk).low_credit_level == 500
    assert 'value="500.00"' in get(client, world)
    assert "fewer than 500 credits" in get(viewer, world)
    for wrong in ("0", "-1", "NaN", "1e20", "x"):
        page = client.post(world.address("credits-alert"), {"low_credit_level": wrong}).content.decode()
        assert 'id="id_low_credit_level_error"' in page
    client.post(world.address("credits-alert"), {"low_credit_level": ""})
    assert Account.objects.get(pk=world.account.pk).low_credit_level is None


def test_pages_offer_only_what_the_person_may_do(world: World, client: Client, department: Account) -> None:
    viewer = client_for(make_member(world.account, "viewer"))
    page = get(viewer, world)
    assert "Ward 5" in page
    for offer in ("Move credits", "Make a department", "low_credit_level"):
        assert offer not in page
    twin = twins.open_twin(account=world.account)
    page = get(client, world, account_id=twin.pk)
    for offer in ("Move credits", "Make a department", "low_credit_level"):
        assert offer not in page
    for name in ("credits-transfer", "credits-alert", "department-add"):
        assert client.post(world.address(name, account_id=twin.pk)).status_code == 403
    page = get(client, world, account_id=department.pk)
    assert "Make a department" not in page
    assert "low_credit_level" in page
