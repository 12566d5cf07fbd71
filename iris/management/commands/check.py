"""`manage.py check`, which also checks the database, and says what is pending there."""

from __future__ import annotations

from typing import Any

from django.core.checks import Tags, register
from django.core.management.commands import check
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connection

from iris.pendingchecks import nothing_is_pending


class Command(check.Command):
    def handle(self, *app_labels: Any, **options: Any) -> None:
        register(nothing_is_pending, Tags.database)
        if not options["databases"] and self._reaches_database():
            options["databases"] = [DEFAULT_DB_ALIAS]
        super().handle(*app_labels, **options)

    def _reaches_database(self) -> bool:
        try:
            connection.ensure_connection()
        except (DatabaseError, InterfaceError) as error:
            reason = " ".join(str(error).split())
            self.stderr.write(f"The database cannot be reached, so it was not checked: {reason}")
            return False
        return True
