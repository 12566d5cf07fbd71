"""The audit logs of departments, transfers, test twins and exported statements: who sees which entry."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from accounts import apikeys, departments, transfers, twins
from accounts.api.authentication import issue_tokens
from accounts.audit_sentences import sentence_of
from accounts.models import Account, AuditEntry
from accounts.permissions import KEY_SCOPES
from iris.errors import Conflict
from tests.factories import client_of, make_account, owner_of

pytestmark = pytest.mark.django_db

AUDIT, DEPARTMENTS, KEYS, TWIN, STATEMENT = (
    f"/api/system/{path}/" for path in ("audit", "departments", "keys", "twin", "credits/statement")
)


@pytest.fixture
def city() -> Account:
    return make_account(
        email="sita@example.com", first_name="Sita", last_name="Rai", credits=1000, name="City"
    )


@pytest.fixture
def ward(city: Account) -> Account:
    return departments.create(parent=city, name="Ward 5")


def said(account: Account, *, after: int = 0) -> list[str]:
    """Return the sentences in the log of an account with ids above `after`, the oldest first."""
    rows = AuditEntry.objects.filter(account_id=account.pk, pk__gt=after).order_by("pk")
    return [sentence_of(row) for row in rows]


def newest() -> int:
    return AuditEntry.objects.latest("pk").pk


def acting_for(account: Account, city: Account) -> APIClient:
    client = APIClient()
    token = issue_tokens(owner_of(city)).access
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_X_ACCOUNT=str(account.pk))
    return client


class TestDepartments:
    def test_a_new_department_is_in_both_logs(self, city: Account) -> None:
        after = newest()
        client_of(city).post(DEPARTMENTS, {"name": "Ward 5"})
        ward = Account.objects.get(parent=city)
        assert said(city, after=after) == ["Sita Rai created the department “Ward 5”."]
        assert said(ward) == ["Sita Rai created the account “Ward 5”."]
        entry = AuditEntry.objects.get(action="department_created")
        assert (entry.kind, entry.object_id) == ("account", ward.pk)

    def test_a_department_that_the_operator_creates_is_in_both_logs(self, city: Account) -> None:
        after = newest()
        options = ("--password", "a-long-secret", "--parent", "sita@example.com", "--credits", "60")
        call_command("createaccount", "ward@example.com", *options, "--name", "Ward 5")
        assert said(city, after=after) == [
            "The server created the department “Ward 5”.",
            "The server moved 60.00 credits to another account (Opening credits).",
        ]
        ward = Account.objects.get(parent=city)
        assert "The server moved 60.00 credits here from another account (Opening credits)." in said(ward)

    def test_a_refused_department_leaves_no_entry(self, city: Account, ward: Account) -> None:
        after = newest()
        assert acting_for(ward, city).post(DEPARTMENTS, {"name": "Tole"}).status_code == 409
        assert newest() == after

    def test_what_is_done_for_a_department_is_in_its_own_log(self, city: Account, ward: Account) -> None:
        after = newest()
        acting_for(ward, city).put("/api/system/settings/", {"approval_above": 5})
        assert said(city, after=after) == []
        assert said(ward, after=after)[0].startswith("Sita Rai changed settings")
        shown = acting_for(ward, city).get(AUDIT).json()["data"]["entries"]
        assert shown[0]["action"] == "settings_changed"


class TestTransfers:
    def move(self, city: Account, ward: Account, **body: Any) -> int:
        answer = client_of(city).post(f"{DEPARTMENTS}{ward.pk}/transfer/", body)
        status: int = answer.status_code
        return status

    def test_a_transfer_is_in_both_logs(self, city: Account, ward: Account) -> None:
        after = newest()
        assert self.move(city, ward, amount=500, direction="to_department", note="July") == 201
        assert said(city, after=after) == ["Sita Rai moved 500.00 credits to another account (July)."]
        assert said(ward, after=after) == ["Sita Rai moved 500.00 credits here from another account (July)."]
        after = newest()
        assert self.move(city, ward, amount="12.5", direction="from_department") == 201
        assert said(ward, after=after) == ["Sita Rai moved 12.50 credits to another account (To City)."]
        assert said(city, after=after) == [
            "Sita Rai moved 12.50 credits here from another account (From Ward 5)."
        ]

    def test_a_refused_transfer_leaves_no_entry(self, city: Account, ward: Account) -> None:
        after = newest()
        assert self.move(city, ward, amount=1001, direction="to_department") == 402
        assert newest() == after

    def test_a_repeated_cause_leaves_no_second_entry(self, city: Account, ward: Account) -> None:
        after = newest()
        for _ in range(3):
            transfers.transfer(source=city, target=ward, amount=Decimal(10), cause="budget:7")
        with pytest.raises(Conflict):
            transfers.transfer(source=city, target=ward, amount=Decimal(11), cause="budget:7")
        assert (len(said(city, after=after)), len(said(ward, after=after))) == (1, 1)
        causes = AuditEntry.objects.filter(pk__gt=after).values_list("details__cause", flat=True)
        assert set(causes) == {"budget:7:out", "budget:7:in"}

    def test_a_repeated_request_leaves_no_second_entry(self, city: Account, ward: Account) -> None:
        after = newest()
        client = client_of(city)
        for _ in range(2):
            answer = client.post(
                f"{DEPARTMENTS}{ward.pk}/transfer/",
                {"amount": 7, "direction": "to_department"},
                HTTP_IDEMPOTENCY_KEY="july-7",
            )
            assert answer.status_code == 201
        assert (len(said(city, after=after)), len(said(ward, after=after))) == (1, 1)


class TestTwins:
    def test_creating_and_filling_up_a_twin_is_in_the_log_of_its_account(self, city: Account) -> None:
        after = newest()
        client = client_of(city)
        client.post(TWIN)
        client.post(TWIN)  # it is full, so nothing is done
        twin = Account.objects.get(twin_of=city)
        assert said(city, after=after) == ["Sita Rai created the test twin “City (test)”."]
        assert said(twin)[:2] == [
            "Sita Rai created the account “City (test)”.",
            "Sita Rai added 10,000.00 credits (Test credits).",
        ]
        Account.objects.filter(pk=twin.pk).update(balance=Decimal("8765.50"))
        after = newest()
        client.post(TWIN)
        assert said(city, after=after) == [
            "Sita Rai filled up the test twin “City (test)” with 1,234.50 credits."
        ]
        assert said(twin, after=after) == ["Sita Rai added 1,234.50 credits (Test credits)."]

    def test_a_twin_that_a_test_key_fills_up_is_in_the_log_of_its_account(self, city: Account) -> None:
        twin = twins.open_twin(account=city)
        _, key = apikeys.create(account=twin, created_by=None, name="ci", scopes=frozenset(KEY_SCOPES))
        Account.objects.filter(pk=twin.pk).update(balance=0)
        after = newest()
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        assert client.post(TWIN).status_code == 200
        assert said(city, after=after) == [
            "The API key “ci” filled up the test twin “City (test)” with 10,000.00 credits."
        ]

    def test_a_test_key_is_in_the_logs_of_the_account_and_of_its_twin(self, city: Account) -> None:
        client = client_of(city)
        body = {"name": "ci", "scopes": ["view", "send"], "test": True}
        created = client.post(KEYS, body, format="json").json()["data"]["key"]
        twin = Account.objects.get(twin_of=city)
        sentence = "Sita Rai created the test key “ci” with the scopes view, send."
        assert (said(city)[-1], said(twin)[-1]) == (sentence, sentence)
        client.delete(f"{KEYS}{created['id']}/")
        client.post(f"{KEYS}revoke_all/")
        for account in (city, twin):
            assert said(account)[-1] == "Sita Rai revoked the test key “ci”."
            assert sum("revoked" in sentence for sentence in said(account)) == 1
        assert created["token"] not in str(list(AuditEntry.objects.values_list()))

    def test_a_live_key_is_only_in_the_log_of_its_account(self, city: Account) -> None:
        twin = twins.open_twin(account=city)
        after = newest()
        apikeys.create(account=city, created_by=None, name="web", scopes=frozenset(KEY_SCOPES))
        assert (len(said(city, after=after)), said(twin, after=after)) == (1, [])


class TestStatements:
    def test_an_exported_statement_is_logged_with_its_days(self, city: Account) -> None:
        after = newest()
        client = client_of(city)
        days = {"from": "2026-01-01", "to": "2026-01-31"}
        assert client.get(STATEMENT, days).status_code == 200
        assert said(city, after=after) == []  # it was only shown
        answer = client.get(STATEMENT, {**days, "format": "csv"})
        assert answer["Content-Type"].startswith("text/csv")
        assert said(city, after=after) == [
            "Sita Rai exported the statement of credits from 2026-01-01 to 2026-01-31."
        ]
        listed = client.get(AUDIT, {"action": "exported"}).json()["data"]["entries"]
        assert listed[0]["details"] == {"what": "statement", "first": "2026-01-01", "last": "2026-01-31"}

    def test_a_refused_statement_leaves_no_entry(self, city: Account) -> None:
        after = newest()
        days = {"from": "2026-02-01", "to": "2026-01-31", "format": "csv"}
        assert client_of(city).get(STATEMENT, days).status_code == 400
        assert newest() == after
