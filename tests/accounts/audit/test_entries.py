"""The audit log cannot be changed, and has entries of every program."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, connection, transaction

from accounts import actors, apikeys, credits, members, services
from accounts.actors import Acting, ActorKind
from accounts.audit_sentences import ACTIONS, sentence_of
from accounts.models import Account, AuditEntry, Member
from accounts.permissions import KEY_SCOPES, Permission
from tests.accounts.audit.reading import latest
from tests.factories import account_of, make_account, make_hold, make_member, make_user, owner_of

pytestmark = pytest.mark.django_db


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
            "accounts_account", "accounts_member", "accounts_apikey", "accounts_person", "mfa_authenticator",
            "telephony_phonenumber", "telephony_sender",
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
