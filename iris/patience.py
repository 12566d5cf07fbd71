"""How long a web request may wait for others, so that none keeps its thread for ever.

A web process has a few threads: whatever they wait for, a row that somebody has locked or a database that is gone, ends
within these times. The one who waited gets a 503 with a sentence.
Workers and commands wait as long as it takes. Slow clients cost no thread at all (iris.webserver).
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

LOCK_SECONDS = 10
STATEMENT_SECONDS = 30


def be_impatient() -> None:
    """Bound what this process, one that serves HTTP (iris/wsgi.py), waits for in the database."""
    connection_created.connect(limit_waits, dispatch_uid="iris.patience")


def limit_waits(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Receiver of `connection_created`: what this connection waits for, in seconds as above."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)",
            [f"{LOCK_SECONDS}s", f"{STATEMENT_SECONDS}s"],
        )
