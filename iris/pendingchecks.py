"""The checks of `manage.py check` on the database: what an upgrade or a restore has left to do.

Only the command `check` registers them. Otherwise `migrate` would report the migrations that it is about to apply.

iris.W010: migrations are not applied.
iris.W011: the database is newer than this code.
iris.W012: an index or a constraint was left unfinished.
iris.W013: calls and SMS are held after a restore.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Warning
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

SHOWN = 10  # names in one sentence

_UNFINISHED = """
    SELECT 'the index ' || c.relname || ' of ' || t.relname
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
     WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace
       AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
     UNION ALL
    SELECT 'the constraint ' || k.conname || ' of ' || t.relname
      FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
     WHERE NOT k.convalidated AND k.connamespace = current_schema()::regnamespace
     ORDER BY 1
"""


def nothing_is_pending(
    app_configs: object, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    return [message for alias in databases or () for message in _pending(connections[alias])]


def _pending(connection: BaseDatabaseWrapper) -> Iterator[CheckMessage]:
    executor = MigrationExecutor(connection)
    graph = executor.loader.graph
    plan = executor.migration_plan(graph.leaf_nodes())
    if plan:
        names = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
        yield Warning(
            f"The database lacks migrations of this release: {_listed(names)}.",
            hint="Run manage.py migrate. docs/operations.md has the order of an upgrade.",
            id="iris.W010",
        )
    known = set(graph.nodes) | {key for key, each in executor.loader.disk_migrations.items() if each.replaces}
    apps = {app for app, _ in graph.nodes}
    later = [
        f"{app}.{name}"
        for app, name in sorted(executor.loader.applied_migrations)
        if app in apps and (app, name) not in known
    ]
    if later:
        yield Warning(
            f"The database is newer than this code, which does not know {_listed(later)}.",
            hint="A release works with the database of the next one, and of no later one.",
            id="iris.W011",
        )
    if plan:
        return  # the tables may lack what the following checks read
    with connection.cursor() as cursor:
        cursor.execute(_UNFINISHED)
        unfinished = [name for (name,) in cursor.fetchall()]
    if unfinished:
        yield Warning(
            f"The database has not finished {_listed(unfinished)}.",
            hint="A migration was interrupted. Drop an invalid index and create it again with CONCURRENTLY (REINDEX INDEX"
            " CONCURRENTLY); validate a constraint with ALTER TABLE … VALIDATE CONSTRAINT.",
            id="iris.W012",
        )
    if held := _hold():
        yield Warning(held, hint="docs/restore.md says what to do.", id="iris.W013")


def _hold() -> str:
    from telephony.engine.restore_hold import describe_hold

    return describe_hold()


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
