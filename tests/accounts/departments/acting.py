"""Clients that act for an account, and the balances of accounts."""

from __future__ import annotations

from decimal import Decimal

from rest_framework.test import APIClient

from accounts.api.authentication import issue_tokens
from accounts.models import Account, User


def acting(user: User, account: Account, *, login: Account | None = None) -> APIClient:
    """Return the client of a person who names an account in the header of each request."""
    client = APIClient(raise_request_exception=False)
    token = issue_tokens(user, account_id=None if login is None else login.pk).access
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_X_ACCOUNT=str(account.pk))
    return client


def balances(*accounts: Account) -> list[Decimal]:
    return [Account.objects.values_list("balance", flat=True).get(pk=one.pk) for one in accounts]
