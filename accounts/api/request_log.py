"""Log the requests to the APIs, after the transactions of the requests have ended."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponse, HttpResponseBase
from rest_framework.request import Empty, Request

from accounts import actors
from accounts.api.account import Access
from accounts.api.permissions import needed_by
from accounts.request_log import entries
from accounts.request_log.entries import Entry
from accounts.request_log.masking import masked_address, masked_body

log = logging.getLogger(__name__)

API = "/api/"
OWN_ROUTE = "v0-requests"  # reading the log is not logged: a program that follows it would fill it
MAX_PARSED_BYTES = 64 * 1024  # of a response that is not from REST framework
ENVELOPE = {"status", "success", "message", "errors", "data"}
SPOKEN = ("message", "errors")  # the parts of an envelope in which iris speaks


def log_requests(
    answer: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: log each authenticated request to the APIs whose account has a log, whatever its response.

    If an entry cannot be written, the response is the same.
    """

    def with_log(request: HttpRequest) -> HttpResponseBase:
        begun_at = time.monotonic()
        response = answer(request)
        try:
            if (entry := _entry_of(request, response, time.monotonic() - begun_at)) is not None:
                entries.write(entry)
        except Exception:
            log.warning("A request could not be logged for developers", exc_info=True)
        return response

    return with_log


def _entry_of(request: HttpRequest, response: HttpResponseBase, seconds: float) -> Entry | None:
    # The base views set it. Its attributes are read from its dictionary: reading them as usual would authenticate and parse.
    sent: Request | None = getattr(request, "api_request", None)
    match = request.resolver_match
    if sent is None or match is None or match.url_name == OWN_ROUTE or not request.path.startswith(API):
        return None
    access = sent.__dict__.get("_auth")
    if not isinstance(access, Access) or not entries.is_kept_for(access.account):
        return None
    body = sent.__dict__.get("_full_data", Empty)
    return Entry(
        account_id=access.account.pk,
        request=actors.Acting().request,
        method=str(request.method)[:10],
        path=masked_address(request.path, request.META.get("QUERY_STRING", "")),
        status=response.status_code,
        code=response.headers.get("X-Error-Code", "")[:60],
        milliseconds=round(seconds * 1000),
        needed=_needed_by(sent),
        request_body="" if body is Empty or not body else masked_body(body),
        response_body=_response_body(response),
    )


def _needed_by(sent: Request) -> str:
    """Return the permission that the operation needs, or "" if every member may use it."""
    view = sent.parser_context["view"]
    name = getattr(view, "action", None) or str(sent.method).lower()
    try:
        needed = needed_by(view, name)
    except AttributeError:  # there is no such operation, so the response is an error
        return ""
    return "" if needed is None else needed.value


def _response_body(response: HttpResponseBase) -> str:
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    if not isinstance(response, HttpResponse):
        return f"({kind})"  # a stream
    data: Any = getattr(response, "data", None)
    if data is None:
        content = response.content
        if not content:
            return ""
        if kind != "application/json" or len(content) > MAX_PARSED_BYTES:
            return f"({kind}, {len(content):,} bytes)"
        data = json.loads(content)
    spoken = SPOKEN if isinstance(data, dict) and set(data) == ENVELOPE else ()
    return masked_body(data, own_words=spoken, is_error=response.status_code >= 400)
