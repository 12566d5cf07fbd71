"""The audit log cannot be changed, has entries of every program, and its API shows an account's own entries only."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts import account_settings, actors, apikeys, audit, credits, members, services
from accounts.actors import Acting, ActorKind
from accounts.addresses import shown_address
from accounts.api.v0 import audit as api
from accounts.audit_sentences import ACTIONS, sentence_of
from accounts.models import Account, AuditEntry, Member, User
from accounts.permissions import KEY_SCOPES, Permission
from tests.factories import (
    account_of,
    client_of,
    make_account,
    make_campaign,
    make_hold,
    make_member,
    make_user,
    owner_of,
)
from tests.routes import V0

pytestmark = pytest.mark.django_db

PATH = "/api/system/audit/"
SETTINGS = "/api/system/settings/"


@pytest.fixture
def account() -> Account:
    return make_account(email="sita@example.com", first_name="Sita", last_name="Rai")


@pytest.fixture
def client(account: Account) -> APIClient:
    return client_of(account)


def latest(action: str) -> AuditEntry:
    return AuditEntry.objects.filter(action=action).latest("pk")


def entries(client: APIClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(PATH, query)
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]["entries"]


class TestAppendOnly:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE accounts_auditentry SET action = 'nothing'",
            "DELETE FROM accounts_auditentry",
            "DELETE FROM accounts_auditentry WHERE id = (SELECT max(id) FROM accounts_auditentry)",
            "TRUNCATE accounts_auditentry",
        ],
    )
    def test_sql_cannot_change_entries(self, account: Account, statement: str) -> None:
        with connection.cursor() as cursor:
            # Tests that need real transactions empty all tables, so the tests' database lacks this trigger elsewhere.
            cursor.execute("ALTER TABLE accounts_auditentry ENABLE TRIGGER never_emptied")
        before = AuditEntry.objects.count()
        with (
            pytest.raises(IntegrityError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
        assert AuditEntry.objects.count() == before > 0

    def test_models_refuse_changes_too(self, account: Account) -> None:
        entry = AuditEntry.objects.latest("pk")
        for change in (entry.save, entry.delete):
            with pytest.raises(TypeError, match="append-only"):
                change()

    def test_entries_outlive_what_they_are_about(self, account: Account) -> None:
        user = make_member(account, "viewer")
        user.delete()
        assert latest("member_removed").object_name == user.email

    def test_nothing_that_people_do_in_numbers_has_a_trigger(self) -> None:
        """Deliveries, recipients, holds and captures cost as much as before."""
        with connection.cursor() as cursor:
            cursor.execute(
                """SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                     JOIN pg_proc p ON p.oid = t.tgfoid WHERE p.proname LIKE '%audit'"""
            )
            watched = {name for (name,) in cursor.fetchall()}
        assert watched == {
            "accounts_account", "accounts_member", "accounts_apikey", "accounts_person", "telephony_phonenumber",
            "campaigns_campaign", "campaigns_run", "campaigns_sheetimport",
        }  # fmt: skip


class TestTriggers:
    """Entries of changed rows, whichever program changes them."""

    def test_rows_that_another_program_changes_are_logged_as_changes_of_the_server(
        self, account: Account
    ) -> None:
        owner = owner_of(account)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE accounts_account SET is_suspended = true WHERE id = %s", [account.pk])
            cursor.execute(
                "UPDATE accounts_person SET password = %s WHERE id = %s", [make_password("new"), owner.pk]
            )
            # Processes of the previous release write people through this view.
            cursor.execute("UPDATE accounts_user SET is_active = false WHERE id = %s", [owner.pk])
        for action in ("account_suspended", "password_changed", "person_deactivated"):
            entry = latest(action)
            assert (entry.account_id, entry.actor_kind, entry.user_id) == (account.pk, "server", None), action
        assert sentence_of(latest("password_changed")) == (
            "The server changed the password of “sita@example.com”."
        )

    def test_a_statement_on_many_rows_leaves_an_entry_for_each(self, account: Account) -> None:
        for name in ("one", "two", "three"):
            apikeys.create(account=account, created_by=None, name=name, scopes=frozenset(KEY_SCOPES))
        apikeys.revoke_all(account_ids=[account.pk])
        apikeys.revoke_all(account_ids=[account.pk])
        assert set(AuditEntry.objects.filter(action="key_revoked").values_list("object_name", flat=True)) == {
            "one",
            "two",
            "three",
        }
        assert AuditEntry.objects.filter(action="key_revoked").count() == 3

    def test_a_hash_that_is_renewed_at_a_login_is_no_new_password(self, account: Account) -> None:
        user = owner_of(account)
        user.password = make_password("secret-password", salt="short")
        user.save(update_fields=["password"])
        before = AuditEntry.objects.filter(action="password_changed").count()
        outdated = user.password
        services.log_in(email=user.email, password="secret-password")
        assert owner_of(account).password != outdated
        assert AuditEntry.objects.filter(action="password_changed").count() == before

    def test_a_new_password_is_one_entry_in_each_account_of_the_person(self, account: Account) -> None:
        user = owner_of(account)
        other = make_account()
        Member.objects.create(account=other, user=user, permissions=["view"])
        user.set_password("another-password")
        user.save()
        accounts = AuditEntry.objects.filter(action="password_changed").values_list("account_id", flat=True)
        assert set(accounts) == {account.pk, other.pk}
        assert len(accounts) == 2

    def test_holds_captures_and_releases_are_not_logged(self, account: Account) -> None:
        credits.top_up(account=account, amount=Decimal(20), cause="invoice:1")
        credits.top_up(account=account, amount=Decimal(20), cause="invoice:1")
        before = AuditEntry.objects.count()
        held = make_hold(account=account, amount=10)
        credits.capture_many(
            captures=[credits.Capture(hold_id=held.pk, amount=Decimal(3), cause="delivery:1")]
        )
        credits.release(hold_id=held.pk, cause="done")
        assert AuditEntry.objects.count() == before
        assert AuditEntry.objects.filter(action="credits_added").count() == 1

    def test_a_change_that_is_rolled_back_leaves_no_entry(self, account: Account) -> None:
        before = AuditEntry.objects.count()
        with transaction.atomic():
            Account.objects.filter(pk=account.pk).update(is_suspended=True)
            transaction.set_rollback(True)
        assert AuditEntry.objects.count() == before


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
        with django_assert_num_queries(1):
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


class TestSettings:
    def test_settings_are_read_and_changed(self, account: Account, client: APIClient) -> None:
        off = {"approval_above": None, "approval_hours": 72}
        assert client.get(SETTINGS).json()["data"]["settings"] == off
        answer = client.put(SETTINGS, {"approval_above": 1000}, format="json").json()
        assert answer["data"]["settings"] == {"approval_above": 1000, "approval_hours": 72}
        assert sentence_of(latest("settings_changed")) == (
            "Sita Rai changed settings: the number of recipients above which runs need approval from off to 1000."
        )
        assert client.post(SETTINGS, {"approval_above": "off"}).json()["data"]["settings"] == off
        client.patch(SETTINGS, {"approval_above": "7", "approval_hours": "24"}, format="multipart")
        account.refresh_from_db()
        assert (account.approval_above, account.approval_hours) == (7, 24)
        client.put(SETTINGS, {"approval_above": None}, format="json")
        account.refresh_from_db()
        assert (account.approval_above, account.approval_hours) == (None, 24)

    @pytest.mark.parametrize(
        "body",
        [
            {"approval_above": -1}, {"approval_above": 1.5}, {"approval_above": True}, {"approval_above": [1]},
            {"approval_above": 2**31}, {"approval_above": "many"}, {"approval_hours": 0}, {"approval_hours": 721},
            {"approval_hours": "off"}, {"approval_hours": 10**30}, {"approvalabove": 3}, {}, {"approval_above": {}},
        ],
    )  # fmt: skip
    def test_wrong_settings_are_a_400_and_change_nothing(
        self, account: Account, body: dict[str, Any]
    ) -> None:
        V0.caller(account).fails("PUT", SETTINGS, body, status=400)
        account.refresh_from_db()
        assert (account.approval_above, account.approval_hours) == (None, 72)

    def test_keys_cannot_change_the_settings_that_guard_against_them(self, account: Account) -> None:
        _, key = apikeys.create(
            account=account, created_by=None, name="website", scopes=frozenset(KEY_SCOPES)
        )
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        assert client.get(SETTINGS).status_code == 200
        answer = client.put(SETTINGS, {"approval_above": None}, format="json")
        assert answer.status_code == 403
        assert "Only people" in answer.json()["message"]

    def test_every_setting_can_be_shown_and_logged(self, account: Account, client: APIClient) -> None:
        shown = client.get(SETTINGS).json()["data"]["settings"]
        assert set(shown) == set(account_settings.SETTINGS)


class TestReading:
    def test_the_log_needs_manage_account(self, account: Account) -> None:
        for preset, status in (("sender", 403), ("manager", 200)):
            answer = client_of(make_member(account, preset)).get(PATH)
            assert answer.status_code == status
        assert "“manage_account”" in client_of(make_member(account, "viewer")).get(PATH).json()["message"]

    def test_an_account_sees_only_its_own_entries_the_newest_first(
        self, account: Account, client: APIClient
    ) -> None:
        stranger = make_account()
        client.put(SETTINGS, {"approval_above": 5})
        mine = entries(client)
        assert [one["action"] for one in mine] == ["settings_changed", "member_added", "account_created"]
        assert mine[0]["actor"] == {
            "kind": "person", "id": owner_of(account).pk, "name": "Sita Rai", "email": "sita@example.com",
        }  # fmt: skip
        assert {one["action"] for one in entries(client_of(stranger))} == {"member_added", "account_created"}

    def test_the_log_is_paged(self, client: APIClient) -> None:
        client.put(SETTINGS, {"approval_above": 5})
        answer = client.get(PATH, {"page_size": 2}).json()["data"]
        assert (len(answer["entries"]), answer["pagination"]["total_pages"]) == (2, 2)
        assert client.get(PATH, {"page": 9}).status_code == 404

    def test_filters(self, account: Account, client: APIClient) -> None:
        campaign = make_campaign(owner=account)
        client.put(SETTINGS, {"approval_above": 5})
        today, tomorrow = timezone.localdate(), timezone.localdate() + timedelta(days=1)
        yesterday = today - timedelta(days=1)
        for query, count in (
            ({"action": "settings_changed"}, 1),
            ({"action": "settings_changed,campaign_created"}, 2),
            ({"actor": "sita@EXAMPLE.com"}, 1),
            ({"actor": "rai"}, 1),
            ({"actor": "server"}, 4),
            ({"actor": "nobody"}, 0),
            ({"object": "campaign"}, 2),
            ({"object": f"campaign:{campaign.pk}"}, 2),
            ({"object": "key"}, 0),
            ({"campaign": campaign.pk}, 2),
            ({"campaign": campaign.pk + 1}, 0),
            ({"from": today}, 5),
            ({"from": tomorrow}, 0),
            ({"to": yesterday}, 0),
            ({"from": yesterday, "to": today}, 5),
            ({"from": "", "actor": ""}, 5),
        ):
            assert len(entries(client, **query)) == count, query

    @pytest.mark.parametrize(
        "query",
        [
            {"from": "soon"}, {"to": "2026-13-01"}, {"action": "flown"}, {"object": "moon"}, {"object": "run:x"},
            {"object": "run:" + "9" * 30}, {"campaign": "abc"}, {"campaign": "-1"}, {"campaign": "0"},
            {"actor": "x" * 300}, {"format": "pdf"}, {"page": "x"}, {"from": "9" * 40},
        ],
    )  # fmt: skip
    def test_bad_filters_are_a_400(self, account: Account, query: dict[str, str]) -> None:
        answer = client_of(account).get(PATH, query)
        assert answer.status_code == 400, answer.content
        assert answer.json()["message"].endswith((".", ".)"))

    def test_the_log_is_exported_as_csv_without_formulas(self, account: Account, client: APIClient) -> None:
        owner = owner_of(account)
        owner.first_name, owner.last_name = "=HYPERLINK(1)", "Rai"
        owner.save()
        client.put(SETTINGS, {"approval_above": 5})
        answer = client.get(PATH, {"format": "csv"})
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        text = answer.getvalue().decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [row["action"] for row in rows[:2]] == ["exported", "settings_changed"]
        assert rows[1]["actor"] == "'=HYPERLINK(1) Rai"
        assert rows[1]["sentence"].startswith("'=HYPERLINK(1) Rai changed settings")
        assert client.get(PATH).json()["data"]["entries"][0]["sentence"].endswith("exported the audit log.")

    def test_an_export_has_a_maximum_and_is_complete_up_to_it(
        self, account: Account, client: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for n in range(7):
            audit.note(account_id=account.pk, action="exported", kind="account", n=n)
        monkeypatch.setattr(api, "BATCH", 3)
        text = client.get(PATH, {"format": "csv"}).getvalue().decode()
        assert text.count("\n") == 1 + AuditEntry.objects.filter(account_id=account.pk).count()
        monkeypatch.setattr(api, "MAX_EXPORTED", 5)
        answer = client.get(PATH, {"format": "csv"})
        assert answer.status_code == 400
        assert "from and to" in answer.json()["message"]


def test_every_action_has_a_sentence(account: Account) -> None:
    for action in (*ACTIONS, "an_action_of_a_later_release"):
        entry = AuditEntry(account_id=account.pk, action=action, object_name="Water", actor_kind="server")
        sentence = sentence_of(entry)
        assert sentence.startswith("The server ")
        assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("act", "action", "details"),
    [
        (
            lambda account, by: members.add(
                account=account,
                email="hari@example.com",
                permissions=frozenset({Permission.SEND}),
                by=by,
            ),
            "member_added",
            "The server added hari@example.com as a member: view, send.",
        ),
    ],
)
def test_members_are_logged_with_their_permissions(
    account: Account, act: Callable[..., Any], action: str, details: str
) -> None:
    by = members.Actor(granted=frozenset(Permission), is_owner=True)
    member = act(account, by)
    assert sentence_of(latest(action)) == details
    members.change(account=account, member_id=member.pk, is_owner=True, permissions=frozenset(), by=by)
    assert sentence_of(latest("member_changed")).endswith("of hari@example.com to: owner.")
    members.remove(account=account, member_id=member.pk, by=by)
    assert sentence_of(latest("member_removed")) == "The server removed the member hari@example.com."


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_is_opened_while_somebody_acts_knows_the_actor() -> None:
    account = account_of(make_user())
    actor = Acting(kind=ActorKind.OPERATOR, name="manage.py shell")
    with actors.acting(actor):
        connection.close()
        Account.objects.filter(pk=account.pk).update(is_suspended=True)
    assert latest("account_suspended").actor_name == "manage.py shell"
    Account.objects.filter(pk=account.pk).update(is_suspended=False)
    assert latest("account_restored").actor_kind == "server"
