"""How long a web request may wait for others, so that none keeps its thread for ever.

A web process has a few threads: whatever they wait for, a row that somebody has locked or a database that is gone, ends
within these times. The one who waited gets a 503 with a sentence.
Workers and commands wait as long as it takes. Slow clients cost no thread at all (iris.webserver).
"""

from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from iris.broker_backoff import SOCKET_SECONDS
from iris.celery import app

LOCK_SECONDS = 10
STATEMENT_SECONDS = 30
# A nudge that is not taken costs a second, until the next tick. So nobody waits for longer than that.
BROKER_OPTIONS = {
    "socket_timeout": SOCKET_SECONDS,
    "socket_connect_timeout": SOCKET_SECONDS,
    "connect_retries_timeout": SOCKET_SECONDS,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
}


def be_impatient() -> None:
    """Bound what this process, one that serves HTTP (iris/wsgi.py), waits for the database and the broker."""
    connection_created.connect(limit_waits, dispatch_uid="iris.timeouts")
    if settings.IRIS_BROKER_URL is not None:
        app.conf.broker_transport_options = {**app.conf.broker_transport_options, **BROKER_OPTIONS}


def limit_waits(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Receiver of `connection_created`: what this connection waits for, in seconds as above."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)",
            [f"{LOCK_SECONDS}s", f"{STATEMENT_SECONDS}s"],
        )
