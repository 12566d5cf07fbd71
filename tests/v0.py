"""A client of the v0 API for tests. It is logged in and checks the envelope."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import connection, transaction
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import Account, ApiRequest
from tests.described import assert_described
from tests.factories import owner_of

ENVELOPE = ["status", "success", "message", "errors", "data"]


class Caller:
    """Call the API as one account. Every response must be JSON; `fails` also checks the shape of an error."""

    def __init__(self, account: Account | None) -> None:
        self.client = APIClient(raise_request_exception=False)
        if account is not None:
            self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(owner_of(account))}")

    def call(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        status: int | None = None,
        format: str = "json",
        content_type: str | None = None,
    ) -> Any:
        """Return the decoded response. `status` is the required HTTP status. With `content_type`, `data` is the raw body."""
        if data is None or content_type is not None:
            response = self.client.generic(
                method, path, data or "", content_type=content_type or "application/json"
            )
        else:
            response = getattr(self.client, method.lower())(path, data, format=format)
        self.text = response.getvalue().decode()
        answer = json.loads(self.text)
        assert_described(method, path, response, body=self.text)
        assert status in (None, response.status_code), (response.status_code, answer)
        return answer

    def get(self, path: str, *, status: int = 200, **options: Any) -> Any:
        return self.call("GET", path, status=status, **options)

    def post(self, path: str, data: Any = None, *, status: int = 200, **options: Any) -> Any:
        return self.call("POST", path, data, status=status, **options)

    def put(self, path: str, data: Any = None, *, status: int = 200, **options: Any) -> Any:
        return self.call("PUT", path, data, status=status, **options)

    def patch(self, path: str, data: Any = None, *, status: int = 200, **options: Any) -> Any:
        return self.call("PATCH", path, data, status=status, **options)

    def delete(self, path: str, data: Any = None, *, status: int = 200, **options: Any) -> Any:
        return self.call("DELETE", path, data, status=status, **options)

    def fails(self, method: str, path: str, data: Any = None, *, status: int, **options: Any) -> Any:
        """Return the response to a call that must fail with `status`, in the envelope and with a sentence."""
        answer = self.call(method, path, data, status=status, **options)
        assert_refusal(answer, status)
        return answer


def assert_refusal(answer: Any, status: int) -> None:
    assert list(answer) == ENVELOPE, answer
    assert answer["status"] == status
    assert answer["success"] is False
    assert re.fullmatch(r"(?s).{15,}[.)]", answer["message"]), answer
    assert isinstance(answer["errors"], list)
    assert answer["data"] == {}


def row_counts_and_balances() -> dict[str, Any]:
    """Return the row count of each of our tables and every balance, to compare before and after a refused call."""
    models = [
        model
        for app in ("accounts", "webhooks", "telephony", "campaigns", "otp")
        for model in apps.get_app_config(app).get_models()
        if model is not ApiRequest  # requests of test twins are logged, whatever their responses
    ]
    tables = [model._meta.db_table for model in models]
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {counts}")
        counted: dict[str, Any] = dict(zip(tables, cursor.fetchone(), strict=True))
    return counted | {"balances": dict(Account.objects.values_list("pk", "balance"))}


@contextmanager
def undone() -> Iterator[None]:
    """Roll back all changes made in this context, so that many requests find the same rows."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
