"""Errors for clients and operators. Each has a stable code, and a message that says what is wrong and what to do.

Domain code raises these errors and knows nothing about HTTP. `iris.api.exceptions` assigns a status to each kind, and
each dialect renders it. Subclasses of a kind are defined next to the function that raises them
(`accounts.credits.InsufficientCredits`). Codes are part of the API contract, messages are not.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class IrisError(Exception):
    """A request cannot be fulfilled, for a reason that the client can understand.

    `errors` lists the details: `{"field": …, "message": …}` for wrong values, `{"row": …, "message": …}` for sheets.
    """

    default_code: ClassVar[str] = "error"

    def __init__(
        self, message: str, *, code: str | None = None, errors: Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.errors: list[dict[str, Any]] = [dict(error) for error in errors or ()]

    def __str__(self) -> str:
        return self.message


class InvalidInput(IrisError):
    """A value of the request is invalid."""

    default_code = "invalid"


class NotAuthenticated(IrisError):
    """The request has no valid credentials."""

    default_code = "not_authenticated"


class NotAllowed(IrisError):
    """The sender of the request is known, but may not do this."""

    default_code = "not_allowed"


class PaymentRequired(IrisError):
    """The account cannot pay for this."""

    default_code = "payment_required"


class NotFound(IrisError):
    """The object does not exist, or belongs to another account. The error does not reveal which."""

    default_code = "not_found"


class Conflict(IrisError):
    """The request is valid but conflicts with the current state."""

    default_code = "conflict"


class InProgress(Conflict):
    """The same request is being carried out at this moment. Its answer can be fetched after `wait` seconds."""

    default_code = "request_in_progress"

    def __init__(self, message: str, *, wait: float) -> None:
        super().__init__(message)
        self.wait = wait


class Unprocessable(IrisError):
    """The request is well-formed but contradicts an earlier one, so it must not be carried out."""

    default_code = "unprocessable"


class TooLarge(IrisError):
    """The request is larger than the server accepts."""

    default_code = "too_large"


class UnsupportedType(IrisError):
    """The endpoint does not accept this content type."""

    default_code = "unsupported_type"


class Throttled(IrisError):
    """The client sent too many requests in a short time. It may retry after `wait` seconds."""

    default_code = "throttled"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        errors: Sequence[Mapping[str, Any]] | None = None,
        wait: float | None = None,
    ) -> None:
        super().__init__(message, code=code, errors=errors)
        self.wait = wait


class Unavailable(IrisError):
    """A service that this server depends on does not respond. The same request may succeed later."""

    default_code = "unavailable"
