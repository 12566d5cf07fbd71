"""Each misuse of accounts gets its status, the envelope of its dialect and a sentence, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.utils import timezone

from accounts import apikeys, departments, twins
from accounts.api.authentication import issue_tokens
from accounts.models import Account, ApiKey, Member, User
from accounts.permissions import KEY_SCOPES, Permission
from campaigns.models import Campaign, Run
from tests import v0
from tests.factories import make_account, make_campaign, make_member, make_phone_number, owner_of
from tests.v0 import row_counts_and_balances
from tests.v1 import caller as v1

pytestmark = pytest.mark.django_db


@dataclass
class World:
    """An account that demands approval, with people, a department, a test twin, and a run that waits. And a stranger."""

    account: Account
    department: Account
    twin: Account
    stranger: Account
    viewer: User
    author: User
    sender: User
    head: User  # of the department
    campaign: Campaign
    run: Run

    def member(self, user: User) -> int:
        return Member.objects.get(user=user, account=self.account).pk


@pytest.fixture
def world() -> World:
    account = make_account(credits=1000, name="City")
    department = departments.create(parent=account, name="Ward 5")
    sender = make_member(account, "sender")
    account.approval_above = 2
    account.save()
    campaign = make_campaign(owner=account, message="Namaste", sms_message="Namaste")
    answer = calling(sender).post(f"/api/system/campaigns/{campaign.pk}/begin/", {"message": "Namaste"})
    assert "approval" in answer["data"]
    return World(
        account=account,
        department=department,
        twin=twins.open_twin(account=account),
        stranger=make_account(credits=1000),
        viewer=make_member(account, "viewer"),
        author=make_member(account, "author"),
        sender=sender,
        head=make_member(department, "owner"),
        campaign=campaign,
        run=Run.objects.get(),
    )


def with_token(token: str, dialect: Any, account: Account | None = None) -> Any:
    caller = dialect.Caller(None)
    named = {} if account is None else {"HTTP_X_ACCOUNT": str(account.pk)}
    caller.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", **named)
    return caller


def calling(user: User, dialect: Any = v0, account: Account | None = None) -> Any:
    return with_token(issue_tokens(user).access, dialect, account)


def key_of(account: Account, *scopes: Permission, expired: bool = False) -> str:
    row, key = apikeys.create(
        account=account, created_by=None, name="x", scopes=frozenset(scopes or KEY_SCOPES)
    )
    if expired:
        ApiKey.objects.filter(pk=row.pk).update(expires_at=timezone.now())
    return key


SYSTEM, CAMPAIGNS = "/api/system", "/api/system/campaigns"
BEGIN = {"message": "Namaste"}
V1_CAMPAIGN = {"name": "Water", "services": "SMS"}

# What is done, with the caller, the request, its status and a part of the sentence
Misuse = Callable[[World], tuple[Any, str, str, Any, int, str]]
MISUSES: dict[str, Misuse] = {
    "v0 without the permission": lambda w: (
        calling(w.author), "POST", f"{CAMPAIGNS}/{w.campaign.pk}/begin/", BEGIN, 403, "the permission “send”",
    ),
    "v1 without the permission": lambda w: (
        calling(w.viewer, v1), "POST", "/api/v1/campaign/create/", V1_CAMPAIGN, 403, "the permission “prepare”",
    ),
    "v0 with a key without the scope": lambda w: (
        with_token(key_of(w.account, Permission.VIEW), v0), "POST", f"{SYSTEM}/send/otp/", {}, 403, "the scope “send”",
    ),
    "v1 with a key without the scope": lambda w: (
        with_token(key_of(w.account, Permission.VIEW), v1),
        "POST", "/api/v1/auths/generate-api-keys/", {}, 403, "the scope “manage_account”",
    ),
    "v0 campaign of another account": lambda w: (
        v0.Caller(w.stranger), "GET", f"{CAMPAIGNS}/{w.campaign.pk}/details/", None, 404, "",
    ),
    "v1 campaign of another account": lambda w: (
        calling(owner_of(w.stranger), v1), "DELETE", f"/api/v1/campaign/{w.campaign.pk}/", None, 404, "",
    ),
    "campaign of the department without naming it": lambda w: (
        calling(owner_of(w.account)),
        "GET", f"{CAMPAIGNS}/{make_campaign(owner=w.department).pk}/details/", None, 404, "",
    ),
    "run of another account": lambda w: (
        v0.Caller(w.stranger), "POST", f"{CAMPAIGNS}/{w.campaign.pk}/approve/", {"run": w.run.pk}, 404, "",
    ),
    "member of another account": lambda w: (
        v0.Caller(w.stranger), "DELETE", f"{SYSTEM}/members/{w.member(w.viewer)}/", None, 404, "",
    ),
    "department of another account": lambda w: (
        v0.Caller(w.stranger), "POST", f"{SYSTEM}/departments/{w.department.pk}/transfer/",
        {"amount": 1, "direction": "from_department"}, 404, "no such department",
    ),
    "account of another person": lambda w: (
        calling(owner_of(w.stranger), v0, w.account), "GET", f"{SYSTEM}/settings/", None, 403, "not a member of this",
    ),
    "account above the department": lambda w: (
        calling(w.head, v0, w.account), "GET", f"{SYSTEM}/credits/statement/", None, 403, "not a member of this",
    ),
    "key of another account": lambda w: (
        with_token(key_of(w.account), v0, w.department), "GET", f"{SYSTEM}/settings/", None, 403, "belongs to another",
    ),
    "last owner leaves": lambda w: (
        calling(owner_of(w.account)),
        "DELETE", f"{SYSTEM}/members/{w.member(owner_of(w.account))}/", None, 409, "only owner",
    ),
    "last owner steps down": lambda w: (
        calling(owner_of(w.account)),
        "PUT", f"{SYSTEM}/members/{w.member(owner_of(w.account))}/", {"preset": "viewer"}, 409, "only owner",
    ),
    "transfer beyond the balance": lambda w: (
        calling(owner_of(w.account)), "POST", f"{SYSTEM}/departments/{w.department.pk}/transfer/",
        {"amount": 100_000, "direction": "to_department"}, 402, "has only",
    ),
    "transfer with a test twin": lambda w: (
        calling(owner_of(w.account)), "POST", f"{SYSTEM}/departments/{w.twin.pk}/transfer/",
        {"amount": 1, "direction": "from_department"}, 409, "test twin",
    ),
    "department of a department": lambda w: (
        calling(w.head), "POST", f"{SYSTEM}/departments/", {"name": "Tole"}, 409, "A department cannot have departments",
    ),
    "author approves": lambda w: (
        calling(w.sender), "POST", f"{CAMPAIGNS}/{w.campaign.pk}/approve/", {"run": w.run.pk}, 403, "You began this run",
    ),
    "key approves": lambda w: (
        with_token(key_of(w.account), v0),
        "POST", f"{CAMPAIGNS}/{w.campaign.pk}/approve/", {"run": w.run.pk}, 403, "not API keys",
    ),
    "viewer approves": lambda w: (
        calling(w.viewer), "POST", f"{CAMPAIGNS}/{w.campaign.pk}/approve/", {"run": w.run.pk}, 403, "“send”",
    ),
    "another run is approved": lambda w: (
        calling(owner_of(w.account)),
        "POST", f"{CAMPAIGNS}/{w.campaign.pk}/approve/", {"run": w.run.pk + 1}, 409, f"Run {w.run.pk} awaits approval now",
    ),
    "nothing waits": lambda w: (
        calling(owner_of(w.account)), "POST", f"{CAMPAIGNS}/{make_campaign(owner=w.account).pk}/approve/",
        {"run": w.run.pk}, 409, "No run of this campaign awaits approval",
    ),
    "key switches approval off": lambda w: (
        with_token(key_of(w.account), v0), "PUT", f"{SYSTEM}/settings/", {"approval_above": None}, 403, "Only people",
    ),
    "v0 expired key": lambda w: (
        with_token(key_of(w.account, expired=True), v0), "GET", f"{CAMPAIGNS}/", None, 401, "expired on",
    ),
    "v1 expired key": lambda w: (
        with_token(key_of(w.account, expired=True), v1), "GET", "/api/v1/campaign/", None, 401, "expired on",
    ),
    "v0 expired test key": lambda w: (
        with_token(key_of(w.twin, expired=True), v0), "POST", f"{SYSTEM}/twin/", None, 401, "expired on",
    ),
    "test key lists members": lambda w: (
        with_token(key_of(w.twin), v0), "GET", f"{SYSTEM}/members/", None, 403, "use a live API key",
    ),
    "test key creates a department": lambda w: (
        with_token(key_of(w.twin), v0), "POST", f"{SYSTEM}/departments/", {"name": "x"}, 403, "use a live API key",
    ),
    "test key moves credits": lambda w: (
        with_token(key_of(w.twin), v0), "POST", f"{SYSTEM}/departments/{w.department.pk}/transfer/",
        {"amount": 1, "direction": "from_department"}, 403, "use a live API key",
    ),
    "test key creates a live key": lambda w: (
        with_token(key_of(w.twin), v0),
        "POST", f"{SYSTEM}/keys/", {"name": "x", "scopes": ["view"], "test": False}, 403, "use a live API key",
    ),
    "test key begins a live campaign": lambda w: (
        with_token(key_of(w.twin), v0), "POST", f"{CAMPAIGNS}/{w.campaign.pk}/begin/", BEGIN, 404, "",
    ),
    "test key runs a live campaign in v1": lambda w: (
        with_token(key_of(w.twin), v1), "POST", f"/api/v1/run-campaign/{w.campaign.pk}/", {}, 404, "",
    ),
    "test key releases a live number": lambda w: (
        with_token(key_of(w.twin), v0), "DELETE", f"{SYSTEM}/phone_numbers/",
        {"phone_sid": make_phone_number(owner=w.account).sid}, 404, "",
    ),
    "suspended department": lambda w: (
        suspended(w.department), "GET", f"{CAMPAIGNS}/", None, 403, "suspended",
    ),
}  # fmt: skip


def suspended(department: Account) -> Any:
    caller = calling(User.objects.get(memberships__account=department))
    Account.objects.filter(pk=department.pk).update(is_suspended=True)
    return caller


@pytest.mark.parametrize("misuse", MISUSES)
def test_a_misuse_is_refused_with_its_status_and_a_sentence(misuse: str, world: World) -> None:
    caller, method, path, body, status, said = MISUSES[misuse](world)
    before = row_counts_and_balances()
    answer = caller.fails(method, path, body, status=status)
    assert said in answer["message"]
    assert row_counts_and_balances() == before
    world.run.refresh_from_db()
    assert (world.run.status, world.run.approved_at) == ("awaiting", None)
