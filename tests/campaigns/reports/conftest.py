"""Provide an account with credits."""

from __future__ import annotations

import pytest

from accounts.models import Account
from tests.factories import make_account


@pytest.fixture
def sita(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100, name="Sita")
