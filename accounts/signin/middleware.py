"""Show errors of the sign-in pages as pages."""

import math
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from accounts.signin.sentences import sentence_of
from accounts.signin.views import error_page
from iris.errors import IrisError, Throttled

PREFIX = "/accounts/"
MAX_BODY_BYTES = 64 * 1024


class ErrorPages:
    """Middleware for the paths below `/accounts/`: refuse large bodies, and show errors of iris as pages."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(PREFIX) and _length_of(request) > MAX_BODY_BYTES:
            sentence = _("The form is larger than any that this page sends. Go back and try again.")
            return error_page(request, title=_("The form is too large"), sentence=sentence, status=413)
        return self._answer(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not request.path.startswith(PREFIX) or not isinstance(error, IrisError):
            return None
        throttled = isinstance(error, Throttled)
        page = error_page(
            request,
            title=_("Please wait") if throttled else _("That did not work"),
            sentence=sentence_of(error),
            status=429 if throttled else 400,
        )
        if isinstance(error, Throttled) and error.wait is not None:
            page.headers["Retry-After"] = str(math.ceil(error.wait))
        return page


def _length_of(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isascii() and length.isdecimal() else 0
