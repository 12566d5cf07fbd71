"""An account with a client of TingTing's published package."""

from __future__ import annotations

import pytest
from pytest_django.live_server_helper import LiveServer
from tingting import Campaign, TingTingClient

from accounts import apikeys
from tests.factories import make_account, make_phone_number


class Account:
    """Create an account with a number and an API key, and a client that uses the key."""

    def __init__(self, live_server: LiveServer) -> None:
        self.url = live_server.url
        self.user = make_account(
            email="sita@example.com", first_name="Sita", last_name="Rai", username="sita", credits=1000
        )
        self.number = make_phone_number(number="9800000101", owner=self.user)
        self.token = apikeys.generate(account=self.user)
        self.client = TingTingClient(live_server.url, self.token)

    def make_campaign(self, **fields: object) -> Campaign:
        return Campaign(client=self.client, **fields).create()


@pytest.fixture
def account(live_server: LiveServer, settings: object) -> Account:
    settings.IRIS_SANDBOX_SPEED = 1000  # type: ignore[attr-defined]
    return Account(live_server)
