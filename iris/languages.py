"""The language and the digits of pages. People choose them; everything that is not a page is always in English."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

ENGLISH = "en"
# Only these pages are translated. Sentences of the API are read by programs and by people who search for them.
PAGES = ("/console/", "/accounts/", "/language/")
DIGITS_COOKIE, LATIN, NATIVE = "iris_digits", "latin", "native"
COOKIE_SECONDS = 400 * 86400  # browsers keep no cookie for longer

_digits: ContextVar[str] = ContextVar("iris_digits", default=NATIVE)

Answerer = Callable[[HttpRequest], HttpResponseBase]


def speak_language(answer: Answerer) -> Answerer:
    """Middleware: answer pages in the language of the person: as chosen, or else as the browser asks."""

    def with_language(request: HttpRequest) -> HttpResponseBase:
        if not is_page(request.path):
            with translation.override(ENGLISH):
                return answer(request)
        language = translation.get_language_from_request(request)
        chosen = _digits.set(LATIN if request.COOKIES.get(DIGITS_COOKIE) == LATIN else NATIVE)
        try:
            with translation.override(language):
                response = answer(request)
        finally:
            _digits.reset(chosen)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response

    return with_language


def is_page(path: str) -> bool:
    """Return whether this path is a page that people read in their language."""
    return path == "/" or path.startswith(PAGES)


def uses_latin_digits() -> bool:
    """Return whether the person wants to read numbers in the digits 0 to 9 whatever the language is."""
    return _digits.get() == LATIN


@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Keep the chosen language and digits in cookies for COOKIE_SECONDS, and return to the page `next`."""
    target = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        target = "/"
    response = redirect(target)
    for cookie, value, known in (
        (settings.LANGUAGE_COOKIE_NAME, request.POST.get("language"), dict(settings.LANGUAGES)),
        (DIGITS_COOKIE, request.POST.get("digits"), (LATIN, NATIVE)),
    ):
        if value and value in known:
            response.set_cookie(
                cookie,
                value,
                max_age=COOKIE_SECONDS,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
    return response
