"""Middleware for all views: default response headers, and a 503 with an explanation if the database or a disk fails."""

import logging
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from structlog.contextvars import bound_contextvars

from iris.api.views import answer_outage
from iris.page_policy import POLICY, as_header

logger = logging.getLogger(__name__)

NO_STORE = "no-store"
# Django's debug pages for these statuses contain inline styles and scripts.
DEBUG_PAGES = (404, 500)

Answerer = Callable[[HttpRequest], HttpResponseBase]


def add_headers(answer: Answerer) -> Answerer:
    """Middleware: add `Content-Security-Policy` to pages, and `Cache-Control: no-store` to responses without that header.

    Recordings and static files set their own `Cache-Control`.
    """
    policy = as_header(POLICY)

    def with_headers(request: HttpRequest) -> HttpResponseBase:
        response = answer(request)
        response.headers.setdefault("Cache-Control", NO_STORE)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if is_page and not (settings.DEBUG and response.status_code in DEBUG_PAGES):
            response.headers.setdefault("Content-Security-Policy", policy)
        return response

    return with_headers


def name_request(answer: Answerer) -> Answerer:
    """Middleware: give each request an id, which its log lines, its audit entries and its response have.

    With the log level DEBUG, each request is logged, by its route and not by its path, which may have a phone number.
    """

    def with_name(request: HttpRequest) -> HttpResponseBase:
        name = uuid.uuid4().hex
        with bound_contextvars(request=name):
            begun_at = time.monotonic()
            response = answer(request)
            logger.debug(
                "%s %s: %d after %.3f s",
                request.method,
                request.resolver_match.route if request.resolver_match else "(unknown)",
                response.status_code,
                time.monotonic() - begun_at,
            )
        response.headers.setdefault("X-Request-Id", name)
        return response

    return with_name


class AnswerOutages:
    """Middleware: respond with a 503 and `Retry-After` if the database or a disk fails, in the admin and for recordings.

    Views of the API do this themselves, in their dialect (iris.api.exceptions).
    """

    def __init__(self, answer: Answerer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._answer(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer_outage(request, error)
