"""Test the migration that separates people from accounts, and the previous release that works beside this one.

Each test has a database as the previous release left it. The statements under "The previous release" are those of its
code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import CommandError, call_command
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts import credits, departments, services, statements, transfers, twins
from accounts.api.authentication import issue_tokens
from accounts.apikeys import _digest
from accounts.ledger import check_ledger
from accounts.models import Account, ApiKey, AuditEntry, CreditEntry, KnownAddress, Member, Statement, User
from campaigns.reports.statements import close_days
from iris.management.commands import migrate
from tests.accounts.previous_release import (
    BY_EMAIL,
    DELIVERIES,
    INSERT_USER,
    KEY,
    MOVE_BALANCE,
    PASSWORD,
    PAY_USERS,
    TOP_UP,
    Busy,
    connect,
    copy_of,
    template_of,
    use,
)
from tests.scale import at_scale

DETAILS = "/api/accounts/user_details/"
PROFILE = "/api/v1/auths/user-profile/"


@pytest.fixture(scope="module")
def template(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """Create a database with the tables of the previous release, one account and some deliveries. Return its name."""
    with (
        django_db_blocker.unblock(),
        template_of(f"{connection.settings_dict['NAME']}_previous") as name,
    ):
        yield name


@dataclass(frozen=True)
class GivenUp:
    """Hold the name of a database in which `migrate` gave up, what it said, and the kind of a table that it would change."""

    database: str
    message: str
    users: str  # "r" is a table


@pytest.fixture(scope="module")
def given_up(template: str, django_db_blocker: DjangoDbBlocker) -> Iterator[GivenUp]:
    """Let `migrate` give up in a copy of the template, because a table is in use."""
    with django_db_blocker.unblock(), copy_of(template, "migrated") as name:
        with use(name), connect(name) as report:
            with report.transaction():
                report.execute("SELECT count(*) FROM accounts_user")
                with pytest.raises(CommandError) as refusal:
                    call_command("migrate", verbosity=0, lock_wait=0)
            kind = report.execute("SELECT relkind FROM pg_class WHERE relname = 'accounts_user'").fetchone()
        assert kind is not None
        yield GivenUp(name, str(refusal.value), *kind)


@pytest.fixture(scope="module")
def migrated(given_up: GivenUp, django_db_blocker: DjangoDbBlocker) -> str:
    """Migrate that copy to this release. Return its name."""
    with django_db_blocker.unblock(), use(given_up.database):
        call_command("migrate", verbosity=0)
    return given_up.database


@pytest.fixture
def previous(template: str, transactional_db: None) -> Iterator[str]:
    """Use a database of the previous release. Return its name."""
    with copy_of(template, "copy") as name, use(name):
        yield name


@pytest.fixture
def old(migrated: str, transactional_db: None) -> Iterator[psycopg.Connection[Any]]:
    """Use a migrated database, and return the connection of a process of the previous release."""
    with copy_of(migrated, "copy") as name, use(name), connect(name) as session:
        yield session


def bearer(token: object) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def token_of_previous_release(user: User, version: int) -> str:
    """Return an access token as the previous release issued it, without an account."""
    token = AccessToken.for_user(user)
    token["version"], token["login"] = version, "abc"
    return str(token)


# Tests ------------------------------------------------------------------------------------------------------------


def test_users_become_owners_of_accounts_with_the_same_ids(old: psycopg.Connection[Any]) -> None:
    user, account, member = User.objects.get(), Account.objects.get(), Member.objects.get()
    assert (user.pk, account.pk) == (member.user_id, member.account_id) == (user.pk, user.pk)
    assert (user.email, user.first_name, user.contact_number) == ("Sita@example.com", "Sita", "9800000001")
    assert (account.name, account.balance, account.is_suspended) == ("Sita@example.com", 60, False)
    assert (member.is_owner, member.joined_at) == (True, user.date_joined)
    assert account.deliveries.count() == DELIVERIES
    assert [group.name for group in user.groups.all()] == ["operators"]
    assert KnownAddress.objects.get().user == user
    assert check_ledger().differences == ()


def test_passwords_tokens_and_keys_of_the_previous_release_still_work(old: psycopg.Connection[Any]) -> None:
    user = services.log_in(email="sita@example.com", password=PASSWORD)
    assert user.token_version == 3
    assert bearer(token_of_previous_release(user, 3)).get(DETAILS).status_code == 200
    assert bearer(token_of_previous_release(user, 2)).get(DETAILS).status_code == 401
    assert bearer(KEY).get(PROFILE).json()["id"] == user.pk
    key = ApiKey.objects.get()
    assert (key.created_by, key.is_of_v1, key.expires_at) == (user, True, None)
    assert key.scopes == ["view", "prepare", "send", "manage_credits", "manage_account", "listen"]


def test_both_releases_move_credits_and_the_ledger_stays_exact(old: psycopg.Connection[Any]) -> None:
    account = Account.objects.get()
    with old.transaction():
        old.execute(TOP_UP, [account.pk, 5, 5, "bank:2"])
        assert old.execute(MOVE_BALANCE, [5, -5, account.pk]).rowcount == 1
    credits.charge(account=account, amount=Decimal(15), cause="number:1")
    assert old.execute(MOVE_BALANCE, [-51, 51, account.pk]).rowcount == 0  # only 50 are left
    with old.transaction():
        old.execute(TOP_UP, [account.pk, 7, 7, "bank:3"])
        old.execute(PAY_USERS, [[account.pk], [7]])
    held = credits.hold(account=account, amount=Decimal(10), cause="run:2")
    with old.transaction():
        old.execute("SELECT id FROM accounts_user WHERE id = %s FOR NO KEY UPDATE", [account.pk])
    credits.release(hold_id=held.pk, cause="run:2")
    assert check_ledger().differences == ()
    assert old.execute("SELECT balance FROM accounts_user").fetchone() == (57,)
    with pytest.raises(psycopg.errors.CheckViolation):
        old.execute("UPDATE accounts_user SET balance = -1")


def test_an_account_of_the_previous_release_has_a_person_in_this_one(old: psycopg.Connection[Any]) -> None:
    (pk,) = old.execute(INSERT_USER, [make_password(PASSWORD), "ram", "ram@example.com"]).fetchone()  # type: ignore[misc]
    user = services.log_in(email="RAM@example.com", password=PASSWORD)
    member = Member.objects.get(user=user)
    assert (user.pk, member.account_id, member.is_owner, member.account.name) == (pk, pk, True, user.email)
    assert bearer(issue_tokens(user).access).get(DETAILS).status_code == 200
    with pytest.raises(psycopg.errors.UniqueViolation):
        old.execute(INSERT_USER, ["!", "ram2", "Ram@example.com"])
    with old.transaction():
        old.execute('DELETE FROM "accounts_knownaddress" WHERE "user_id" IN (%s)', [pk])
        old.execute('DELETE FROM "accounts_user" WHERE "id" IN (%s)', [pk])
    assert not User.objects.filter(pk=pk).exists()
    assert not Account.objects.filter(pk=pk).exists()


def test_an_account_of_this_release_is_a_user_of_the_previous_one(old: psycopg.Connection[Any]) -> None:
    account = services.create_account(email="ram@example.com", password=PASSWORD, first_name="Ram")
    user = User.objects.get(email="ram@example.com")
    assert user.pk == account.pk
    assert old.execute(BY_EMAIL, ["RAM@example.com"]).fetchone() == (user.pk, user.password, True)
    with pytest.raises(psycopg.errors.UniqueViolation):
        old.execute(INSERT_USER, ["!", "ram2", "ram@example.com"])


def test_ids_of_later_people_and_accounts_are_never_shared(old: psycopg.Connection[Any]) -> None:
    sita = User.objects.get()
    clerk = User.objects.create_user("clerk@example.com")
    department = services.open_account(user=sita, name="Department")
    (ram,) = old.execute(INSERT_USER, ["!", "ram", "ram@example.com"]).fetchone()  # type: ignore[misc]
    assert len({sita.pk, clerk.pk, department.pk, ram}) == 4
    # The previous release sees the department, and nobody can log in to it there.
    shown = old.execute("SELECT email, password FROM accounts_user WHERE id = %s", [department.pk]).fetchone()
    assert shown == (None, None)


def test_a_password_set_by_either_release_is_known_to_both(old: psycopg.Connection[Any]) -> None:
    user = User.objects.get()
    tokens = issue_tokens(user)
    old.execute('UPDATE "accounts_user" SET "password" = %s', [make_password("chosen-before")])
    assert bearer(tokens.access).get(DETAILS).status_code == 401
    user = services.log_in(email=user.email, password="chosen-before")
    assert old.execute("SELECT token_version FROM accounts_user").fetchone() == (user.token_version,) == (4,)
    user.set_password("chosen-now")
    user.save()
    user.refresh_from_db()
    shown = old.execute("SELECT password, token_version FROM accounts_user").fetchone()
    assert shown == (user.password, user.token_version) == (user.password, 5)


def test_a_new_hash_of_the_same_password_ends_no_token_in_either_release(
    old: psycopg.Connection[Any],
) -> None:
    with old.transaction():
        old.execute("SELECT set_config('iris.same_password', 'yes', true)")
        old.execute('UPDATE "accounts_user" SET "password" = %s', [make_password(PASSWORD)])
    user = User.objects.get()
    user._rehash(PASSWORD)
    user.refresh_from_db()
    assert user.token_version == 3
    shown = old.execute("SELECT password, token_version FROM accounts_user").fetchone()
    assert shown == (user.password, 3)


def test_ended_logins_and_deactivated_people_are_known_to_both_releases(old: psycopg.Connection[Any]) -> None:
    user = User.objects.get()
    services.end_all_logins(user_ids=[user.pk])
    assert old.execute("SELECT token_version FROM accounts_user").fetchone() == (4,)
    old.execute("UPDATE accounts_user SET token_version = token_version + 1")
    assert User.objects.get().token_version == 5
    old.execute("UPDATE accounts_user SET is_active = false, first_name = 'Gita'")
    user.refresh_from_db()
    assert (user.is_active, user.first_name, user.token_version) == (False, "Gita", 6)
    assert bearer(KEY).get(PROFILE).status_code == 401
    User.objects.update(is_active=True)
    assert old.execute("SELECT is_active, token_version FROM accounts_user").fetchone() == (True, 6)


def test_a_key_generated_by_the_previous_release_works_in_this_one(old: psycopg.Connection[Any]) -> None:
    user = User.objects.get()
    old.execute("UPDATE accounts_apikey SET revoked_at = now() WHERE user_id = %s", [user.pk])
    old.execute(
        "INSERT INTO accounts_apikey (user_id, digest, beginning, created_at) VALUES (%s, %s, 'bbbbbbbb', now())",
        [user.pk, _digest("b" * 64)],
    )
    assert bearer(KEY).get(PROFILE).status_code == 401
    assert bearer("b" * 64).get(PROFILE).json()["id"] == user.pk


def test_the_address_of_a_deleted_person_can_be_used_again(old: psycopg.Connection[Any]) -> None:
    services.create_account(email="ram@example.com", password=PASSWORD)
    User.objects.get(email="ram@example.com").delete()
    services.create_account(email="ram@example.com", password=PASSWORD)
    assert old.execute(BY_EMAIL, ["ram@example.com"]).fetchone() is not None


class TestLocks:
    """A migration waits for a table that is in use, and meanwhile nobody waits for the migration."""

    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(migrate, "LOCK_SECONDS", at_scale(0.2, migrate.LOCK_SECONDS))
        monkeypatch.setattr(migrate, "FIRST_PAUSE_SECONDS", 0.1)
        monkeypatch.setattr(migrate, "MAX_PAUSE_SECONDS", 0.2)

    @pytest.mark.field
    def test_otps_are_sent_while_each_migration_waits_for_a_long_report(self, previous: str) -> None:
        new = {f"{app}.{name}" for app, name in MigrationLoader(connection).graph.nodes}
        with connect(previous) as session:
            new -= {
                f"{app}.{name}" for app, name in session.execute("SELECT app, name FROM django_migrations")
            }
        busy = Busy(previous)
        busy.run(lambda: call_command("migrate", verbosity=0, stderr=busy.said))
        assert f"process {busy.reports[0]} (" in busy.said.getvalue()
        assert "accounts_user" in busy.said.getvalue()
        applied = {f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations()}
        assert new <= applied
        assert {name.partition(".")[0] for name in new} >= {
            "accounts",
            "campaigns",
            "otp",
            "telephony",
            "mfa",
        }
        print(
            f"{len(new)} migrations, {len(busy.reports)} reports, {busy.sent} OTPs, longest {busy.longest:.2f} s"
        )

        account = Account.objects.get()
        assert account.deliveries.count() == DELIVERIES + busy.sent
        assert account.balance == 60 + 1_000_000 - busy.sent
        assert check_ledger().differences == ()
        assert bearer(token_of_previous_release(User.objects.get(), 3)).get(DETAILS).status_code == 200
        assert bearer(KEY).get(PROFILE).status_code == 200
        assert services.log_in(email="sita@example.com", password=PASSWORD).pk == account.pk
        ward = departments.create(parent=account, name="Ward 5")
        transfers.transfer(source=account, target=ward, amount=Decimal(10))
        list(close_days(now=timezone.now() + timedelta(days=2)))
        for one in (account, ward):
            assert list(statements.verify(one)) == []
            assert Statement.objects.filter(account=one).latest("day").closing_balance == (
                Account.objects.get(pk=one.pk).balance
            )
        assert twins.open_twin(account=account).balance == twins.TWIN_CREDITS
        assert AuditEntry.objects.filter(account_id=account.pk, action="department_created").exists()
        assert check_ledger().differences == ()

    def test_an_invalid_index_is_dropped_when_its_table_is_free(
        self, previous: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lock(*args: Any, **options: Any) -> None:
            with connection.cursor() as cursor, transaction.atomic():
                cursor.execute("LOCK TABLE telephony_delivery IN ACCESS EXCLUSIVE MODE")

        class Said(StringIO):
            def write(self, text: str) -> int:
                if self.getvalue().count("Trying again") == 1:
                    report.execute("COMMIT")
                return super().write(text)

        monkeypatch.setattr(DjangoMigrate, "handle", lock)
        invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
        with connect(previous) as report:
            with pytest.raises(psycopg.errors.UniqueViolation):
                report.execute("CREATE UNIQUE INDEX CONCURRENTLY left_over ON telephony_delivery (owner_id)")
            assert report.execute(invalid).fetchone() == (1,)
            report.execute("BEGIN")
            report.execute("SELECT count(*) FROM telephony_delivery")
            said = Said()
            call_command("migrate", verbosity=0, stderr=said)
            assert said.getvalue().count("Trying again") == 2
            assert report.execute(invalid).fetchone() == (0,)

    def test_migrate_gives_up_with_a_sentence_and_changes_nothing(
        self, given_up: GivenUp, old: psycopg.Connection[Any]
    ) -> None:
        assert re.search(r"A table is in use: process \d+ .*accounts_user.*End these", given_up.message)
        assert given_up.users == "r"
        assert CreditEntry.objects.count() == DELIVERIES + 4  # the next attempt has succeeded
