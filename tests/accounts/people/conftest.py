"""Fixtures of the tests about people's data: an account with credits, and a sandbox that needs no time."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Account
from tests.factories import make_account


@pytest.fixture(autouse=True)
def _fast(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 100_000


@pytest.fixture
def account() -> Account:
    return make_account(credits=10_000)
