"""The v0 envelope: five keys around every v0 answer but two (token refresh and the campaign list have none).

A function and no renderer, so that each view shows what leaves it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework.response import Response


def envelope(
    *,
    status: int,
    success: bool,
    message: str | None,
    errors: Sequence[Any] = (),
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body itself, in the documented order of keys."""
    return {
        "status": status,
        "success": success,
        "message": message,
        "errors": list(errors),
        "data": {} if data is None else dict(data),
    }


def success(
    data: Mapping[str, Any] | None = None,
    *,
    message: str | None = None,
    status: int = 200,
    http_status: int | None = None,
) -> Response:
    """An answer that went well.

    `http_status` differs from the `status` in the body in one place: the documented 204 has a body, which
    HTTP forbids, and so travels as 200.
    """
    body = envelope(status=status, success=True, message=message, data=data)
    return Response(body, status=http_status or status)


def failure(
    *, status: int, message: str, errors: Sequence[Any] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """An answer that says what is wrong: `message` is one sentence, `errors` has the details."""
    body = envelope(status=status, success=False, message=message, errors=errors)
    return Response(body, status=status, headers=dict(headers or {}))
