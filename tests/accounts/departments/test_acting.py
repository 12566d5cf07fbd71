"""Test members who act for a department of their account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts import apikeys, departments, members, twins
from accounts.api.authentication import issue_tokens, refresh_access
from accounts.models import Account, Member, User
from accounts.permissions import ALL, KEY_SCOPES, Permission
from accounts.transfers import transfer
from campaigns.models import Campaign
from iris.errors import NotAuthenticated
from tests.accounts.departments.acting import acting, balances
from tests.factories import client_of, make_empty_campaign, make_member, owner_of
from tests.v0 import assert_refusal

pytestmark = pytest.mark.django_db
OPERATOR = members.Actor(granted=ALL, is_owner=True)


class TestActing:
    def test_a_member_acts_for_a_department_with_the_same_permissions(
        self, city: Account, ward: Account
    ) -> None:
        transfer(source=city, target=ward, amount=Decimal(100))
        author = acting(make_member(city, "author"), ward)
        body = {"name": "Water", "services": "SMS", "individual_number": [9841000001]}
        created = author.post("/api/system/campaigns/", body, format="json")
        assert created.status_code == 201, created.content
        campaign = Campaign.objects.get()
        assert campaign.owner == ward
        begin = f"/api/system/campaigns/{campaign.pk}/begin/"
        refused = author.post(begin, {"message": "Namaste"}, format="json")
        assert_refusal(refused.json(), 403)
        assert "“send”" in refused.json()["message"]
        begun = acting(make_member(city, "sender"), ward).post(begin, {"message": "Namaste"}, format="json")
        assert begun.status_code == 200, begun.content
        assert balances(city, ward) == [900, 99]

    def test_a_department_is_not_shown_to_the_account_without_the_header(
        self, city: Account, ward: Account
    ) -> None:
        make_empty_campaign(owner=ward, name="Of the ward")
        assert "Of the ward" not in client_of(city).get("/api/system/campaigns/").content.decode()

    def test_a_member_of_a_department_has_no_permission_elsewhere(self, city: Account, ward: Account) -> None:
        sister = departments.create(parent=city, name="Health")
        clerk = make_member(ward, "owner")
        for account in (city, sister, twins.open_twin(account=city)):
            answer = acting(clerk, account).get("/api/system/campaigns/")
            assert_refusal(answer.json(), 403)
        assert acting(clerk, ward).get("/api/system/campaigns/").status_code == 200
        assert acting(clerk, twins.open_twin(account=ward)).get("/api/system/campaigns/").status_code == 200

    def test_permissions_in_a_department_are_those_of_both_memberships(
        self, city: Account, ward: Account
    ) -> None:
        person = make_member(city, "viewer")
        Member.objects.create(account=ward, user=person, permissions=["view", "send"])
        (current,) = [
            one
            for one in acting(person, ward).get("/api/system/accounts/").json()["data"]["accounts"]
            if one["is_current"]
        ]
        assert current["id"] == ward.pk
        assert current["parent"] == city.pk
        standing = members.standing_of(user=person, account_id=ward.pk)
        assert standing.granted == {Permission.VIEW, Permission.SEND}
        assert members.standing_of(user=person, account_id=city.pk).granted == {Permission.VIEW}

    @pytest.mark.parametrize("by_login", [False, True])
    def test_removing_the_member_ends_it_at_once(self, city: Account, ward: Account, by_login: bool) -> None:
        person = make_member(city, "sender")
        client = acting(person, ward)
        tokens = issue_tokens(person, account_id=ward.pk)
        if by_login:
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.access}")
        assert client.get("/api/system/campaigns/").status_code == 200
        assert refresh_access(tokens.refresh)
        members.remove(account=city, member_id=Member.objects.get(user=person).pk, by=OPERATOR)
        assert client.get("/api/system/campaigns/").status_code == (401 if by_login else 403)
        with pytest.raises(NotAuthenticated):
            refresh_access(tokens.refresh)

    def test_changing_the_member_changes_the_permissions_in_departments(
        self, city: Account, ward: Account
    ) -> None:
        person = make_member(city, "manager")
        client = acting(person, ward)
        assert client.get("/api/system/keys/").status_code == 200
        members.change(
            account=city,
            member_id=Member.objects.get(user=person).pk,
            is_owner=False,
            permissions=frozenset({Permission.VIEW}),
            by=OPERATOR,
        )
        assert client.get("/api/system/keys/").status_code == 403

    def test_suspending_the_account_ends_its_members_work_for_departments_at_once(
        self, city: Account, ward: Account
    ) -> None:
        _, key = apikeys.create(account=ward, created_by=None, name="x", scopes=frozenset(KEY_SCOPES))
        clerk = make_member(ward, "sender")
        with_key = APIClient()
        with_key.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        clients = [acting(owner_of(city), ward), acting(clerk, ward), client_of(clerk), with_key]
        assert [one.get("/api/system/campaigns/").status_code for one in clients] == [200] * 4
        Account.objects.filter(pk=city.pk).update(is_suspended=True)
        answers = [one.get("/api/system/campaigns/") for one in clients]
        assert [one.status_code for one in answers] == [403] * 4
        assert "suspended" in answers[0].json()["message"]
        Account.objects.update(is_suspended=False)
        Account.objects.filter(pk=ward.pk).update(is_suspended=True)
        assert [one.get("/api/system/campaigns/").status_code for one in clients] == [403] * 4
        assert client_of(city).get("/api/system/campaigns/").status_code == 200

    def test_a_key_of_the_account_does_not_act_for_departments(self, city: Account, ward: Account) -> None:
        twin = twins.open_twin(account=city)
        _, key = apikeys.create(account=city, created_by=None, name="x", scopes=frozenset(KEY_SCOPES))
        client = APIClient()
        for account in (ward, twin):
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}", HTTP_X_ACCOUNT=str(account.pk))
            assert_refusal(client.get("/api/system/campaigns/").json(), 403)

    def test_a_key_of_a_department_is_valid_while_an_owner_of_the_account_is_active(
        self, city: Account, ward: Account
    ) -> None:
        boss = acting(owner_of(city), ward)
        answer = boss.post("/api/system/keys/", {"name": "x", "scopes": ["view"]}, format="json")
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['data']['key']['token']}")
        assert client.get("/api/system/campaigns/").status_code == 200
        User.objects.update(is_active=False)
        assert client.get("/api/system/campaigns/").status_code == 401

    def test_the_only_member_of_a_department_may_leave(self, city: Account, ward: Account) -> None:
        clerk = make_member(ward, "owner")
        member = Member.objects.get(user=clerk)
        assert acting(clerk, ward).delete(f"/api/system/members/{member.pk}/").status_code == 200
        assert acting(owner_of(city), ward).get("/api/system/members/").json()["data"]["members"] == []

    def test_a_request_for_a_department_takes_one_more_query(
        self, city: Account, ward: Account, django_assert_num_queries: Any
    ) -> None:
        path = "/api/system/owned/phone_numbers/"
        twin = twins.open_twin(account=ward)
        clients = [acting(owner_of(city), account) for account in (city, ward, twin)]
        for client, queries in zip(clients, (2, 3, 4), strict=True):  # a twin's requests are logged
            with django_assert_num_queries(queries):
                assert client.get(path).status_code == 200
