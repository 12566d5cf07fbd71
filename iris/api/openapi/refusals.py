"""The errors of each operation, as components of the schema that all operations share."""

from __future__ import annotations

from typing import Any

from iris.api.openapi.operations import Operation
from iris.api.openapi.routes import Route
from iris.api.openapi.shapes import FALSE, INT, TEXT, V0_ERROR_ITEM, Schema, named, schema_of

V0_ERROR = named(
    "V0Error",
    {
        "status": INT,
        "success": FALSE,
        "message": TEXT,
        "errors": [V0_ERROR_ITEM],
        "data": Schema(type="object"),
    },
    about="An error in v0: `message` says what is wrong and what to do, `errors` names the fields or rows.",
)
V1_ERROR = named(
    "V1Error",
    Schema(
        {
            **schema_of({"message": TEXT, "detail": TEXT, "error?": TEXT}),
            "additionalProperties": schema_of([TEXT]),
        }
    ),
    about="An error in v1: `message` and `detail` are the same sentence. Each other key is a wrong field.",
)
ERRORS = {"V0": V0_ERROR, "V1": V1_ERROR}

# The name and the meaning of each status.
MEANINGS = {
    400: ("BadRequest", "The request has an invalid field or body."),
    401: ("Unauthorized", "The token or the password is missing or invalid."),
    402: ("PaymentRequired", "The account has too few credits. Nothing has changed."),
    403: ("Forbidden", "The login or the key may not do this."),
    404: ("NotFound", "The object does not exist, or belongs to another account."),
    405: ("MethodNotAllowed", "The address does not support this method."),
    409: ("Conflict", "The present state does not allow this."),
    413: ("TooLarge", "The body or the file is too large."),
    415: ("UnsupportedType", "iris does not read this content type here."),
    422: ("Unprocessable", "The `Idempotency-Key` belongs to another request."),
    429: (
        "TooManyRequests",
        "Too many requests in a short time. `Retry-After` says how many seconds to wait.",
    ),
    503: ("Unavailable", "A service that iris needs does not respond. The same request may succeed later."),
}
HEADERS = {
    401: {"WWW-Authenticate": "The authentication that iris accepts."},
    409: {
        "Retry-After": "After how many seconds to send the same request again, if it is still being carried out."
    },
    429: {"Retry-After": "After how many seconds to send the request again."},
    503: {"Retry-After": "After how many seconds to send the request again, if that is known."},
}
ERROR_CODE_HEADER = {
    "X-Error-Code": {
        "description": "The stable code of this error. `/api/docs/errors/` explains each code.",
        "schema": TEXT,
        "required": True,
    }
}


def refusals_of(route: Route, method: str, operation: Operation, *, guarded: bool) -> dict[str, Any]:
    """Return the errors of an operation by status, as references. `guarded` operations obey `Idempotency-Key`."""
    statuses = {400, 429, 503, *operation.refuses}
    if route.view.permission_classes:
        statuses |= {401, 403}
    if route.parameters or operation.pages:
        statuses.add(404)
    if method != "GET":
        statuses |= {413, 415}
    if guarded:
        statuses |= {409, 422}
    return {
        str(status): {"$ref": f"#/components/responses/{dialect_of(route)}{MEANINGS[status][0]}"}
        for status in sorted(statuses)
    }


def responses() -> dict[str, Any]:
    """Return the component of each error in each dialect."""
    return {
        f"{dialect}{name}": {
            "description": meaning,
            "headers": ERROR_CODE_HEADER
            | {
                header: {"description": text, "schema": TEXT if status == 401 else INT}
                for header, text in HEADERS.get(status, {}).items()
            },
            "content": {"application/json": {"schema": ERRORS[dialect]}},
        }
        for dialect in ERRORS
        for status, (name, meaning) in MEANINGS.items()
    }


def dialect_of(route: Route) -> str:
    return "V1" if route.path.startswith("/api/v1/") else "V0"
