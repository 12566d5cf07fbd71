"""v0: the documented answers about departments and test twins."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts import credits, departments
from accounts.credits import Capture
from accounts.models import Account
from accounts.transfers import transfer
from tests.factories import client_of, make_account, make_empty_campaign, make_hold
from tests.golden import assert_answers_as_documented

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return make_account(email="sita@example.com", name="Sita", credits=2000)


def test_the_list_of_departments_answers_as_documented(account: Account) -> None:
    department = departments.create(parent=account, name="Ward 5")
    transfer(source=account, target=department, amount=Decimal(500))
    held = make_hold(account=department, amount=30)
    credits.capture_many(captures=[Capture(hold_id=held.pk, amount=Decimal("12.5"), cause="delivery:1")])
    make_empty_campaign(owner=department)
    assert_answers_as_documented(client_of(account), "department_list", department=department.pk)


def test_a_transfer_answers_as_documented(account: Account) -> None:
    department = departments.create(parent=account, name="Ward 5")
    assert_answers_as_documented(
        client_of(account), "department_transfer", account=account.pk, department=department.pk
    )


def test_filling_up_a_test_twin_answers_as_documented(account: Account) -> None:
    assert_answers_as_documented(client_of(account), "twin_fill_up", account=account.pk)
