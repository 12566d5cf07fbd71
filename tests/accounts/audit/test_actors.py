"""The audit log names who acted (people, keys, operators, programs), and has their sign-ins."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts import actors, apikeys
from accounts.addresses import shown_address
from accounts.audit_sentences import sentence_of
from accounts.models import Account, AuditEntry, User
from accounts.permissions import KEY_SCOPES
from tests.accounts.audit.reading import latest
from tests.factories import client_of, owner_of

pytestmark = pytest.mark.django_db
SETTINGS = "/api/system/settings/"


class TestActors:
    def test_a_request_names_its_person_its_address_and_its_request(self, account: Account) -> None:
        client = client_of(account)
        client.put(SETTINGS, {"approval_above": 5, "approval_hours": 2}, REMOTE_ADDR="2001:db8::7")
        entry = latest("settings_changed")
        assert (entry.actor_kind, entry.user_id, entry.actor_name, entry.actor_email, entry.address) == (
            "person", owner_of(account).pk, "Sita Rai", "sita@example.com", "2001:db8::7",
        )  # fmt: skip
        assert len(entry.request) == 32
        client.put(SETTINGS, {"approval_above": None})
        assert latest("settings_changed").request != entry.request

    def test_the_actor_of_a_request_does_not_act_after_it(self, account: Account, client: APIClient) -> None:
        client.put(SETTINGS, {"approval_above": 5})
        assert actors.current() is actors.SERVER
        Account.objects.filter(pk=account.pk).update(is_suspended=True)
        assert latest("account_suspended").actor_kind == "server"

    @pytest.mark.parametrize("body", [{"approval_above": -1}, {"approval_above": "x"}, {}])
    def test_a_refused_request_leaves_no_actor(
        self, account: Account, client: APIClient, body: dict[str, Any]
    ) -> None:
        assert client.put(SETTINGS, body, format="json").status_code == 400
        Account.objects.filter(pk=account.pk).update(is_suspended=True)
        assert latest("account_suspended").actor_kind == "server"

    def test_an_api_key_acts_by_its_name(self, account: Account) -> None:
        _, key = apikeys.create(
            account=account, created_by=None, name="website", scopes=frozenset(KEY_SCOPES)
        )
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        client.post("/api/system/keys/", {"name": "other", "scopes": ["view"]})
        entry = latest("key_created")
        assert (entry.actor_kind, entry.user_id, entry.actor_name) == ("key", None, "website")
        assert sentence_of(entry) == "The API key “website” created the API key “other” with the scopes view."
        assert key not in json.dumps(list(AuditEntry.objects.values("details", "object_name", "actor_name")))

    def test_commands_act_as_the_operator(self, account: Account) -> None:
        with actors.acting(actors.operator("manage.py topup")):
            call_command("topup", "sita@example.com", "500", note="Invoice 7")
            call_command("addmember", "sita@example.com", "hari@example.com", "viewer")
        assert sentence_of(latest("credits_added")) == (
            "The operator (manage.py topup) added 500.00 credits (Invoice 7)."
        )
        assert latest("member_added").actor_kind == "operator"

    def test_the_admin_pages_act_as_the_operator(self, account: Account) -> None:
        operator = User.objects.create_superuser("op@example.com", "secret-password")
        client = Client(REMOTE_ADDR="192.0.2.7")
        sent = {"login": "op@example.com", "password": "secret-password", "next": "/admin/"}
        assert client.post("/accounts/login/", {**sent, "password": "no"}).status_code == 200
        assert client.post("/accounts/login/", sent).status_code == 302
        client.post(
            "/admin/accounts/account/",
            {"action": "revoke_keys", "_selected_action": [account.pk]},
        )
        client.post(
            f"/admin/accounts/account/{account.pk}/change/",
            {
                "name": "Renamed", "is_suspended": "on", "top_up": "5", "top_up_cause": "x", "members-TOTAL_FORMS": 0,
                "members-INITIAL_FORMS": 0,
            },
        )  # fmt: skip
        entry = latest("account_suspended")
        assert (entry.actor_kind, entry.user_id, entry.address) == ("operator", operator.pk, "192.0.2.7")
        assert latest("credits_added").actor_kind == "operator"
        assert latest("signed_in").account_id is None
        client.post("/admin/logout/")
        assert latest("signed_out").user_id == operator.pk

    def test_the_admin_page_of_the_log_is_read_only(self, account: Account) -> None:
        client = Client()
        client.force_login(User.objects.create_superuser("op@example.com", "secret-password"))
        page = client.get("/admin/accounts/auditentry/", {"action": "account_created"})
        assert "The server created the account" in page.content.decode()
        entry = AuditEntry.objects.latest("pk")
        assert client.get(f"/admin/accounts/auditentry/{entry.pk}/change/").status_code == 200
        for path in ("add/", f"{entry.pk}/delete/", f"{entry.pk}/change/"):
            assert client.post(f"/admin/accounts/auditentry/{path}", {"action": "x"}).status_code == 403

    def test_a_request_that_reads_executes_no_statement_for_the_log(
        self, account: Account, client: APIClient, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(2):  # the login, and what was erased last
            client.get(SETTINGS)

    @pytest.mark.parametrize(
        ("sent", "shown"),
        [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("fe80::1%eth0", "fe80::1"),
            ("unknown", ""),
            ("\x00\ud800", ""),
            ("", ""),
        ],
    )
    def test_only_addresses_are_stored(self, sent: str, shown: str) -> None:
        assert shown_address(sent) == shown

    def test_strange_forwarded_addresses_do_not_break_requests(
        self, account: Account, client: APIClient, settings: Any
    ) -> None:
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
        answer = client.put(SETTINGS, {"approval_above": 3}, HTTP_X_FORWARDED_FOR="\x00\\u0000'\"; DROP")
        assert answer.status_code == 200
        assert latest("settings_changed").address == ""


class TestSignIns:
    def test_sign_ins_and_sign_outs_are_logged_for_the_account(self, account: Account) -> None:
        client = APIClient(REMOTE_ADDR="192.0.2.9")
        for path in ("/api/accounts/login/", "/api/v1/auths/login/"):
            sent = {"email": "sita@example.com", "password": "secret-password"}
            answer = client.post(path, sent)
            assert answer.status_code == 200
            entry = latest("signed_in")
            assert (entry.account_id, entry.user_id, entry.address) == (
                account.pk, owner_of(account).pk, "192.0.2.9",
            )  # fmt: skip
        assert AuditEntry.objects.filter(action="signed_in").count() == 2
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access']}")
        assert client.post("/api/accounts/logout/").status_code == 200
        assert sentence_of(latest("signed_out")) == "Sita Rai signed out."

    def test_ending_all_logins_is_logged(self, account: Account, client: APIClient) -> None:
        client.post("/api/accounts/logout/", {"everywhere": True})
        assert sentence_of(latest("logins_ended")) == "Sita Rai ended all logins of “sita@example.com”."

    def test_failed_sign_ins_of_known_people_are_logged_without_the_password(self, account: Account) -> None:
        client = APIClient(REMOTE_ADDR="192.0.2.9")
        for email in ("SITA@example.com", "nobody@example.com"):
            client.post("/api/accounts/login/", {"email": email, "password": "Geheim-1234"})
        entry = AuditEntry.objects.get(action="sign_in_failed")
        assert (entry.account_id, entry.address, entry.user_id) == (account.pk, "192.0.2.9", None)
        assert sentence_of(entry) == "Somebody who has not signed in failed to sign in as sita@example.com."
        assert "Geheim" not in str(list(AuditEntry.objects.values_list()))

    def test_refused_attempts_do_not_fill_the_log(self, account: Account) -> None:
        client = APIClient()
        for _ in range(30):
            client.post("/api/accounts/login/", {"email": "sita@example.com", "password": "wrong"})
        assert AuditEntry.objects.filter(action="sign_in_failed").count() == 10
