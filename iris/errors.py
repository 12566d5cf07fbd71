"""Errors that are for people: each has a stable code and a sentence that says what to do.

Domain code raises these and knows nothing of HTTP; `iris.api.views` gives each kind its status and each
dialect its own shape. Subclasses of a kind live next to the verb that raises them
(`accounts.credits.InsufficientCredits`). Codes are contract, sentences are not.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class IrisError(Exception):
    """Something that a person asked for cannot be done, for a reason that person can understand.

    `errors` lists the details: `{"field": …, "message": …}` for wrong values, `{"row": …, "message": …}` for
    sheets.
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
    """What was sent cannot be used as it is."""

    default_code = "invalid"


class NotAuthenticated(IrisError):
    """We do not know who is asking, or no longer believe it."""

    default_code = "not_authenticated"


class PaymentRequired(IrisError):
    """The account cannot pay for this."""

    default_code = "payment_required"


class NotFound(IrisError):
    """No such thing, or it belongs to somebody else: a stranger is not told which."""

    default_code = "not_found"


class Conflict(IrisError):
    """The request was fine, but not in the present state of things."""

    default_code = "conflict"


class TooLarge(IrisError):
    """More was sent than this server takes at once."""

    default_code = "too_large"


class UnsupportedType(IrisError):
    """The body is of a kind that this endpoint does not read."""

    default_code = "unsupported_type"


class Throttled(IrisError):
    """Too many requests in a short time. `wait` is the seconds after which it is worth trying again."""

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
    """Something this server depends on does not answer; the same request may work later."""

    default_code = "unavailable"
