"""Accounts that demand approval, and runs that people and keys begin in them."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from accounts import actors, apikeys
from accounts.actors import Acting, ActorKind
from accounts.models import Account, User
from accounts.permissions import KEY_SCOPES
from campaigns import runs
from campaigns.models import Campaign, Run


def demanding(account: Account, *, above: int | None) -> Account:
    account.approval_above = above
    account.save(update_fields=["approval_above"])
    return account


def in_person(user: User) -> Acting:
    return Acting(kind=ActorKind.PERSON, user_id=user.pk, name=user.email, email=user.email)


def begun_by(user: User, campaign: Campaign, **options: Any) -> Run:
    with actors.acting(in_person(user)):
        return runs.begin(campaign=campaign, **{"message": "Namaste", **options})


def path(campaign: Campaign, action: str) -> str:
    return f"/api/system/campaigns/{campaign.pk}/{action}/"


def details(client: APIClient, campaign: Campaign) -> dict[str, Any]:
    answer = client.get(path(campaign, "details")).json()
    return answer["data"]["details"][0]


def key_client(account: Account) -> APIClient:
    _, key = apikeys.create(account=account, created_by=None, name="website", scopes=frozenset(KEY_SCOPES))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client
