"""The database backend of all processes; the embedded one (iris.devserver.embedded) builds on it."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType

from django.db import InternalError, OperationalError
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper

READ_ONLY = (
    "25006"  # read_only_sql_transaction: this server has become a standby, or was told to take no changes
)


class ErrorWrapper(DatabaseErrorWrapper):
    """Sorts errors by what they mean for the caller.

    PostgreSQL calls a statement that a read-only server refuses an internal error, as it would a bug of ours. It is an
    outage: the same statement works on the new primary. So it is an OperationalError, which everybody tries again.
    """

    wrapper: DatabaseWrapper

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, traceback)
        except InternalError as internal:
            if sqlstate(internal) != READ_ONLY:
                raise
            self.wrapper.is_read_only = True
            raise OperationalError(*internal.args) from error


class DatabaseWrapper(base.DatabaseWrapper):
    is_read_only = False

    @cached_property
    def wrap_database_errors(self) -> ErrorWrapper:
        return ErrorWrapper(self)

    def connect(self) -> None:
        self.is_read_only = False
        super().connect()

    def close_if_unusable_or_obsolete(self) -> None:
        """Drop also a connection to a server that takes no changes: a new one may lead to the one that does.

        Django looks for errors only, and counts a rollback, which works there, as a sign that all is well.
        """
        if self.is_read_only and self.connection is not None and not self.in_atomic_block:
            self.close()
        else:
            super().close_if_unusable_or_obsolete()


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of an error of Django's, "" where it did not come from PostgreSQL."""
    return getattr(error.__cause__, "sqlstate", None) or ""
