"""`manage.py check` says what an upgrade or a restore has left to do."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.checks import registry
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder

from telephony.engine import restore_hold
from tests.iris.processes import manage

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _unregister(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the command register its check for this test only."""
    before = set(registry.registry.registered_checks)
    yield
    registry.registry.registered_checks = before


def checked() -> str:
    """Return what `manage.py check` says."""
    errors = StringIO()
    call_command("check", stdout=StringIO(), stderr=errors)
    return errors.getvalue()


def test_a_database_of_this_release_has_nothing_pending() -> None:
    assert "iris.W01" not in checked()


def test_migrations_that_are_not_applied_are_named() -> None:
    MigrationRecorder(connection).record_unapplied("telephony", "0048_sandbox_phone")
    said = checked()
    assert "(iris.W010) The database lacks migrations of this release: telephony.0048_sandbox_phone." in said
    assert "Run manage.py migrate." in said


def test_a_database_of_a_later_release_is_named() -> None:
    MigrationRecorder(connection).record_applied("telephony", "9999_of_a_later_release")
    assert "(iris.W011) The database is newer than this code" in checked()
    assert "telephony.9999_of_a_later_release" in checked()


def test_an_index_that_was_not_finished_is_named() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX left_behind ON iris_heartbeat (name)")
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'left_behind'::regclass")
    assert "(iris.W012) The database has not finished the index left_behind of iris_heartbeat." in checked()


def test_a_constraint_that_was_not_validated_is_named() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE iris_heartbeat ADD CONSTRAINT named CHECK (name <> '') NOT VALID")
    assert "(iris.W012) The database has not finished the constraint named of iris_heartbeat." in checked()


def test_calls_and_sms_that_are_held_are_named() -> None:
    restore_hold.hold_everything()
    assert "(iris.W013)" in checked()


def test_without_a_database_the_settings_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection, "ensure_connection", refuse)
    assert checked() == "The database cannot be reached, so it was not checked: connection refused\n"


def test_migrate_does_not_report_what_it_is_about_to_apply(tmp_path: Path) -> None:
    migrated = manage(tmp_path, "migrate", "iris", "--verbosity=0")
    assert migrated.returncode == 0, migrated.stderr
    assert "W010" not in migrated.stderr
    found = manage(tmp_path, "check")
    assert found.returncode == 0, found.stderr
    assert "iris.W010" in found.stderr
