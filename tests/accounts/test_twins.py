"""Test test twins: their keys, their credits, who acts for them, and what they cannot have."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from accounts import apikeys, credits, departments, members, twins
from accounts.api.authentication import issue_tokens
from accounts.ledger import check_ledger
from accounts.models import Account, ApiKey, CreditEntry, Member
from accounts.permissions import ALL
from campaigns.models import Campaign
from iris.errors import Conflict
from tests.factories import client_of, make_account, make_empty_campaign, make_member, owner_of
from tests.v0 import Caller, assert_refusal, row_counts_and_balances

pytestmark = pytest.mark.django_db

KEYS, TWIN = "/api/system/keys/", "/api/system/twin/"
ALL_SCOPES = ["view", "prepare", "send", "manage_credits", "manage_account"]


@pytest.fixture
def sita() -> Account:
    return make_account(email="sita@example.com", credits=100, name="Sita")


def new_test_key(account: Account, **fields: Any) -> dict[str, Any]:
    body = {"name": "tests", "scopes": ALL_SCOPES, "test": True, **fields}
    key: dict[str, Any] = Caller(account).post(KEYS, body, status=201)["data"]["key"]
    return key


def with_key(key: str) -> Caller:
    caller = Caller(None)
    caller.client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return caller


class TestKeys:
    def test_a_test_key_is_a_key_of_the_twin_and_recognizable(self, sita: Account) -> None:
        key = new_test_key(sita)
        assert key["token"].startswith("test_")
        assert key["beginning"] == key["token"][:13]
        assert key["test"] is True
        twin = Account.objects.get(twin_of=sita)
        assert ApiKey.objects.get().account == twin
        (account,) = with_key(key["token"]).get("/api/system/accounts/")["data"]["accounts"]
        assert (account["id"], account["name"], account["twin_of"]) == (twin.pk, "Sita (test)", sita.pk)
        assert account["is_current"] is True

    def test_live_keys_stay_as_they_were(self, sita: Account) -> None:
        key = Caller(sita).post(KEYS, {"name": "x", "scopes": ["view"]}, status=201)["data"]["key"]
        assert (len(key["token"]), len(key["beginning"]), key["test"]) == (64, 8, False)
        assert not Account.objects.filter(twin_of=sita).exists()

    def test_the_account_lists_and_revokes_the_keys_of_its_twin(self, sita: Account) -> None:
        first, second = new_test_key(sita), new_test_key(sita)
        live = Caller(sita).post(KEYS, {"name": "x", "scopes": ["view"]}, status=201)["data"]["key"]
        listed = Caller(sita).get(KEYS)["data"]["keys"]
        assert {key["id"] for key in listed} == {first["id"], second["id"], live["id"]}
        assert {key["id"] for key in with_key(first["token"]).get(KEYS)["data"]["keys"]} == {
            first["id"],
            second["id"],
        }
        assert Caller(sita).delete(f"{KEYS}{first['id']}/")["data"]["key"]["test"] is True
        with_key(first["token"]).fails("GET", KEYS, status=401)
        with_key(second["token"]).fails("DELETE", f"{KEYS}{live['id']}/", status=404)
        assert Caller(sita).post(f"{KEYS}revoke_all/")["data"]["revoked"] == 2
        with_key(second["token"]).fails("GET", KEYS, status=401)

    def test_a_test_key_makes_only_test_keys(self, sita: Account) -> None:
        key = new_test_key(sita)["token"]
        made = with_key(key).post(KEYS, {"name": "ci", "scopes": ["send"]}, status=201)["data"]["key"]
        assert made["token"].startswith("test_")
        body = {"name": "live", "scopes": ["send"], "test": False}
        before = ApiKey.objects.count()
        answer = with_key(key).fails("POST", KEYS, body, status=403)
        assert "live" in answer["message"]
        generated = with_key(key).client.post("/api/v1/auths/generate-api-keys/").json()["token"]
        assert generated.startswith("test_")
        assert set(ApiKey.objects.values_list("account__twin_of", flat=True)) == {sita.pk}
        assert ApiKey.objects.count() == before + 1

    @pytest.mark.parametrize("test", ["maybe", 2, [], {}])
    def test_test_is_true_or_false(self, sita: Account, test: Any) -> None:
        body = {"name": "x", "scopes": ["view"], "test": test}
        Caller(sita).fails("POST", KEYS, body, status=400)
        assert not Account.objects.filter(twin_of=sita).exists()

    def test_a_key_grants_no_more_than_its_creator_has(self, sita: Account) -> None:
        Member.objects.filter(account=sita).update(is_owner=False, permissions=["view", "manage_account"])
        client = client_of(Member.objects.get(account=sita).user)
        answer = client.post(KEYS, {"name": "x", "scopes": ["view", "send"], "test": True}, format="json")
        assert answer.status_code == 403
        assert not Account.objects.filter(twin_of=sita).exists()

    def test_a_test_key_names_no_account_but_its_own(self, sita: Account) -> None:
        key = new_test_key(sita)["token"]
        for account, status in ((sita, 403), (make_account(), 403), (Account.objects.get(twin_of=sita), 200)):
            caller = with_key(key)
            caller.client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}", HTTP_X_ACCOUNT=str(account.pk))
            caller.call("GET", KEYS, status=status)

    def test_a_test_key_ends_with_its_account(self, sita: Account) -> None:
        key = new_test_key(sita)["token"]
        Account.objects.filter(pk=sita.pk).update(is_suspended=True)
        with_key(key).fails("GET", KEYS, status=403)
        Account.objects.filter(pk=sita.pk).update(is_suspended=False)
        owner_of(sita).__class__.objects.update(is_active=False)
        with_key(key).fails("GET", KEYS, status=401)


class TestActing:
    def test_members_act_for_the_twin_with_their_permissions(self, sita: Account) -> None:
        twin = twins.open_twin(account=sita)
        client = APIClient()
        body = {"name": "Water", "services": "SMS", "individual_number": [9841000001]}
        for preset, status in (("viewer", 403), ("author", 201)):
            token = issue_tokens(make_member(sita, preset)).access
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_X_ACCOUNT=str(twin.pk))
            assert client.post("/api/system/campaigns/", body, format="json").status_code == status
        assert Campaign.objects.get().owner == twin

    def test_the_twin_of_a_department_belongs_to_the_members_of_both(self, sita: Account) -> None:
        ward = departments.create(parent=sita, name="Ward")
        twin = twins.open_twin(account=ward)
        for person in (owner_of(sita), make_member(ward, "viewer")):
            assert members.standing_of(user=person, account_id=twin.pk).account == twin
        with pytest.raises(members.NotAMember):
            members.standing_of(user=owner_of(make_account()), account_id=twin.pk)

    def test_a_twin_is_never_the_default_account_of_a_login(self, sita: Account) -> None:
        twins.open_twin(account=sita)
        person = owner_of(sita)
        assert members.standing_of(user=person).account == sita
        Member.objects.all().delete()
        with pytest.raises(members.NotAMember):
            members.standing_of(user=person)

    def test_a_login_can_ask_for_the_twin(self, sita: Account) -> None:
        twin = twins.open_twin(account=sita)
        body = {"email": "sita@example.com", "password": "secret-password", "account": twin.pk}
        tokens = Caller(None).post("/api/accounts/login/", body)["data"]["token"]
        caller = with_key(tokens["access"])
        make_empty_campaign(owner=sita)
        assert caller.client.get("/api/system/campaigns/").json()["pagination"]["total_items"] == 0
        Caller(None).post("/api/accounts/login/", {**body, "account": make_account().pk}, status=403)

    def test_the_twin_sees_nothing_of_its_account_and_the_other_way_round(self, sita: Account) -> None:
        twin = twins.open_twin(account=sita)
        mine, its = make_empty_campaign(owner=sita), make_empty_campaign(owner=twin)
        tests = with_key(new_test_key(sita)["token"])
        tests.fails("GET", f"/api/system/campaigns/{mine.pk}/details/", status=404)
        tests.get(f"/api/system/campaigns/{its.pk}/details/")
        Caller(sita).fails("GET", f"/api/system/campaigns/{its.pk}/details/", status=404)


class TestLimits:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "/api/system/members/", None),
            ("POST", "/api/system/members/", {"email": "ram@example.com", "preset": "owner"}),
            ("DELETE", "/api/system/members/1/", None),
            ("GET", "/api/system/departments/", None),
            ("POST", "/api/system/departments/", {"name": "Ward"}),
            ("PATCH", "/api/system/departments/1/", {"name": "Ward"}),
            ("POST", "/api/system/departments/1/transfer/", {"amount": 1, "direction": "to_department"}),
        ],
    )
    def test_a_test_key_is_refused_where_a_live_one_is_needed(
        self, sita: Account, method: str, path: str, body: Any
    ) -> None:
        tests = with_key(new_test_key(sita)["token"])
        before = row_counts_and_balances()
        answer = tests.fails(method, path, body, status=403)
        assert "live" in answer["message"]
        assert row_counts_and_balances() == before

    def test_a_twin_has_no_members_and_no_twin(self, sita: Account) -> None:
        twin = twins.open_twin(account=sita)
        with pytest.raises(twins.NoTwinOfTwin, match="test twin"):
            twins.open_twin(account=twin)
        with pytest.raises(members.NoMembers, match="no members"):
            members.add(
                account=twin,
                email="ram@example.com",
                permissions=ALL,
                by=members.Actor(granted=ALL, is_owner=True),
            )
        with pytest.raises(CommandError, match="no members"):
            call_command("addmember", str(twin.pk), "ram@example.com", "viewer")
        with pytest.raises(CommandError, match="have no departments"):
            call_command(
                "createaccount", "w@example.com", "--password", "a-long-secret", "--parent", str(twin.pk)
            )
        assert not Account.objects.filter(members__user__email="w@example.com").exists()


class TestCredits:
    def test_a_twin_opens_with_credits_of_its_own(self, sita: Account) -> None:
        assert Caller(sita).get(TWIN)["data"]["twin"] is None
        new_test_key(sita)
        shown = Caller(sita).get(TWIN)["data"]["twin"]
        twin = Account.objects.get(twin_of=sita)
        assert shown == {
            "id": twin.pk,
            "name": "Sita (test)",
            "twin_of": sita.pk,
            "balance": 10_000,
            "on_hold": 0,
            "spent": 0,
        }
        (entry,) = CreditEntry.objects.filter(account=twin)
        assert (entry.kind, entry.amount, entry.note) == ("topup", 10_000, "Test credits")
        assert Account.objects.get(pk=sita.pk).balance == 100

    def test_credits_are_filled_up_on_request(self, sita: Account) -> None:
        opened = Caller(sita).post(TWIN)["data"]["twin"]
        twin = Account.objects.get(pk=opened["id"])
        credits.charge(account=twin, amount=Decimal("1234.56"), cause="number:1")
        credits.hold(account=twin, amount=Decimal(1000), cause="run:1")
        for _ in range(2):
            filled = Caller(sita).post(TWIN)
            assert filled["message"] == "The test twin has 10000.00 credits."
            assert (filled["data"]["twin"]["balance"], filled["data"]["twin"]["on_hold"]) == (10_000, 1000)
        credits.release(hold_id=twin.credit_holds.get().pk, cause="run:1:end")
        assert with_key(new_test_key(sita)["token"]).post(TWIN)["data"]["twin"]["balance"] == 11_000
        assert CreditEntry.objects.filter(account=twin, kind="topup").count() == 2
        assert check_ledger().differences == ()

    def test_filling_up_needs_the_permission_to_send(self, sita: Account) -> None:
        for preset, status in (("author", 403), ("sender", 200)):
            client = client_of(make_member(sita, preset))
            assert client.post(TWIN).status_code == status

    def test_topup_refuses_a_twin(self, sita: Account) -> None:
        twin = twins.open_twin(account=sita)
        with pytest.raises(CommandError, match=f"test twin.* give the number {sita.pk}"):
            call_command("topup", str(twin.pk), "50")
        assert Account.objects.get(pk=twin.pk).balance == 10_000


class TestCommands:
    def test_createaccount_makes_a_department_with_credits_of_its_parent(self, sita: Account) -> None:
        output = StringIO()
        call_command(
            "createaccount",
            "ward@example.com",
            *(
                "--password",
                "a-long-secret",
                "--parent",
                "sita@example.com",
                "--credits",
                "60",
                "--name",
                "Ward 5",
            ),
            stdout=output,
        )
        ward = Account.objects.get(parent=sita)
        assert (ward.name, ward.balance, owner_of(ward).email) == ("Ward 5", 60, "ward@example.com")
        assert Account.objects.get(pk=sita.pk).balance == 40
        assert "has 60.00 credits" in output.getvalue()
        for parent, needle in (
            (str(ward.pk), "cannot have departments"),
            ("999999999", "no account with the number"),
        ):
            with pytest.raises(CommandError, match=needle):
                call_command(
                    "createaccount", "x@example.com", "--password", "a-long-secret", "--parent", parent
                )

    def test_createaccount_creates_nothing_if_the_parent_has_too_few_credits(self, sita: Account) -> None:
        before = row_counts_and_balances()
        with pytest.raises(CommandError, match="has only 100"):
            call_command(
                "createaccount",
                "ward@example.com",
                *("--password", "a-long-secret", "--parent", str(sita.pk), "--credits", "100.01"),
            )
        assert row_counts_and_balances() == before


def test_two_twins_of_one_account_are_refused(sita: Account) -> None:
    twin = twins.open_twin(account=sita)
    assert twins.open_twin(account=sita) == twin
    assert apikeys.TEST_PREFIX == "test_"
    answer = Caller(sita).call("POST", TWIN)
    assert answer["data"]["twin"]["id"] == twin.pk
    assert issubclass(twins.NoTwinOfTwin, Conflict)
    assert_refusal(
        Caller(make_account()).fails("POST", f"/api/system/departments/{twin.pk}/transfer/", {}, status=404),
        404,
    )
