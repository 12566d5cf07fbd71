"""Detect a connection pooler that shares sessions among clients.

iris holds session locks (iris.locks) for the lifetime of a process. A pooler in transaction mode leaves
these locks on a session that the next client gets. After some seconds, iris would silently stop sending.
"""

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from iris.postgresql.base import sqlstate

NO_TRANSACTIONS = "08P01"  # protocol_violation: the error of a pooler in statement mode
SENTENCE = (
    "The database is reached through a pooler that shares sessions (pool_mode=transaction or statement), and iris keeps"
    " locks in its session. Set pool_mode=session for iris, or let it connect to PostgreSQL itself."
)


def are_dedicated() -> bool:
    """Return whether each connection has its own PostgreSQL session.

    Opens two connections and compares their backend pids. While the second is in a transaction, a pooler that shares
    sessions gives it the session that the first one has just used. Raises OperationalError if the database cannot be
    reached.
    """
    if settings.IRIS_DATABASE_URL is None:
        return True  # the embedded server has no pooler
    first, second = connection.copy(), connection.copy()
    try:
        before = _session(first)
        try:
            second.set_autocommit(False)
            between = _session(second)
        except DatabaseError as error:
            if sqlstate(error) == NO_TRANSACTIONS:
                return False
            raise
        after = _session(first)
        return before == after != between
    finally:
        first.close()
        second.close()


def _session(one: BaseDatabaseWrapper) -> int:
    with one.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid: int = cursor.fetchone()[0]
    return pid
