"""The base views of both dialects, which define authentication, body limits and the shape of errors.

Permissions and throttles come from `REST_FRAMEWORK` in the settings, as does authentication unless a dialect overrides
it.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import tzinfo
from typing import Any, NoReturn, cast

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.urls import URLPattern, path, register_converter
from django.utils import timezone
from django.views import defaults
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, set_rollback

from accounts import actors
from accounts.account_settings import zone_of
from accounts.api.account import Access
from accounts.api.acting import actor_of
from accounts.api.authentication import AccessCookie, BearerOrTokenScheme
from iris.api import idempotency, parsers
from iris.api.envelope import envelope, failure
from iris.api.exceptions import NOT_FOUND, STATUS_OF_KIND, Failure, explain
from iris.api.json_text import check_text
from iris.errors import NotFound, Unavailable

LARGEST_ID = 2**63 - 1
ERROR_CODE = "X-Error-Code"


class AlwaysJSON(DefaultContentNegotiation):
    """Respond with JSON, whatever the Accept header or `?format=` requests, because there is no other format."""

    def select_renderer(  # type: ignore[override]
        self, request: Request, renderers: Sequence[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type or ""


class ApiView(APIView):
    """The base of the views of all dialects."""

    parser_classes = (parsers.JSONBody, parsers.FormBody, parsers.MultipartBody, parsers.UnlabelledBody)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AlwaysJSON
    metadata_class = None
    reads = parsers.SMALL  # the maximum length of a body; views that accept texts, lists or files override it
    retries = idempotency.ONCE  # how a request with an `Idempotency-Key` is carried out

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with ExitStack() as self._until_answered:
            response = super().dispatch(request, *args, **kwargs)
            if isinstance(response, StreamingHttpResponse):
                parts = iter(cast(Iterable[bytes], response.streaming_content))
                response.streaming_content = _in_zone(parts, timezone.get_current_timezone())
            return response

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        initialized = super().initialize_request(request, *args, **kwargs)
        request.api_request = initialized  # type: ignore[attr-defined]  # for accounts.api.request_log
        return initialized

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Django would also decode the query string with the client's charset, which Python may not support.
        request._request.encoding = "utf-8"
        parsers.check_length(request, self.reads)
        check_text(text for key, values in request.query_params.lists() for text in (key, *values))
        if any("\x00" in value for value in kwargs.values() if isinstance(value, str)):
            raise NotFound(NOT_FOUND)
        super().initial(request, *args, **kwargs)
        # Triggers log nothing of requests without authentication, so these need not tell the database who acts.
        writes = request.method not in SAFE_METHODS and request.user.is_authenticated
        self._until_answered.enter_context(actors.acting(actor_of(request), writes=writes))
        if isinstance(request.auth, Access):
            self._until_answered.enter_context(timezone.override(zone_of(request.auth.account)))
        idempotency.guard(self, request, self.retries)

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:
        possible = ", ".join(name for name in self.allowed_methods if name not in ("HEAD", "OPTIONS"))
        raise MethodNotAllowed(
            request.method or "",
            detail=f"{request.method} is not possible at this address. Send one of: {possible}.",
        )


def _in_zone(parts: Iterator[bytes], zone: tzinfo) -> Iterator[bytes]:
    """Yield the parts of a response, which are made after the view has returned, in the time zone of the account."""
    while True:
        with timezone.override(zone):
            try:
                part = next(parts)
            except StopIteration:
                return
        yield part


class V0View(ApiView):
    """Base of every view under /api/accounts and /api/system."""

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return answer_in_v0


def answer_in_v0(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the envelope for this error, or None for a bug: then Django logs it and calls `handler500`."""
    explained = explain(error)
    if explained is None:
        return None
    set_rollback()
    return failure(
        status=explained.status,
        message=explained.message,
        errors=explained.errors,
        headers={**explained.headers, ERROR_CODE: explained.code},
    )


class V1View(ApiView):
    """Base of every view under /api/v1."""

    authentication_classes: tuple[type[BaseAuthentication], ...] = (BearerOrTokenScheme, AccessCookie)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return answer_in_v1


