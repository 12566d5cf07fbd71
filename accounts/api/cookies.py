"""The login cookies `access` and `refresh`, and their protection against cross-site request forgery (CSRF).

Pages of other sites can make a browser send requests with its cookies. `SameSite=Lax` omits the cookies from most of
these requests. `refuse_other_sites` refuses the remaining ones: only pages of this server may send requests that
change something.
"""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from iris.errors import NotAuthenticated

ACCESS, REFRESH = "access", "refresh"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def keep(response: HttpResponseBase, *, name: str, token: str) -> None:
    """Set a token as a cookie that lasts as long as the token and that scripts cannot read."""
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
    """Delete both cookies."""
    for name in (ACCESS, REFRESH):
        response.delete_cookie(name, samesite="Lax")


def refuse_other_sites(request: HttpRequest) -> None:
    """Raise NotAuthenticated if a page of another site sent this request and its method is not safe."""
    if request.method not in SAFE_METHODS and not _is_same_origin(request):
        raise NotAuthenticated(
            "A page of another site sent this request, so the login cookie is ignored. Send the access token as: "
            "Authorization: Bearer <token>.",
            code="cross_site",
        )


def _is_same_origin(request: HttpRequest) -> bool:
    """Return whether the request comes from a page of this server, or not from a browser.

    Browsers send Sec-Fetch-Site or Origin. Other programs send neither, and no page can make them send cookies.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site in {"same-origin", "none"}:
        return True
    origin = request.headers.get("Origin")
    if origin is None:
        return site is None
    return origin in settings.CSRF_TRUSTED_ORIGINS or (
        site is None and urlsplit(origin).netloc == request.get_host()
    )
