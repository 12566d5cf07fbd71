"""The v0 envelope: five keys around every v0 response except the token refresh and the campaign list.

The envelope is a function and not a renderer, so that each view shows its whole response.
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
    """Return the body, with the keys in the documented order."""
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
    """Return a successful response.

    `http_status` differs from the `status` in the body in one case: the documented 204 has a body, which HTTP forbids,
    so its HTTP status is 200.
    """
    body = envelope(status=status, success=True, message=message, data=data)
    return Response(body, status=http_status or status)


def failure(
    *, status: int, message: str, errors: Sequence[Any] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error response. `message` says what is wrong and what to do, `errors` contains the details."""
    body = envelope(status=status, success=False, message=message, errors=errors)
    return Response(body, status=status, headers=dict(headers or {}))
