"""Test departments: creating and listing them, transfers, and acting for them as a member of the account above."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from rest_framework.test import APIClient

from accounts import apikeys, credits, departments, members, twins
from accounts.api.authentication import issue_tokens, refresh_access
from accounts.departments import Direction, NestedDepartment
from accounts.ledger import check_ledger
from accounts.models import Account, CreditEntry, Member, User
from accounts.permissions import ALL, KEY_SCOPES, Permission
from accounts.transfers import NotRelated, transfer
from campaigns import runs
from campaigns.models import Campaign
from iris.errors import Conflict, NotAuthenticated
from tests.factories import (
    client_of,
    make_account,
    make_campaign,
    make_empty_campaign,
    make_hold,
    make_member,
    owner_of,
)
from tests.v0 import Caller, assert_refusal, row_counts_and_balances

pytestmark = pytest.mark.django_db

DEPARTMENTS = "/api/system/departments/"
OPERATOR = members.Actor(granted=ALL, is_owner=True)


@pytest.fixture
def city() -> Account:
    return make_account(email="city@example.com", credits=1000, name="City")


@pytest.fixture
def ward(city: Account) -> Account:
    return departments.create(parent=city, name="Ward 5")


def acting(user: User, account: Account, *, login: Account | None = None) -> APIClient:
    """Return the client of a person who names an account in the header of each request."""
    client = APIClient(raise_request_exception=False)
    token = issue_tokens(user, account_id=None if login is None else login.pk).access
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_X_ACCOUNT=str(account.pk))
    return client


def balances(*accounts: Account) -> list[Decimal]:
    return [Account.objects.values_list("balance", flat=True).get(pk=one.pk) for one in accounts]


class TestApi:
    def test_a_department_is_created_listed_and_renamed(self, city: Account) -> None:
        caller = Caller(city)
        created = caller.post(DEPARTMENTS, {"name": "  Ward 5 "}, status=201)["data"]["department"]
        assert created["name"] == "Ward 5"
        assert (created["balance"], created["on_hold"], created["spent"]) == (0, 0, 0)
        renamed = caller.patch(f"{DEPARTMENTS}{created['id']}/", {"name": "वडा ५"})["data"]["department"]
        assert renamed == {**created, "name": "वडा ५"}
        (listed,) = caller.get(DEPARTMENTS)["data"]["departments"]
        assert listed == renamed

    def test_the_list_has_the_figures_of_each_department_and_their_sums(
        self, city: Account, ward: Account
    ) -> None:
        health = departments.create(parent=city, name="Health")
        transfer(source=city, target=ward, amount=Decimal(100))
        transfer(source=city, target=health, amount=Decimal(50))
        held = make_hold(account=ward, amount=30)
        credits.capture_many(captures=[credits.Capture(hold_id=held.pk, amount=Decimal("12.5"), cause="d:1")])
        credits.charge(account=health, amount=Decimal(5), cause="number:1")
        campaign = make_campaign(owner=ward, message="Namaste", sms_message="Namaste")
        runs.begin(campaign=campaign)
        make_empty_campaign(owner=health)
        make_empty_campaign(owner=city)
        data = Caller(city).get(DEPARTMENTS)["data"]
        first, second = data["departments"]
        assert (first["id"], first["balance"], first["on_hold"], first["spent"]) == (ward.pk, 67, 20.5, 12.5)
        assert (second["id"], second["balance"], second["on_hold"], second["spent"]) == (health.pk, 45, 0, 5)
        assert first["campaigns"]["total"] == first["campaigns"]["Running"] == 1
        assert second["campaigns"]["total"] == second["campaigns"]["Not Started"] == 1
        total = data["total"]
        assert (total["balance"], total["on_hold"], total["spent"]) == (112, 20.5, 17.5)
        assert (total["campaigns"]["total"], total["campaigns"]["Running"]) == (2, 1)

    def test_the_sums_cover_all_pages_with_a_constant_number_of_queries(
        self, city: Account, django_assert_num_queries: Any
    ) -> None:
        caller = Caller(city)
        queries = []
        for number in range(3):
            one = departments.create(parent=city, name=f"Ward {number}")
            transfer(source=city, target=one, amount=Decimal(10))
            make_empty_campaign(owner=one)
            with django_assert_num_queries(4):
                data = caller.get(f"{DEPARTMENTS}?page=1&page_size=1")["data"]
            queries.append(
                (len(data["departments"]), data["total"]["balance"], data["total"]["campaigns"]["total"])
            )
        assert queries == [(1, 10, 1), (1, 20, 2), (1, 30, 3)]
        assert data["pagination"]["total_items"] == 3

    def test_a_viewer_sees_the_figures_and_cannot_change_them(self, city: Account, ward: Account) -> None:
        viewer = acting(make_member(city, "viewer"), city)
        assert viewer.get(DEPARTMENTS).status_code == 200
        for method, path, body in (
            ("post", DEPARTMENTS, {"name": "Health"}),
            ("patch", f"{DEPARTMENTS}{ward.pk}/", {"name": "Health"}),
            ("post", f"{DEPARTMENTS}{ward.pk}/transfer/", {"amount": 1, "direction": "to_department"}),
        ):
            answer = getattr(viewer, method)(path, body, format="json")
            assert_refusal(answer.json(), 403)

    def test_a_department_and_a_twin_cannot_have_departments(self, city: Account, ward: Account) -> None:
        boss = owner_of(city)
        answer = acting(boss, ward).post(DEPARTMENTS, {"name": "Toles"}, format="json")
        assert_refusal(answer.json(), 409)
        assert "A department cannot have departments." in answer.json()["message"]
        twin = twins.open_twin(account=city)
        assert_refusal(acting(boss, twin).post(DEPARTMENTS, {"name": "Toles"}, format="json").json(), 403)
        with pytest.raises(NestedDepartment, match="test twin"):
            departments.create(parent=twin, name="Toles")
        assert acting(boss, ward).get(DEPARTMENTS).json()["data"]["departments"] == []

    @pytest.mark.parametrize(
        "body", [{}, {"name": ""}, {"name": " "}, {"name": None}, {"name": "x" * 256}, {"title": "x"}]
    )
    def test_a_department_needs_a_name(self, city: Account, ward: Account, body: dict[str, Any]) -> None:
        Caller(city).fails("POST", DEPARTMENTS, body, status=400)
        Caller(city).fails("PATCH", f"{DEPARTMENTS}{ward.pk}/", body, status=400)

    def test_an_account_has_a_bounded_number_of_departments(
        self, city: Account, ward: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(departments, "MAX_DEPARTMENTS", 1)
        Caller(city).fails("POST", DEPARTMENTS, {"name": "Health"}, status=409)


class TestTransfers:
    def send(self, account: Account, department: int, **body: Any) -> Any:
        return Caller(account).call("POST", f"{DEPARTMENTS}{department}/transfer/", body)

    def test_credits_move_both_ways(self, city: Account, ward: Account) -> None:
        to = self.send(city, ward.pk, amount=500, direction="to_department", note="July")
        assert (to["status"], to["message"]) == (201, "500.00 credits transferred.")
        assert to["data"]["account"] == {"id": city.pk, "balance": 500}
        assert to["data"]["department"] == {"id": ward.pk, "balance": 500}
        back = self.send(city, ward.pk, amount="12.50", direction="FROM_DEPARTMENT")
        assert back["data"]["department"]["balance"] == 487.5
        assert balances(city, ward) == [Decimal("512.50"), Decimal("487.50")]
        entries = CreditEntry.objects.filter(kind="transfer").order_by("pk")
        assert [(e.account_id, e.counterpart_id, e.balance_delta, e.note) for e in entries] == [
            (city.pk, ward.pk, Decimal(-500), "July"),
            (ward.pk, city.pk, Decimal(500), "July"),
            (ward.pk, city.pk, Decimal("-12.50"), "To City"),
            (city.pk, ward.pk, Decimal("12.50"), "From Ward 5"),
        ]
        assert check_ledger().differences == ()

    @pytest.mark.parametrize("direction", list(Direction))
    def test_a_transfer_beyond_the_balance_is_a_402_and_moves_nothing(
        self, city: Account, ward: Account, direction: Direction
    ) -> None:
        transfer(source=city, target=ward, amount=Decimal(100))
        before = row_counts_and_balances()
        answer = self.send(city, ward.pk, amount=900.01, direction=direction.value)
        assert_refusal(answer, 402)
        assert "has only" in answer["message"]
        assert row_counts_and_balances() == before

    @pytest.mark.parametrize(
        "amount",
        [
            0,
            -1,
            "-0.01",
            0.001,
            "1.005",
            "NaN",
            "nan",
            "sNaN",
            "Infinity",
            "-inf",
            True,
            [5],
            {"a": 1},
            "1_000",
            "१००",
        ]
        + ["five", "1,000", 1e300, 10**30, "9" * 400, 1000000000000, None, ""],
    )
    def test_an_amount_that_is_none_is_a_400(self, city: Account, ward: Account, amount: Any) -> None:
        before = row_counts_and_balances()
        answer = self.send(city, ward.pk, amount=amount, direction="to_department")
        assert_refusal(answer, 400)
        assert answer["errors"][0]["field"] == "amount"
        assert row_counts_and_balances() == before

    def test_nan_as_a_json_word_is_a_400(self, city: Account, ward: Account) -> None:
        for word in ("NaN", "Infinity", "-Infinity", "1e999", "0x10"):
            Caller(city).fails(
                "POST",
                f"{DEPARTMENTS}{ward.pk}/transfer/",
                f'{{"amount": {word}, "direction": "to_department"}}',
                content_type="application/json",
                status=400,
            )

    @pytest.mark.parametrize("direction", [None, "", "up", 1, ["to_department", "from_department"]])
    def test_a_transfer_needs_a_direction(self, city: Account, ward: Account, direction: Any) -> None:
        assert_refusal(self.send(city, ward.pk, amount=1, direction=direction), 400)

    def test_another_accounts_department_is_a_404(self, city: Account, ward: Account) -> None:
        stranger = make_account(credits=100)
        other = departments.create(parent=stranger, name="Ward 6")
        for account, department in (
            (city, other.pk),
            (stranger, ward.pk),
            (city, stranger.pk),
            (city, city.pk),
        ):
            assert_refusal(self.send(account, department, amount=1, direction="to_department"), 404)
            Caller(account).fails("PATCH", f"{DEPARTMENTS}{department}/", {"name": "Mine"}, status=404)
        assert balances(ward, other) == [0, 0]

    def test_a_test_twin_cannot_give_or_receive_credits(self, city: Account, ward: Account) -> None:
        for twin in (twins.open_twin(account=city), twins.open_twin(account=ward)):
            for direction in Direction:
                answer = self.send(city, twin.pk, amount=1, direction=direction.value)
                assert_refusal(answer, 409)
                assert "test twin" in answer["message"]
            for source, target in ((city, twin), (twin, ward), (twin, city)):
                with pytest.raises(NotRelated, match="test twin"):
                    transfer(source=source, target=target, amount=Decimal(1))
        assert check_ledger().differences == ()

    def test_the_twin_of_a_stranger_is_a_404(self, city: Account) -> None:
        twin = twins.open_twin(account=make_account())
        assert_refusal(self.send(city, twin.pk, amount=1, direction="from_department"), 404)

    def test_unrelated_accounts_and_sisters_cannot_transfer(self, city: Account, ward: Account) -> None:
        sister = departments.create(parent=city, name="Health")
        transfer(source=city, target=ward, amount=Decimal(10))
        for source, target in ((ward, sister), (city, make_account()), (city, city)):
            with pytest.raises(NotRelated):
                transfer(source=source, target=target, amount=Decimal(1))

    def test_credits_of_a_suspended_department_stay(self, city: Account, ward: Account) -> None:
        transfer(source=city, target=ward, amount=Decimal(10))
        Account.objects.filter(pk=ward.pk).update(is_suspended=True)
        for direction in Direction:
            assert_refusal(self.send(city, ward.pk, amount=1, direction=direction.value), 409)

    def test_a_cause_is_booked_once(self, city: Account, ward: Account) -> None:
        first = transfer(source=city, target=ward, amount=Decimal(10), cause="budget:7")
        assert transfer(source=city, target=ward, amount=Decimal(10), cause="budget:7") == first
        for amount, source, target in ((11, city, ward), (10, ward, city)):
            with pytest.raises(Conflict, match="already transferred"):
                transfer(source=source, target=target, amount=Decimal(amount), cause="budget:7")
        assert balances(city, ward) == [990, 10]

    def test_the_target_cannot_exceed_the_largest_balance(self, city: Account, ward: Account) -> None:
        credits.top_up(account=ward, amount=credits.MAX_AMOUNT - 5)
        make_hold(account=ward, amount=1000)
        assert_refusal(self.send(city, ward.pk, amount=6, direction="to_department"), 400)
        assert self.send(city, ward.pk, amount=5, direction="to_department")["status"] == 201

    def test_the_database_refuses_a_transfer_without_its_counterpart(self, city: Account) -> None:
        fields = {"kind": "transfer", "account": city, "held_delta": 0, "cause": "x:out", "amount": 5}
        for wrong in ({"balance_delta": -5}, {"balance_delta": 4, "counterpart": city}):
            with pytest.raises(IntegrityError), transaction.atomic():
                CreditEntry.objects.create(**fields, **wrong)

    def test_check_ledger_finds_a_transfer_with_one_side(self, city: Account, ward: Account) -> None:
        transfer(source=city, target=ward, amount=Decimal(10), cause="good")
        CreditEntry.objects.create(
            kind="transfer",
            account=ward,
            counterpart=city,
            amount=3,
            balance_delta=3,
            held_delta=0,
            cause="bad:in",
        )
        (difference,) = [one for one in check_ledger().differences if one.startswith("transfer")]
        assert difference == (
            "transfer bad: 3.00 credits must leave one account and reach the other, but its entries add up to 3.00"
        )

    def test_moved_credits_count_as_received_in_the_dashboard(self, city: Account, ward: Account) -> None:
        transfer(source=city, target=ward, amount=Decimal(100))
        transfer(source=ward, target=city, amount=Decimal(30))
        for account, purchased in ((city, 930), (ward, 70)):
            figures = acting(owner_of(city), account).get("/api/v1/dashboard/").json()
            assert purchased in figures.values() or str(purchased) in str(figures)


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
        for client, queries in zip(clients, (2, 3, 3), strict=True):
            with django_assert_num_queries(queries):
                assert client.get(path).status_code == 200


class TestDatabase:
    def test_an_account_stays_what_it_is(self, city: Account, ward: Account) -> None:
        other, twin = make_account(), twins.open_twin(account=city)
        for account, changed in (
            (ward, {"parent": None}),
            (ward, {"parent": other}),
            (other, {"parent": city}),
            (twin, {"twin_of": None}),
            (twin, {"twin_of": other}),
            (other, {"twin_of": ward}),
        ):
            with pytest.raises(DatabaseError, match="never change"), transaction.atomic():
                Account.objects.filter(pk=account.pk).update(**changed)
        ward.name = "Ward 6"
        ward.save()

    def test_no_program_nests_departments_or_twins(self, city: Account, ward: Account) -> None:
        twin = twins.open_twin(account=city)
        for fields in (
            {"parent": ward},
            {"parent": twin},
            {"twin_of": twin},
            {"parent": city, "twin_of": ward},
            {"twin_of": city},
        ):
            with pytest.raises(DatabaseError), transaction.atomic():
                Account.objects.create(name="x", **fields)

    def test_the_search_for_departments_uses_its_index(self, city: Account) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("EXPLAIN SELECT id FROM accounts_account WHERE parent_id = 1 ORDER BY id")
            assert "accounts_account_departments" in str(cursor.fetchall())
