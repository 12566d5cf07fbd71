"""Provide an account with credits and its API client."""

from __future__ import annotations

import pytest

from accounts.models import Account
from tests.factories import make_account
from tests.v1.caller import Caller


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)
