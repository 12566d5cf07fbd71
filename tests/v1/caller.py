"""A caller of the v1 API, as tests want one: with an API key, and strict about how errors look."""

from __future__ import annotations

import re
from typing import Any

from accounts import apikeys
from accounts.models import User
from tests import v0


class Caller(v0.Caller):
    def __init__(self, user: User | None) -> None:
        super().__init__(None)
        if user is not None:
            self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {apikeys.generate(user=user)}")

    def call(self, method: str, path: str, data: Any = None, **options: Any) -> Any:
        return super().call(
            method, path if path.startswith(("/", "http://")) else f"/api/v1/{path}", data, **options
        )

    def fails(self, method: str, path: str, data: Any = None, *, status: int, **options: Any) -> Any:
        answer = self.call(method, path, data, status=status, **options)
        assert_refusal(answer)
        return answer


def assert_refusal(answer: Any) -> None:
    """Clients show `message` or `detail` as text, and all else but `code` as lists of text."""
    assert isinstance(answer, dict), answer
    assert answer["message"] == answer["detail"]
    assert re.fullmatch(r"(?s).{15,}", answer["message"]), answer
    assert re.fullmatch(r"[a-z_]+", answer["code"])
    for key in answer.keys() - {"message", "detail", "code"}:
        assert answer[key], answer
        assert all(isinstance(said, str) for said in answer[key]), answer
