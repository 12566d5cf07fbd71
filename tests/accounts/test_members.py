"""Accounts with several members: who may add, change and remove whom, and for which account a login acts."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts import apikeys, members, services
from accounts.api.authentication import issue_tokens
from accounts.credits import MAX_AMOUNT
from accounts.models import Account, Member, User
from accounts.permissions import KEY_SCOPES, Permission
from iris.errors import InvalidInput
from tests.accounts.test_credits_races import at_once
from tests.factories import account_of, client_of, make_account, make_campaign, make_member, owner_of
from tests.v0 import Caller, row_counts_and_balances

MEMBERS = "/api/system/members/"
CAMPAIGNS = "/api/system/campaigns/"
PASSWORD = "secret-password"

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


def calling(user: User, **headers: str) -> Caller:
    """Return a caller that is logged in as this person."""
    caller = Caller(None)
    caller.client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user).access}", **headers)
    return caller


def member_of(account: Account, user: User) -> Member:
    return Member.objects.get(account=account, user=user)


class TestMembers:
    def test_the_members_are_listed_in_the_order_in_which_they_joined(
        self, caller: Caller, account: Account
    ) -> None:
        make_member(account, "viewer")
        listed = caller.get(MEMBERS)["data"]["members"]
        assert [(one["preset"], one["permissions"]) for one in listed] == [
            ("owner", [*Permission]),
            ("viewer", ["view"]),
        ]
        assert listed[0]["email"] == "sita@example.com"

    def test_a_person_who_is_new_is_added_without_a_password(self, caller: Caller, account: Account) -> None:
        answer = caller.post(MEMBERS, {"email": " Ram@example.com ", "preset": "sender"}, status=201)
        assert answer["data"]["member"]["permissions"] == ["view", "prepare", "send"]
        assert "no password yet" in answer["message"]
        ram = User.objects.get(email="Ram@example.com")
        assert not ram.has_usable_password()
        ram.set_password(PASSWORD)
        ram.save()
        ram.refresh_from_db()
        assert [one["id"] for one in calling(ram).get("/api/system/accounts/")["data"]["accounts"]] == [
            account.pk
        ]

    def test_a_person_with_an_account_keeps_it_as_the_first(self, caller: Caller, account: Account) -> None:
        ram = owner_of(make_account(email="ram@example.com"))
        caller.post(MEMBERS, {"email": "RAM@example.com", "permissions": ["prepare"]}, status=201)
        listed = calling(ram).get("/api/system/accounts/")["data"]["accounts"]
        assert [(one["id"], one["preset"], one["is_current"]) for one in listed] == [
            (account_of(ram).pk, "owner", True),
            (account.pk, "author", False),
        ]

    @pytest.mark.parametrize(
        ("sent", "sentence"),
        [
            ({"email": "ram@example.com"}, "Send a preset"),
            ({"email": "ram@example.com", "preset": "king"}, "'king' is not a preset"),
            ({"email": "ram@example.com", "preset": "viewer", "permissions": ["view"]}, "Send a preset"),
            ({"email": "ram@example.com", "permissions": ["fly"]}, "fly"),
            ({"email": "ram@example.com", "permissions": []}, "Send a preset|empty"),
            ({"email": "ram", "preset": "viewer"}, "not an e-mail address"),
            ({"email": "x" * 300, "preset": "viewer"}, "too long"),
            ({"preset": "viewer"}, "e-mail address"),
        ],
    )
    def test_wrong_input_is_explained(self, caller: Caller, sent: dict[str, Any], sentence: str) -> None:
        before = row_counts_and_balances()
        answer = caller.fails("POST", MEMBERS, sent, status=400)
        assert re.search(sentence, answer["message"])
        assert row_counts_and_balances() == before

    def test_nobody_is_added_twice(self, caller: Caller) -> None:
        caller.fails("POST", MEMBERS, {"email": "Sita@example.com", "preset": "viewer"}, status=409)

    def test_permissions_can_be_changed(self, caller: Caller, account: Account) -> None:
        ram = make_member(account, "viewer")
        path = f"{MEMBERS}{member_of(account, ram).pk}/"
        calling(ram).fails("POST", CAMPAIGNS, {"name": "Water", "services": "SMS"}, status=403)
        assert caller.put(path, {"preset": "author"})["data"]["member"]["preset"] == "author"
        new = {"name": "Water", "services": "SMS", "individual_number": 9800000001}
        calling(ram).post(CAMPAIGNS, new, status=201)

    def test_a_removed_member_is_refused_at_once(self, caller: Caller, account: Account) -> None:
        ram = make_member(account, "sender")
        tokens, joined = issue_tokens(ram), calling(ram)
        joined.get(CAMPAIGNS)
        caller.delete(f"{MEMBERS}{member_of(account, ram).pk}/")
        joined.fails("GET", CAMPAIGNS, status=401)
        refresh = {"refresh": tokens.refresh}
        assert APIClient().post("/api/accounts/token/refresh/", refresh).status_code == 401
        # Joining again does not revive them.
        Member.objects.create(account=account, user=ram, permissions=["view"])
        joined.fails("GET", CAMPAIGNS, status=401)
        calling(ram).get(CAMPAIGNS)

    def test_a_removed_member_keeps_other_accounts(self, caller: Caller, account: Account) -> None:
        ram = owner_of(make_account())
        Member.objects.create(account=account, user=ram, permissions=["view"])
        own = calling(ram)
        caller.delete(f"{MEMBERS}{member_of(account, ram).pk}/")
        own.get(CAMPAIGNS)

    def test_everybody_can_leave(self, account: Account) -> None:
        ram = make_member(account, "viewer")
        calling(ram).delete(f"{MEMBERS}{member_of(account, ram).pk}/")
        assert not Member.objects.filter(user=ram).exists()

    def test_members_of_other_accounts_are_a_404(self, caller: Caller) -> None:
        other = make_account()
        member = Member.objects.get(account=other)
        caller.fails("PUT", f"{MEMBERS}{member.pk}/", {"preset": "viewer"}, status=404)
        caller.fails("DELETE", f"{MEMBERS}{member.pk}/", status=404)


class TestOwners:
    def test_the_last_owner_can_neither_leave_nor_lose_ownership(
        self, caller: Caller, account: Account
    ) -> None:
        make_member(account, "manager")
        path = f"{MEMBERS}{Member.objects.get(account=account, is_owner=True).pk}/"
        assert "only owner" in caller.fails("DELETE", path, status=409)["message"]
        caller.fails("PUT", path, {"preset": "manager"}, status=409)
        assert Member.objects.get(account=account, is_owner=True).preset == "owner"

    def test_a_second_owner_lets_the_first_one_leave(self, caller: Caller, account: Account) -> None:
        ram = make_member(account, "viewer")
        caller.put(f"{MEMBERS}{member_of(account, ram).pk}/", {"preset": "owner"})
        caller.delete(f"{MEMBERS}{member_of(account, owner_of_first(account)).pk}/")
        assert owner_of(account) == ram
        assert calling(ram).get("/api/system/owned/phone_numbers/")["success"]

    def test_a_deactivated_owner_does_not_count(self, caller: Caller, account: Account) -> None:
        make_member(account, "owner", is_active=False)
        path = f"{MEMBERS}{member_of(account, owner_of_first(account)).pk}/"
        caller.fails("DELETE", path, status=409)

    @pytest.mark.parametrize("preset", ["owner", "manager"])
    def test_managers_cannot_touch_owners_or_make_them(self, account: Account, preset: str) -> None:
        ram = make_member(account, "manager")
        manager, before = calling(ram), row_counts_and_balances()
        owner = member_of(account, owner_of_first(account))
        manager.fails("DELETE", f"{MEMBERS}{owner.pk}/", status=403)
        manager.fails("PUT", f"{MEMBERS}{owner.pk}/", {"preset": preset}, status=403)
        manager.fails("POST", MEMBERS, {"email": "x@example.com", "preset": "owner"}, status=403)
        manager.fails("PUT", f"{MEMBERS}{member_of(account, ram).pk}/", {"preset": "owner"}, status=403)
        assert row_counts_and_balances() == before

    def test_nobody_grants_or_takes_what_they_do_not_have(self, account: Account) -> None:
        clerk = make_member(account, "viewer")
        Member.objects.filter(user=clerk).update(permissions=["view", "manage_account"])
        sender = member_of(account, make_member(account, "sender"))
        viewer = member_of(account, make_member(account, "viewer"))
        caller = calling(clerk)
        refused = caller.fails("PUT", f"{MEMBERS}{viewer.pk}/", {"permissions": ["send"]}, status=403)
        assert "send" in refused["message"]
        caller.fails("DELETE", f"{MEMBERS}{sender.pk}/", status=403)
        caller.fails("PUT", f"{MEMBERS}{sender.pk}/", {"preset": "viewer"}, status=403)
        caller.fails("PUT", f"{MEMBERS}{member_of(account, clerk).pk}/", {"preset": "manager"}, status=403)
        caller.put(f"{MEMBERS}{viewer.pk}/", {"permissions": ["manage_account"]})
        caller.delete(f"{MEMBERS}{viewer.pk}/")

    def test_viewers_cannot_remove_viewers(self, account: Account) -> None:
        one, other = make_member(account, "viewer"), make_member(account, "viewer")
        answer = calling(one).fails("DELETE", f"{MEMBERS}{member_of(account, other).pk}/", status=403)
        assert "“manage_account”" in answer["message"]

    def test_a_key_cannot_remove_owners(self, account: Account) -> None:
        make_member(account, "owner")
        caller = Caller(None)
        caller.client.credentials(HTTP_AUTHORIZATION=f"Bearer {apikeys.generate(account=account)}")
        caller.fails(
            "DELETE", f"{MEMBERS}{Member.objects.filter(account=account).earliest('pk').pk}/", status=403
        )


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_leave_at_once_one_stays() -> None:
    account = make_account()
    make_member(account, "owner")

    def leave(member: Member) -> None:
        actor = members.Actor(granted=member.granted, is_owner=True, user_id=member.user_id)
        members.remove(account=account, member_id=member.pk, by=actor)

    both = list(Member.objects.filter(account=account))
    results = at_once([partial(leave, member) for member in both])
    assert sorted(type(result).__name__ for result in results) == ["LastOwner", "NoneType"]
    assert Member.objects.filter(account=account, is_owner=True).count() == 1


class TestChosenAccount:
    @pytest.fixture
    def ram(self, account: Account) -> User:
        """Return a person with an own account, who is also a viewer in `account`."""
        user = owner_of(make_account(email="ram@example.com", password=PASSWORD))
        Member.objects.create(account=account, user=user, permissions=["view"])
        make_campaign(owner=account, name="Of the organization")
        return user

    def names(self, caller: Caller) -> list[str]:
        return [one["name"] for one in caller.get(CAMPAIGNS)["result"]["campaign-lists"]]

    def test_a_login_acts_for_the_first_account(self, ram: User) -> None:
        assert self.names(calling(ram)) == []

    @pytest.mark.parametrize("path", ["/api/accounts/login/", "/api/v1/auths/login/"])
    def test_a_login_can_choose_an_account(self, ram: User, account: Account, path: str) -> None:
        sent = {"email": ram.email, "password": PASSWORD, "account": account.pk}
        answer = APIClient().post(path, sent).json()
        access = answer["data"]["token"]["access"] if "data" in answer else answer["access"]
        refresh = answer["data"]["token"]["refresh"] if "data" in answer else answer["refresh"]
        renewed = APIClient().post("/api/accounts/token/refresh/", {"refresh": refresh}).json()["access"]
        for token in (access, renewed):
            caller = Caller(None)
            caller.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
            assert self.names(caller) == ["Of the organization"]
            caller.fails("POST", CAMPAIGNS, {"name": "x", "services": "SMS"}, status=403)

    @pytest.mark.parametrize(
        ("wrong", "status"), [(10**12, 403), ("abc", 400), (0, 400), (-1, 400), (10**30, 400)]
    )
    def test_a_login_for_an_account_of_others_is_refused(self, ram: User, wrong: Any, status: int) -> None:
        sent = {"email": ram.email, "password": PASSWORD, "account": wrong}
        Caller(None).fails("POST", "/api/accounts/login/", sent, status=status)

    def test_a_header_chooses_an_account_for_one_request(self, ram: User, account: Account) -> None:
        assert self.names(calling(ram, HTTP_X_ACCOUNT=str(account.pk))) == ["Of the organization"]
        assert self.names(calling(ram, HTTP_X_ACCOUNT=str(account_of(ram).pk))) == []

    @pytest.mark.parametrize("header", ["1", "abc", "1,2", "-1", "9" * 30, "१", "0"])
    def test_a_header_for_an_account_of_others_is_a_403(self, ram: User, header: str) -> None:
        for path in (CAMPAIGNS, "/api/accounts/user_details/"):
            answer = calling(ram, HTTP_X_ACCOUNT=header).fails("GET", path, status=403)
            assert "not a member" in answer["message"]

    def test_a_key_belongs_to_one_account(self, ram: User, account: Account) -> None:
        key = apikeys.generate(account=account)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}", HTTP_X_ACCOUNT=str(account_of(ram).pk))
        assert client.get(CAMPAIGNS).status_code == 403
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}", HTTP_X_ACCOUNT=str(account.pk))
        assert client.get(CAMPAIGNS).status_code == 200

    def test_a_person_without_an_account_is_told_so(self) -> None:
        user = User.objects.create_user("ram@example.com", PASSWORD)
        sent = {"email": "ram@example.com", "password": PASSWORD}
        answer = Caller(None).fails("POST", "/api/accounts/login/", sent, status=403)
        assert "not a member of any account" in answer["message"]
        caller = Caller(None)
        caller.client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
        caller.fails("GET", CAMPAIGNS, status=403)

    def test_nobody_acts_for_a_suspended_account(self, ram: User, account: Account) -> None:
        key = apikeys.generate(account=account)
        Account.objects.filter(pk=account.pk).update(is_suspended=True)
        answer = calling(ram, HTTP_X_ACCOUNT=str(account.pk)).fails("GET", CAMPAIGNS, status=403)
        assert "suspended" in answer["message"]
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        assert client.get(CAMPAIGNS).status_code == 403
        assert self.names(calling(ram)) == []

    def test_a_request_needs_one_query_for_its_member(
        self, ram: User, account: Account, django_assert_num_queries: Any
    ) -> None:
        client = client_of(ram)
        with django_assert_num_queries(1):
            assert client.get("/api/accounts/user_details/").status_code == 200


def test_an_account_is_created_with_its_person_or_not_at_all() -> None:
    before = row_counts_and_balances()
    with pytest.raises(InvalidInput, match="not an amount"):
        services.create_account(email="ram@example.com", opening_credits=MAX_AMOUNT + 1)
    assert row_counts_and_balances() == before


def owner_of_first(account: Account) -> User:
    return Member.objects.filter(account=account, is_owner=True).earliest("pk").user


def test_every_key_scope_is_a_permission_of_the_manager() -> None:
    assert Permission.URGENT not in KEY_SCOPES
