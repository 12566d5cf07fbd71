"""Provide a city with credits, and its department."""

from __future__ import annotations

import pytest

from accounts import departments
from accounts.models import Account
from tests.factories import make_account


@pytest.fixture
def city() -> Account:
    return make_account(email="city@example.com", credits=1000, name="City")


@pytest.fixture
def ward(city: Account) -> Account:
    return departments.create(parent=city, name="Ward 5")
