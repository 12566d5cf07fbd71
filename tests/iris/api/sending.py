"""Send bodies to the small API, and check its responses."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from tests.v0 import assert_refusal

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
BOUNDARY = "xyz"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


def send(client: Client, body: bytes | str, content_type: str, *, method: str = "POST", **extra: Any) -> Any:
    return client.generic(method, "/api/echo", body, content_type=content_type, **extra)


def understood(response: Any) -> Any:
    assert response.status_code == 200, response.content
    return response.json()["data"]["understood"]


def refused(response: Any, status: int) -> Any:
    assert response.status_code == status, response.content
    answer = json.loads(response.content)
    assert_refusal(answer, status)
    assert "secret" not in response.content.decode()
    return answer


def part(name: str, value: bytes, *headers: str, filename: str | None = None) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"' + (
        f'; filename="{filename}"' if filename else ""
    )
    return b"\r\n".join(
        [f"--{BOUNDARY}".encode(), disposition.encode(), *(h.encode() for h in headers), b"", value, b""]
    )


END = f"--{BOUNDARY}--\r\n".encode()
