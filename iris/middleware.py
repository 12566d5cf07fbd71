"""What holds for the answers of all views: headers, unless a view sets its own, and a sentence where a part fails."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from iris.api.views import answer_outage

NO_STORE = "no-store"
# Everything a page loads comes from this server, and nothing is written into the page itself. The one exception is a style
# that Django's admin writes into lists without actions; a browser knows it by its hash.
ADMIN_LIST_STYLE = "'sha256-blvLUW3UscWqsXGByNOqdBboM+ShWAuugp2mC/wbafU='"
POLICY: dict[str, str] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": f"'self' {ADMIN_LIST_STYLE}",
    "img-src": "'self' data:",  # the icons in the admin's style sheets
    "font-src": "'self'",
    "connect-src": "'self'",
    "media-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
# Django's own error pages, with the source of the error, have their style and script in them.
DEBUG_PAGES = (404, 500)

Answerer = Callable[[HttpRequest], HttpResponseBase]


def add_headers(answer: Answerer) -> Answerer:
    """Middleware: `Content-Security-Policy` for pages, and `Cache-Control: no-store` for whatever says nothing of caches.

    Recordings and static files say for how long they may be kept.
    """
    policy = "; ".join(f"{directive} {sources}" for directive, sources in POLICY.items())

    def with_headers(request: HttpRequest) -> HttpResponseBase:
        response = answer(request)
        response.headers.setdefault("Cache-Control", NO_STORE)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if is_page and not (settings.DEBUG and response.status_code in DEBUG_PAGES):
            response.headers.setdefault("Content-Security-Policy", policy)
        return response

    return with_headers


class AnswerOutages:
    """Middleware: a database or a disk that fails is a 503 with `Retry-After` also in the admin and for recordings.

    Views of the API see to it themselves, in the shape of their dialect (iris.api.exceptions).
    """

    def __init__(self, answer: Answerer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._answer(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer_outage(request, error)
