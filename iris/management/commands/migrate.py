"""`manage.py migrate`, which waits for locks without making everybody else wait.

A statement that changes a table waits for all transactions that use it, and every later statement waits behind it. Without
a limit, one forgotten transaction would stop all OTPs. So a statement of a migration waits for a lock for at most
`LOCK_SECONDS`. Then the command says which sessions use the table, and tries again later.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from iris.postgresql.base import sqlstate

LOCK_SECONDS = 2.0
WAIT_SECONDS = 600.0
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 30.0
LOCK_STATES = {"55P03", "40P01"}  # lock_not_available, deadlock_detected

# A failed CREATE INDEX CONCURRENTLY leaves an index that is never used, whose name is taken for the next attempt.
_INVALID_INDEXES = """
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT i.indisvalid AND n.nspname = current_schema()
       AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
"""

_HOLDERS = """
    SELECT a.pid, coalesce(nullif(a.application_name, ''), a.backend_type), a.state,
           extract(epoch FROM clock_timestamp() - a.xact_start)::int,
           string_agg(DISTINCT c.relname, ', ' ORDER BY c.relname)
      FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND l.granted AND l.locktype = 'relation'
      JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p')
     WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
       AND c.relnamespace = current_schema()::regnamespace AND a.xact_start < clock_timestamp() - %s * interval '1 second'
     GROUP BY 1, 2, 3, 4 ORDER BY 4 DESC LIMIT 5
"""


class Command(migrate.Command):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-wait",
            type=float,
            default=WAIT_SECONDS,
            metavar="SECONDS",
            help="how long to try again while other sessions use the tables (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        with _lock_timeout(connection):
            self._migrate(connection, *args, **options)

    def _migrate(self, connection: BaseDatabaseWrapper, *args: Any, **options: Any) -> None:
        deadline = time.monotonic() + options["lock_wait"]
        pause = FIRST_PAUSE_SECONDS
        again = False
        while True:
            try:
                if again:
                    _drop_invalid_indexes(connection)  # this waits for locks, too
                super().handle(*args, **options)
                return
            except OperationalError as error:
                if sqlstate(error) not in LOCK_STATES:
                    raise
                self.stdout.write("")  # the migration's own line is not finished
                sentence = f"A table is in use: {_holders(connection)}."
                if time.monotonic() + pause > deadline:
                    raise CommandError(
                        f"{sentence} End these sessions or wait for them, and run migrate again; finished migrations stay."
                    ) from error
                self.stderr.write(
                    f"{sentence} Nothing waits for this migration. Trying again in {pause:.0f} s."
                )
            time.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)
            again = True


@contextmanager
def _lock_timeout(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let statements of this block wait for a lock for at most LOCK_SECONDS."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        (before,) = cursor.fetchone()
    _set_lock_timeout(connection, f"{LOCK_SECONDS * 1000:.0f}ms")
    yield
    _set_lock_timeout(connection, before)


def _set_lock_timeout(connection: BaseDatabaseWrapper, timeout: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [timeout])


def _holders(connection: BaseDatabaseWrapper) -> str:
    with connection.cursor() as cursor:
        cursor.execute(_HOLDERS, [LOCK_SECONDS / 2])
        held = [
            f"process {pid} ({name}, {state}) has used {tables} for {seconds} s"
            for pid, name, state, seconds, tables in cursor.fetchall()
        ]
    return "; ".join(held) or "by sessions that have ended meanwhile"


def _drop_invalid_indexes(connection: BaseDatabaseWrapper) -> None:
    if connection.in_atomic_block:
        return
    with connection.cursor() as cursor:
        cursor.execute(_INVALID_INDEXES)
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
