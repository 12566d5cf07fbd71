from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from accounts.models import Account
from tests.factories import make_account
from tests.webhooks.receiver import Receiver


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=1000)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.IRIS_WEBHOOKS_TO_PRIVATE = True
    receiver = Receiver()
    yield receiver
    receiver.close()
