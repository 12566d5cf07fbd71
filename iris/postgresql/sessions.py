"""Is there a pooler between us and PostgreSQL that shares sessions among clients?

iris holds locks in its session (telephony.engine.locks), for as long as a process lives. A pooler in transaction mode
leaves them on a session that the next client gets: after some seconds nothing is sent any more, and nothing says why.
"""

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from iris.postgresql.base import sqlstate

NO_TRANSACTIONS = "08P01"  # protocol_violation, from a pooler in statement mode
SENTENCE = (
    "The database is reached through a pooler that shares sessions (pool_mode=transaction or statement), and iris keeps"
    " locks in its session. Set pool_mode=session for iris, or let it connect to PostgreSQL itself."
)


def are_dedicated() -> bool:
    """Whether two connections are two sessions of PostgreSQL, each the same from one statement to the next.

    While one is in a transaction, it must have a session that the other one has never had: a pooler gives it the one that
    has just become free. Raises OperationalError where the database cannot be reached.
    """
    if settings.IRIS_DATABASE_URL is None:
        return True  # the embedded one
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
