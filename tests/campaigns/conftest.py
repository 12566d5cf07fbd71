"""Provide an account with credits, its API client, and a campaign of three recipients."""

from __future__ import annotations

import pytest

from accounts.models import Account
from campaigns.models import Campaign
from tests.factories import make_account, make_empty_campaign, make_recipient
from tests.v0 import Caller


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


@pytest.fixture
def campaign(account: Account) -> Campaign:
    campaign = make_empty_campaign(owner=account, name="sample campaign name")
    for number in (9800000001, 9800000002, 9800000003):
        make_recipient(campaign=campaign, number=number)
    return campaign
