"""API keys: names, scopes, expiry and revocation, in both dialects."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import apikeys
from accounts.models import Account, ApiKey, Member, User
from accounts.permissions import KEY_SCOPES, Permission
from tests import v0
from tests.accounts.test_members import calling
from tests.factories import make_account, make_member, owner_of
from tests.v0 import row_counts_and_balances
from tests.v1 import caller as v1

KEYS = "/api/system/keys/"
GENERATE = "/api/v1/auths/generate-api-keys/"
SHOW = "/api/v1/auths/get-api-keys/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def caller(account: Account) -> v0.Caller:
    return v0.Caller(account)


def with_key(key: str, dialect: type[v0.Caller] = v0.Caller) -> v0.Caller:
    caller = dialect(None)
    caller.client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return caller


def create(caller: v0.Caller, **fields: Any) -> dict[str, Any]:
    sent = {"name": "website", "scopes": ["send"], **fields}
    key: dict[str, Any] = caller.post(KEYS, sent, status=201)["data"]["key"]
    return key


def test_a_key_is_shown_once_and_works_in_both_dialects(caller: v0.Caller) -> None:
    key = create(caller, scopes=["view", "send"])
    assert (key["name"], key["scopes"], key["created_by"]) == (
        "website",
        ["view", "send"],
        "sita@example.com",
    )
    with_key(key["token"]).get("/api/system/campaigns/")
    with_key(key["token"], v1.Caller).get("campaign/")
    (listed,) = caller.get(KEYS)["data"]["keys"]
    assert listed["last_used_at"] is not None
    assert "token" not in listed
    assert key["token"] not in str(list(ApiKey.objects.values()))


def test_a_key_may_do_only_what_its_scopes_say(caller: v0.Caller) -> None:
    sending = with_key(create(caller, scopes="send")["token"])
    answer = sending.fails("GET", "/api/system/campaigns/", status=403)
    assert "“view”" in answer["message"]
    sending.fails("POST", KEYS, {"name": "x", "scopes": ["send"]}, status=403)
    sending.fails("POST", "/api/accounts/logout/", {"everywhere": True}, status=403)
    sending.post("/api/system/send/otp/", OTP)


OTP = {
    "number": "9800000001",
    "message": "Your code is {otp}",
    "sms_send_options": "text",
    "otp_options": "generated",
}


def test_a_key_cannot_create_keys_with_more_scopes(caller: v0.Caller) -> None:
    managing = with_key(create(caller, scopes=["manage_account"])["token"])
    managing.fails("POST", KEYS, {"name": "x", "scopes": ["send"]}, status=403)
    create(managing, scopes=["manage_account"])


def test_a_key_expires(caller: v0.Caller) -> None:
    key = create(caller, scopes="view", expires_at=(timezone.now() + timedelta(hours=1)).isoformat())
    with_key(key["token"]).get("/api/system/campaigns/")
    ApiKey.objects.update(expires_at=timezone.now())
    for dialect in (v0.Caller, v1.Caller):
        answer = with_key(key["token"], dialect).fails(
            "GET", "/api/v1/campaign/" if dialect is v1.Caller else "/api/system/campaigns/", status=401
        )
        assert "expired on" in answer["message"]


def test_a_revoked_key_is_refused_at_once(caller: v0.Caller) -> None:
    first, second = create(caller, scopes="view"), create(caller, scopes="view")
    caller.delete(f"{KEYS}{first['id']}/")
    caller.delete(f"{KEYS}{first['id']}/")
    with_key(first["token"]).fails("GET", "/api/system/campaigns/", status=401)
    with_key(second["token"]).get("/api/system/campaigns/")
    assert [key["id"] for key in caller.get(KEYS)["data"]["keys"]] == [second["id"]]


def test_all_keys_of_the_account_can_be_revoked(caller: v0.Caller, account: Account) -> None:
    other = make_account()
    keys = [create(caller)["token"], apikeys.generate(account=account)]
    kept = apikeys.generate(account=other)
    assert caller.post(f"{KEYS}revoke_all/")["data"] == {"revoked": 2}
    for key in keys:
        with_key(key).fails("GET", "/api/accounts/user_details/", status=401)
    with_key(kept).get("/api/accounts/user_details/")


def test_v1_revokes_only_the_key_that_it_made(caller: v0.Caller, account: Account) -> None:
    named = create(caller, scopes="view")
    of_v1 = v1.Caller(account)
    first = of_v1.post(GENERATE)["token"]
    second = with_key(first, v1.Caller).post(GENERATE)["token"]
    with_key(first, v1.Caller).fails("GET", SHOW, status=401)
    assert with_key(second, v1.Caller).get(SHOW)["token"].startswith(second[:8])
    with_key(named["token"]).get("/api/system/campaigns/")


def test_a_key_of_v1_has_the_scopes_of_its_sender(account: Account) -> None:
    clerk = make_member(account, "viewer")
    Member.objects.filter(user=clerk).update(permissions=["view", "manage_account"])
    token = calling(clerk).client.post(GENERATE).json()["token"]
    assert ApiKey.objects.get(revoked_at=None).scopes == ["view", "manage_account"]
    with_key(token).fails("POST", "/api/system/send/otp/", {}, status=403)


def test_a_key_remains_when_its_creator_leaves(account: Account) -> None:
    ram = make_member(account, "manager")
    token = create(calling(ram), scopes="view")["token"]
    Member.objects.filter(user=ram).delete()
    with_key(token).get("/api/system/campaigns/")
    User.objects.filter(pk=ram.pk).delete()
    assert (
        with_key(token).get("/api/accounts/user_details/")["data"]["user_details"]["email"]
        == "sita@example.com"
    )


def test_no_key_works_while_all_owners_are_deactivated(account: Account) -> None:
    key = apikeys.generate(account=account)
    User.objects.update(is_active=False)
    with_key(key).fails("GET", "/api/system/campaigns/", status=401)
    make_member(account, "owner")
    with_key(key).get("/api/system/campaigns/")


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"scopes": ["view"]}, "name"),
        ({"name": "x" * 101, "scopes": ["view"]}, "too long"),
        ({"name": "x"}, "must be a list"),
        ({"name": "x", "scopes": ["urgent"]}, "urgent"),
        ({"name": "x", "scopes": {"view": True}}, "must be a list"),
        ({"name": "x", "scopes": ["view"], "expires_at": "2020-01-01T00:00"}, "in the past"),
        ({"name": "x", "scopes": ["view"], "expires_at": "soon"}, "not a date and time"),
    ],
)
def test_wrong_input_is_explained(caller: v0.Caller, sent: dict[str, Any], words: str) -> None:
    before = row_counts_and_balances()
    assert words in caller.fails("POST", KEYS, sent, status=400)["message"]
    assert row_counts_and_balances() == before


def test_the_number_of_valid_keys_is_limited(
    caller: v0.Caller, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apikeys, "MAX_KEYS", 2)
    first = create(caller)
    create(caller)
    caller.fails("POST", KEYS, {"name": "x", "scopes": ["view"]}, status=409)
    caller.delete(f"{KEYS}{first['id']}/")
    create(caller)


def test_keys_of_other_accounts_are_a_404(caller: v0.Caller) -> None:
    apikeys.generate(account=make_account())
    caller.fails("DELETE", f"{KEYS}{ApiKey.objects.get().pk}/", status=404)
    assert ApiKey.objects.get().revoked_at is None


def test_a_key_can_have_every_scope_but_urgent(account: Account) -> None:
    _, key = apikeys.create(
        account=account, created_by=owner_of(account), name="all", scopes=frozenset(KEY_SCOPES)
    )
    assert set(KEY_SCOPES) == set(Permission) - {Permission.URGENT}
    with_key(key).get("/api/accounts/user_details/")
