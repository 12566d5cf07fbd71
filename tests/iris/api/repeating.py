"""Send requests with an `Idempotency-Key`, and imitate processes that die."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from django.db import connection
from django.db.models import F
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.models import Account
from campaigns.reports import recipient_counts
from iris import kept_answers
from iris.api import idempotency
from iris.api.views import ApiView
from iris.models import KeptAnswer
from tests import v0
from tests.v1 import caller as v1

CREATE = "/api/system/campaigns/"
CREATE_V1 = "/api/v1/campaign/create/"
SEND_OTP = "/api/system/send/otp/"
GENERATE_KEY = "/api/v1/auths/generate-api-keys/"
NEW = {"name": "Water", "services": "SMS", "individual_number": [9841000001, 9841000002]}
OTP = {"number": "9841000001", "message": "Your code is {otp}", "sms_send_options": "text"}


def post(client: Any, path: str, body: Any = None, *, key: str | None = "k-1", **how: Any) -> Any:
    headers = {} if key is None else {"HTTP_IDEMPOTENCY_KEY": key}
    return client.post(path, body, **{"format": "json", **how}, **headers)


def refusal(response: Any, status: int, code: str, path: str = CREATE) -> str:
    """Check the shape of an error in the dialect of the path. Return its sentence."""
    assert response.status_code == status, response.content
    if path.startswith("/api/v1/"):
        v1.assert_refusal(response)
        assert v1.code_of(response) == code
    else:
        v0.assert_refusal(response.json(), status)
    sentence: str = response.json()["message"]
    return sentence


def session() -> psycopg.Connection[Any]:
    """Open another session of the tests' database, as another process has it."""
    settings = connection.settings_dict
    return psycopg.connect(
        host=settings["HOST"],
        port=settings["PORT"] or None,
        user=settings["USER"],
        password=settings["PASSWORD"] or None,
        dbname=settings["NAME"],
        autocommit=True,
    )


@contextmanager
def carried_out_elsewhere(owner: Account, key: str) -> Iterator[None]:
    """Hold the lock of a key as another process does while it carries out the request."""
    with session() as other:
        other.execute("SELECT pg_advisory_lock(%s)", [kept_answers._lock_number(owner.pk, key)])
        yield


def died(owner: Account, path: str, body: Any, *, key: str = "k-1") -> None:
    """Leave behind what a process leaves that is killed while it carries out a request."""
    request = Request(
        APIRequestFactory().post(path, body, format="json"),
        parsers=[parser() for parser in ApiView.parser_classes],
    )
    kept_answers.claim(owner.pk, key, fingerprint=idempotency.fingerprint_of(request), is_new=True)


def held_locks() -> int:
    with connection.cursor() as cursor:
        # Locks for counts of recipients end with the transaction, which is that of the test.
        cursor.execute(
            """SELECT count(*) FROM pg_locks
                WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND NOT (classid = %s AND objsubid = 2)""",
            [recipient_counts.LOCK],
        )
        return int(cursor.fetchone()[0])


def age(by: timedelta) -> None:
    KeptAnswer.objects.update(begun_at=F("begun_at") - by)


def asked(data: Any) -> Any:
    request: Any = Request(APIRequestFactory().post(CREATE))
    request._full_data = data
    return request


def fingerprint(data: Any) -> str:
    return idempotency.fingerprint_of(asked(data))
