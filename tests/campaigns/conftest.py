"""Provide an account with credits, its API client, and a campaign of three recipients."""

from __future__ import annotations

import pytest

from accounts.models import Account
from tests.factories import make_account
from tests.v0 import Caller


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)
