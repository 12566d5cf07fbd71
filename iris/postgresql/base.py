"""The database backend of all processes. The embedded backend (iris.devserver.embedded) extends it."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType

from django.db import InternalError, OperationalError
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper

READ_ONLY = "25006"  # read_only_sql_transaction: the server became a standby, or was configured as read-only


class ErrorWrapper(DatabaseErrorWrapper):
    """Raise OperationalError when a read-only server refuses a statement, so that callers retry it.

    Django would raise InternalError, as for a bug. But this is an outage: the same statement will succeed on the new
    primary.
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
        """Also close a connection to a read-only server, because a new connection may reach the new primary.

        Django closes only connections that had errors, and forgets the error after a successful rollback, which a read-only
        server allows.
        """
        if self.is_read_only and self.connection is not None and not self.in_atomic_block:
            self.close()
        else:
            super().close_if_unusable_or_obsolete()


def sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE of a Django database error, or "" if it does not come from PostgreSQL."""
    return getattr(error.__cause__, "sqlstate", None) or ""
