"""Empty the tables after a test that commits, with less work than Django's TRUNCATE.

TRUNCATE creates new files for each of our sixty tables and for each of their indexes, hundreds in all. Most tests have
written a few rows into a few tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.color import Style
from django.core.management.commands import flush
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection

from telephony.engine import restore_hold
from telephony.speech import voices

# TRUNCATE a database with a larger table: it is quicker than DELETE, and leaves no dead rows that slow down later tests.
LARGE_TABLE = 2**20  # bytes
# Django's receivers of `post_migrate`, which is sent after a flush, would create the same rows again.
KEPT = frozenset({"django_content_type", "auth_permission"})


def install() -> None:
    """Replace the statements and the signal of `manage.py flush`, which Django's TransactionTestCase calls.

    Only with the embedded server, where the tests are a superuser, which may switch off triggers.
    """
    if settings.IRIS_DATABASE_URL is not None:
        return
    # Patched in the class: while a browser is open, its event loop gives the thread another connection (asgiref.local).
    operations = type(connection.ops)
    truncate = operations.sql_flush
    keeps_rows = False

    def sql_flush(self: Any, style: Style, tables: Sequence[str], **options: Any) -> list[str]:
        nonlocal keeps_rows
        sizes = _sizes()
        keeps_rows = not options.get("reset_sequences") and all(
            sizes[table] <= LARGE_TABLE for table in tables
        )
        if not keeps_rows:
            return truncate(self, style, tables, **options)
        quoted = {table: self.quote_name(table) for table in tables}
        return [
            # As TRUNCATE does, wait for the transactions of threads that a test has left behind.
            f"LOCK TABLE {', '.join(quoted.values())} IN EXCLUSIVE MODE",
            "SET LOCAL session_replication_role = replica",  # no triggers and no foreign keys
            *(f"DELETE FROM {quoted[table]}" for table in tables if sizes[table] and table not in KEPT),
        ]

    def emit_signal(verbosity: int, interactive: bool, db: str, **options: Any) -> None:
        if not keeps_rows:
            emit_post_migrate_signal(verbosity, interactive, db, **options)
            return
        # iris's own receivers, which fill emptied tables (telephony.apps)
        voices.seed(using=db)
        restore_hold.adopt_new(using=db)

    # mypy refuses assignments to methods and functions.
    setattr(operations, "sql_flush", sql_flush)  # noqa: B010
    setattr(flush, "emit_post_migrate_signal", emit_signal)  # noqa: B010


def _sizes() -> dict[str, int]:
    """Return the size of each table in bytes. A table without a file page has no rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT relname, pg_relation_size(oid) FROM pg_class
                WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"""
        )
        return dict(cursor.fetchall())