def answer_in_v1(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the v1 body for this error, or None for a bug: then Django logs it and calls `handler500`."""
    explained = explain(error)
    if explained is None:
        return None
    set_rollback()
    headers = {**explained.headers, ERROR_CODE: explained.code}
    return Response(failure_in_v1(explained), status=explained.status, headers=headers)


def failure_in_v1(failure: Failure) -> dict[str, Any]:
    """Return the v1 body: the message under `message` and `detail`, and the error messages of each wrong field.

    If a field has one of these two names, its error message is the text under this key, because clients expect text there.
    Clients treat every other key as a wrong field, so the error code is in the header `ERROR_CODE` and not in the body.
    """
    body: dict[str, Any] = {"message": failure.message, "detail": failure.message}
    for error in failure.errors:
        if "row" in error:
            field, sentence = "errors", f"Row {error['row']}: {error['message']}"
        else:
            field, sentence = (
                str(error["field"]).partition(".")[0] or "non_field_errors",
                str(error["message"]),
            )
        if field not in ("message", "detail"):
            body.setdefault(field, []).append(sentence)
    return body


def with_and_without_slash(route: str, view: Callable[..., HttpResponseBase], name: str) -> list[URLPattern]:
    """Return the route without and with a trailing slash.

    Neither redirects, because a redirect would lose the body of a POST.

    `reverse(name)` returns the path with the slash.
    """
    bare = route.removesuffix("/")
    return [path(bare, view, name=name), path(f"{bare}/", view, name=name)]


def parse_id(text: str) -> int:
    """Return the id in this text, or 0 if it is not an id. No row has the id 0, so the view responds with a 404."""
    if re.fullmatch(r"[0-9]{1,19}", text) and int(text) <= LARGEST_ID:
        return int(text)
    return 0


class IdConverter:
    """`<id:pk>` in a route. It matches any segment, so that "abc" and "-1" reach the view and are a 404 in its dialect."""

    regex = "[^/]+"

    def to_python(self, value: str) -> int:
        return parse_id(value)

    def to_url(self, value: int | str) -> str:
        return str(value)


register_converter(IdConverter, "id")


# Django calls these handlers (see iris/urls.py) if no view responds. They use the dialect of the path, and HTML outside the
# API.


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, DisallowedHost):
        return _unknown_host(request)
    if not _is_api(request):
        return defaults.bad_request(request, exception)
    return _plain_failure(
        request, 400, "bad_request", "This request could not be read. Check how it is sent."
    )


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return defaults.permission_denied(request, exception)
    return _plain_failure(request, 403, "permission_denied", "This account may not do that.")


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return defaults.page_not_found(request, exception)
    return _plain_failure(
        request,
        404,
        "not_found",
        f"There is nothing at {request.path[:200]}. Check the address: /api/docs/ has all that there are.",
    )


def handler500(request: HttpRequest) -> HttpResponse:
    error = sys.exc_info()[1]  # raised by a middleware: iris.middleware handles errors of views
    if isinstance(error, Exception) and (outage := answer_outage(request, error)) is not None:
        return outage
    if not _is_api(request):
        return defaults.server_error(request)
    return _plain_failure(
        request,
        500,
        "error",
        "This server failed because of a bug, which it has logged. Try again, or tell the operator of this server.",
    )


def answer_at(request: HttpRequest, failure: Failure) -> HttpResponse:
    """Render a failure without a view, in the dialect of the request's path, or as plain text outside the API."""
    if not _is_api(request):
        return HttpResponse(failure.message, status=failure.status, content_type="text/plain; charset=utf-8")
    return _plain_failure(request, failure.status, failure.code, failure.message)


def answer_outage(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """Return the 503 for a failing database or disk, in the dialect of the request's path, or None for other errors."""
    failure = explain(error)
    if failure is None or failure.status != STATUS_OF_KIND[Unavailable]:
        return None
    response = answer_at(request, failure)
    for name, value in failure.headers.items():
        response.headers[name] = value
    response._has_been_logged = True  # type: ignore[attr-defined]  # `explain` logged it in one line
    return response


def _unknown_host(request: HttpRequest) -> HttpResponse:
    host = ascii(request.META.get("HTTP_HOST", ""))[1:-1][:200]
    sentence = (
        f"This server does not accept the host name “{host}”. If the name is right, the operator adds it to "
        "IRIS_ALLOWED_HOSTS, without a port, and starts iris again."
    )
    return answer_at(request, Failure(status=400, code="unknown_host", message=sentence))


def _is_api(request: HttpRequest, dialect: str = "") -> bool:
    return request.path.lstrip("/").startswith(f"api/{dialect}")


def _plain_failure(request: HttpRequest, status: int, code: str, message: str) -> JsonResponse:
    if _is_api(request, "v1/"):
        body = failure_in_v1(Failure(status=status, code=code, message=message))
    else:
        body = envelope(status=status, success=False, message=message)
    return JsonResponse(body, status=status, headers={ERROR_CODE: code})
