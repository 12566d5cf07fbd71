"""Provide an account and the client of its owner."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from accounts.models import Account
from tests.factories import client_of, make_account


@pytest.fixture
def account() -> Account:
    return make_account(email="sita@example.com", first_name="Sita", last_name="Rai")


@pytest.fixture
def client(account: Account) -> APIClient:
    return client_of(account)
