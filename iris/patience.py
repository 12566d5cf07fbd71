"""How long a web request may wait for others, so that none keeps its thread for ever.

A web process has a few threads, and /health needs one of them, too: whatever all the others wait for, a row that
somebody has locked, a database that is gone, a client that has stopped reading, ends within these times. The one
who waited gets a 503 with a sentence. Workers and commands wait as long as it takes.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LOCK_SECONDS = 10
STATEMENT_SECONDS = 30
SILENCE_SECONDS = 30  # of a client, in the middle of its request or of our answer


def be_patient(application: "WSGIApplication") -> "WSGIApplication":
    """Wrap the WSGI application (iris/wsgi.py), and bound what its process waits for in the database."""
    connection_created.connect(limit_waits, dispatch_uid="iris.patience")

    def patient_application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if client := environ.get("gunicorn.socket"):
            client.settimeout(SILENCE_SECONDS)
        return application(environ, start_response)

    return patient_application


def limit_waits(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Receiver of `connection_created`: what this connection waits for, in seconds as above."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)",
            [f"{LOCK_SECONDS}s", f"{STATEMENT_SECONDS}s"],
        )
