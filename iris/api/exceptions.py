"""Convert every exception of a view into one `Failure`, independent of the dialect. Other exceptions are bugs.

This is the only module that assigns HTTP statuses to errors. Each dialect only decides how it renders a Failure.
"""

import errno
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import (
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404
from django.http.request import UnreadablePostError
from psycopg.errors import LockNotAvailable, QueryCanceled
from rest_framework import exceptions as drf

from iris import errors
from iris.postgresql.base import READ_ONLY, sqlstate

logger = logging.getLogger(__name__)

STATUS_OF_KIND: dict[type[errors.IrisError], int] = {
    errors.InvalidInput: 400,
    errors.NotAuthenticated: 401,
    errors.PaymentRequired: 402,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedType: 415,
    errors.Unprocessable: 422,
    errors.Throttled: 429,
    errors.Unavailable: 503,
}

# Errors of a disk that is full, read-only, broken or not mounted, and of a file in the place of a folder.
STORAGE_ERRNOS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.EFBIG,
    errno.EACCES,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.EPERM,
    errno.ESTALE,
    errno.ENODEV,
    errno.ENXIO,
    errno.ENOTCONN,  # a FUSE mount whose process has ended
    errno.EMFILE,
    errno.ENFILE,
}
NO_TEMPORARY_FOLDER = "No usable temporary directory"  # Python's message if all temporary folders are full
READ_ONLY_STATES = {READ_ONLY, "53100"}  # 53100: disk_full
BAD_CREDENTIAL = "The access token or API key is invalid or has expired. Refresh the token, log in again or use another key."
NOT_FOUND = "This does not exist, or belongs to another account."
CHALLENGE = 'Bearer realm="api"'


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An error before it is rendered: the HTTP status, a stable code, a message, and the details."""

    status: int
    code: str
    message: str
    errors: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


def explain(error: Exception) -> Failure | None:
    """Return the Failure for this exception, or None if it is a bug, which is logged and becomes a 500."""
    if isinstance(error, errors.IrisError):
        return _of_iris(error)
    if isinstance(error, drf.APIException):
        return _of_drf(error)
    if isinstance(error, Http404):
        return Failure(status=404, code="not_found", message=NOT_FOUND)
    if isinstance(error, ObjectDoesNotExist):
        # The view had found the object, so another request has deleted it since. It is logged, because it may also be a bug.
        logger.warning("An object was deleted during a request that uses it", exc_info=error)
        return Failure(status=404, code="not_found", message=NOT_FOUND)
    if isinstance(error, PermissionDenied):
        return Failure(status=403, code="permission_denied", message="This account may not do that.")
    if isinstance(error, RequestDataTooBig):
        return Failure(status=413, code="too_large", message="The fields of this form are too large.")
    if isinstance(error, (TooManyFieldsSent, TooManyFilesSent)):
        return Failure(
            status=400,
            code="too_many_fields",
            message="This form has too many fields: send long lists as JSON.",
        )
    if isinstance(error, (SuspiciousOperation, UnreadablePostError)):
        return Failure(
            status=400, code="bad_request", message="This request could not be read. Check how it is sent."
        )
    if isinstance(error, OSError) and (
        error.errno in STORAGE_ERRNOS or str(error.strerror).startswith(NO_TEMPORARY_FOLDER)
    ):
        logger.error("A file cannot be stored: %s", error)
        return _later("This server cannot store files at the moment. Try again in a few seconds.")
    return _of_database(error)


def _of_iris(error: errors.IrisError) -> Failure:
    # An IrisError without a kind is a bug of ours, so it is a 500 and not a client error.
    status = next((STATUS_OF_KIND[kind] for kind in type(error).__mro__ if kind in STATUS_OF_KIND), 500)
    headers = {"WWW-Authenticate": CHALLENGE} if status == 401 else {}
    if isinstance(error, (errors.Throttled, errors.InProgress)):
        headers = _retry_after(error.wait)
    return Failure(
        status=status, code=error.code, message=error.message, errors=error.errors, headers=headers
    )


def _of_drf(error: drf.APIException) -> Failure:
    code = _first_code(error.get_codes())
    if isinstance(error, drf.ValidationError):
        details = list(_details(error.detail))
        return Failure(status=400, code="invalid", message=_sentence(details), errors=details)
    if isinstance(error, (drf.NotAuthenticated, drf.AuthenticationFailed)):
        challenge = getattr(error, "auth_header", CHALLENGE)
        return Failure(
            status=401, code=code, message=_unauthenticated(code), headers={"WWW-Authenticate": challenge}
        )
    if isinstance(error, drf.Throttled):
        wait = _retry_after(getattr(error, "wait", None))
        seconds = wait.get("Retry-After", "60")
        return Failure(
            status=429,
            code=code,
            message=f"Too many requests in a short time. Wait {seconds} seconds and try again.",
            headers=wait,
        )
    if isinstance(error, drf.MethodNotAllowed):
        return Failure(status=405, code=code, message=_plain(error.detail))
    if isinstance(error, drf.UnsupportedMediaType):
        return Failure(
            status=415,
            code=code,
            message="Send the body as application/json, as a form or as multipart/form-data.",
        )
    if isinstance(error, drf.NotFound):
        return Failure(status=404, code=code, message=NOT_FOUND)
    if isinstance(error, drf.PermissionDenied):
        return Failure(status=403, code=code, message="This account may not do that.")
    return Failure(status=error.status_code, code=code, message=_plain(error.detail))


def _of_database(error: Exception) -> Failure | None:
    """Return the Failure for an error of the database, or None for a bug.

    A DataError means that a client sent a value that validation should have refused.
    """
    if isinstance(error, DataError) or (isinstance(error, ValueError) and "NUL" in str(error)):
        logger.warning("The database refused a value that validation had accepted", exc_info=error)
        return Failure(
            status=400,
            code="invalid",
            message="A value is too long, too large or has characters that cannot be stored.",
        )
    if isinstance(error.__cause__, (LockNotAvailable, QueryCanceled)):  # by the timeouts of iris.timeouts
        logger.warning("The database did not answer in time: %s", error)
        return _later(
            "Another operation is using the same data and has not finished. Try again in a few seconds."
        )
    if isinstance(error, OperationalError) and sqlstate(error) in READ_ONLY_STATES:
        logger.error("The database accepts no changes: %s", error)
        return _later("The database accepts no changes at the moment. Try again in a few seconds.")
    if isinstance(error, (OperationalError, InterfaceError)):
        logger.error("The database does not answer", exc_info=error)
        return _later("The database does not answer at the moment. Try again in a few seconds.")
    return None


def _later(message: str) -> Failure:
    return Failure(status=503, code="unavailable", message=message, headers={"Retry-After": "5"})


def _unauthenticated(code: str) -> str:
    if code == "not_authenticated":
        return "Log in first, and send the access token, or an API key, as: Authorization: Bearer <token>."
    if code == "user_inactive":
        return "This account is switched off. Ask the operator of this server."
    if code == "bad_authorization_header":
        return "The Authorization header cannot be read. It must be: Authorization: Bearer <token>."
    return BAD_CREDENTIAL


def _retry_after(wait: float | None) -> dict[str, str]:
    return {} if wait is None else {"Retry-After": str(max(1, math.ceil(wait)))}


def _details(detail: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Flatten nested error details: {"a": [{}, {"b": ["no"]}]} yields {"field": "a.1.b", "message": "no"}."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from _details(value, ".".join(part for part in (path, name) if part))
    elif isinstance(detail, Sequence) and not isinstance(detail, str):
        for index, value in enumerate(detail):
            nested = not isinstance(value, str)
            yield from _details(value, f"{path}.{index}".lstrip(".") if nested else path)
    else:
        yield {"field": path, "message": str(detail)}


def _sentence(details: Sequence[Mapping[str, Any]]) -> str:
    if not details:
        return "A value in this request is invalid."
    first = details[0]
    sentence = f"{first['field']}: {first['message']}" if first["field"] else str(first["message"])
    return sentence if len(details) == 1 else f"{sentence} ({len(details) - 1} more under errors.)"


def _first_code(codes: Any) -> str:
    while isinstance(codes, (Mapping, list)):
        codes = next(iter(codes.values() if isinstance(codes, Mapping) else codes), "error")
    return str(codes)


def _plain(detail: Any) -> str:
    return " ".join(item["message"] for item in _details(detail))
