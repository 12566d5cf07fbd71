"""Test departments: creating, listing and renaming them, and what the database keeps of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from accounts import credits, departments, twins
from accounts.departments import NestedDepartment
from accounts.models import Account
from accounts.transfers import transfer
from campaigns import runs
from tests.accounts.departments.acting import acting
from tests.factories import make_account, make_campaign, make_empty_campaign, make_hold, make_member, owner_of
from tests.v0 import Caller, assert_refusal

pytestmark = pytest.mark.django_db

DEPARTMENTS = "/api/system/departments/"


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
