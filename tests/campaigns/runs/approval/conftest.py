"""Provide an account whose runs for more than two recipients need approval, the author of runs, and an approver."""

from __future__ import annotations

import pytest

from accounts.models import Account, User
from tests.campaigns.runs.approval.approving import demanding
from tests.factories import make_account, make_member


@pytest.fixture
def account() -> Account:
    return demanding(make_account(email="owner@example.com", credits=1000), above=2)


@pytest.fixture
def author(account: Account) -> User:
    return make_member(account, "sender", first_name="Sita", last_name="Rai")


@pytest.fixture
def approver(account: Account) -> User:
    return make_member(account, "sender", first_name="Hari")
