"""Error responses to requests that never reach the application, in the dialect of their path."""

import re
from http import HTTPStatus

from django.http import HttpRequest
from gunicorn.http import errors as unreadable

from iris.api.exceptions import Failure
from iris.api.views import answer_at

LATE = Failure(
    status=408,
    code="timeout",
    message="The request did not arrive in time. Send it again.",
)
FULL = Failure(
    status=503,
    code="unavailable",
    message="This server is receiving too much data at the moment. Try again in a few seconds.",
    headers={"Retry-After": "5"},
)
BUG = Failure(
    status=500,
    code="error",
    message="This server failed because of a bug, which it has logged. Try again, or tell the operator of this server.",
)
BAD = Failure(status=400, code="bad_request", message="This request could not be read. Check how it is sent.")
KINDS: dict[type[Exception], Failure] = {
    unreadable.LimitRequestLine: Failure(
        status=414,
        code="address_too_long",
        message="The address of this request is too long. Send its values in the body.",
    ),
    unreadable.LimitRequestHeaders: Failure(
        status=431,
        code="headers_too_large",
        message="This request has too many headers, or headers that are too long.",
    ),
    unreadable.UnsupportedTransferCoding: Failure(
        status=501,
        code="unsupported_transfer_coding",
        message="Send the body unencoded or in chunks: this server supports no other transfer coding.",
    ),
    unreadable.ExpectationFailed: Failure(
        status=417,
        code="expectation_failed",
        message="This server supports no expectation except 100-continue.",
    ),
    unreadable.ForbiddenProxyRequest: Failure(
        status=403, code="permission_denied", message="This proxy is not allowed to forward requests."
    ),
}

_ADDRESS = re.compile(rb"(?:\r\n)?[^ \r\n]+ +(?:https?://[^/ ]*)?(/[^ ?\r\n]{0,200})")


def of_error(error: Exception) -> Failure:
    """Return the refusal for an error of gunicorn's parser, and BUG for every other error."""
    for kind, failure in KINDS.items():
        if isinstance(error, kind):
            return failure
    return BAD if isinstance(error, unreadable.ParseException) else BUG


def message(head: bytes, failure: Failure) -> bytes:
    """Return the bytes of the response, which closes the connection. `head` is the request's head or its beginning."""
    found = _ADDRESS.match(head)
    request = HttpRequest()
    request.path = found[1].decode("latin-1") if found else "/"
    response = answer_at(request, failure)
    body = b"" if head.startswith(b"HEAD ") else response.content
    headers = {
        **dict(response.items()),
        **failure.headers,
        "Content-Length": str(len(response.content)),
        "Connection": "close",
        "Cache-Control": "no-store",
    }
    lines = [f"HTTP/1.1 {failure.status} {HTTPStatus(failure.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
