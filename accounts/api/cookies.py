"""A login that a browser keeps: the cookies `access` and `refresh`, and whether to believe them.

Pages of other sites can make a browser send requests, cookies included. `SameSite=Lax` keeps the cookies out of most
of these, `refuse_other_sites` refuses the rest: what changes something must come from a page of this server.
"""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from iris.errors import NotAuthenticated

ACCESS, REFRESH = "access", "refresh"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def keep(response: HttpResponseBase, *, name: str, token: str) -> None:
    """Let the browser keep a token as long as it is good for, out of the reach of scripts."""
    lifetime = settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME" if name == ACCESS else "REFRESH_TOKEN_LIFETIME"]
    response.set_cookie(
        name,
        token,
        max_age=lifetime,
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )


def forget(response: HttpResponseBase) -> None:
    """Let the browser delete both tokens."""
    for name in (ACCESS, REFRESH):
        response.delete_cookie(name, samesite="Lax")


def refuse_other_sites(request: HttpRequest) -> None:
    """Raises NotAuthenticated when a page of another site sent this request, and it is one that changes something."""
    if request.method not in SAFE_METHODS and not _is_from_here(request):
        raise NotAuthenticated(
            "A page of another site sent this request, so the login kept by this browser does not count. Send the "
            "access token as: Authorization: Bearer <token>.",
            code="cross_site",
        )


def _is_from_here(request: HttpRequest) -> bool:
    """What browsers say of where a request comes from. Other programs say nothing: nobody makes them send cookies."""
    site = request.headers.get("Sec-Fetch-Site")
    if site in {"same-origin", "none"}:
        return True
    origin = request.headers.get("Origin")
    if origin is None:
        return site is None
    return origin in settings.CSRF_TRUSTED_ORIGINS or (
        site is None and urlsplit(origin).netloc == request.get_host()
    )
