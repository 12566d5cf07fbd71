"""A client of the v1 API for tests. It has an API key and checks the shape of errors."""

from __future__ import annotations

import re
from typing import Any

from rest_framework.test import APIClient

from accounts import apikeys
from accounts.models import Account
from iris.api.views import ERROR_CODE
from tests import v0
from tests.factories import owner_of


class Client(APIClient):
    """Keep the latest response."""

    latest: Any = None

    def request(self, **kwargs: Any) -> Any:
        self.latest = super().request(**kwargs)
        return self.latest


class Caller(v0.Caller):
    def __init__(self, account: Account | None) -> None:
        super().__init__(None)
        self.client: Client = Client(raise_request_exception=False)
        if account is not None:
            key = apikeys.generate(account=account, created_by=owner_of(account))
            self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")

    @property
    def code(self) -> str | None:
        """Return the error code of the latest response."""
        return code_of(self.client.latest)

    def call(self, method: str, path: str, data: Any = None, **options: Any) -> Any:
        return super().call(
            method, path if path.startswith(("/", "http://")) else f"/api/v1/{path}", data, **options
        )

    def fails(self, method: str, path: str, data: Any = None, *, status: int, **options: Any) -> Any:
        answer = self.call(method, path, data, status=status, **options)
        assert_refusal(self.client.latest)
        return answer


def code_of(response: Any) -> str | None:
    code: str | None = response.headers.get(ERROR_CODE)
    return code


def assert_refusal(response: Any) -> None:
    """Check the shape of an error.

    Clients show `message` or `detail` as text. They take every other key for a field with a list of sentences, and show
    those instead.
    """
    answer = response.json()
    assert isinstance(answer, dict), answer
    assert answer["message"] == answer["detail"]
    assert re.fullmatch(r"(?s).{15,}", answer["message"]), answer
    assert re.fullmatch(r"[a-z_]+", code_of(response) or ""), answer
    for key in answer.keys() - {"message", "detail"}:
        assert answer[key], answer
        assert isinstance(answer[key], list), answer
        assert all(isinstance(sentence, str) for sentence in answer[key]), answer
