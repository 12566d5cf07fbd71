"""Timeouts of web requests, because no request may occupy its thread for ever.

A web process has few threads. If a request waits for a locked row or an unreachable database, it ends after these timeouts,
as a 503 with an explanation. Workers and commands have no such timeouts. Slow clients do not occupy threads at all
(iris.webserver).
"""

from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from iris.broker_backoff import SOCKET_SECONDS
from iris.celery import app

LOCK_SECONDS = 10
STATEMENT_SECONDS = 30
# If a nudge is lost, the next tick does its work one second later. So a request does not wait longer than that for the
# broker.
BROKER_OPTIONS = {
    "socket_timeout": SOCKET_SECONDS,
    "socket_connect_timeout": SOCKET_SECONDS,
    "connect_retries_timeout": SOCKET_SECONDS,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
}


def limit_process_waits() -> None:
    """Set the timeouts of this process for the database and the broker. Only for processes that serve HTTP."""
    connection_created.connect(limit_waits, dispatch_uid="iris.timeouts")
    if settings.IRIS_BROKER_URL is not None:
        app.conf.broker_transport_options = {**app.conf.broker_transport_options, **BROKER_OPTIONS}


def limit_waits(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Set the lock and statement timeouts of a new connection. A receiver of `connection_created`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)",
            [f"{LOCK_SECONDS}s", f"{STATEMENT_SECONDS}s"],
        )
