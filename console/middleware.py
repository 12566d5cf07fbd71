"""Refuse what is larger than any page sends, before it is read."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from console.errors import error_page
from iris.errors import TooLarge

PREFIX = "/console/"
STRANGERS_BYTES = 64 * 1024  # of somebody who has not signed in


def limit_bodies(
    answer: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: answer a 413 to forms and files beyond the limits of the API. It follows the authentication."""

    def with_limit(request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(PREFIX) and _length_of(request) > _limit_of(request):
            return error_page(
                request, TooLarge(_("This is larger than the server accepts. Send it in parts."))
            )
        return answer(request)

    return with_limit


def _limit_of(request: HttpRequest) -> int:
    if not request.user.is_authenticated:
        return STRANGERS_BYTES
    has_files = request.META.get("CONTENT_TYPE", "").startswith("multipart/")
    limit: int = settings.IRIS_MAX_UPLOAD_BYTES if has_files else settings.IRIS_MAX_BODY_BYTES
    return limit


def _length_of(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdecimal()):
        return 0
    return int(length[:18])
