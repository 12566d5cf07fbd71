"""Who opens a page, for which account, and with which permissions. The account is part of the address of each page.

So two tabs can show two accounts, and a form is always for the account that its page showed. `page` is the only place
that checks permissions of pages. Pages show and read times in the time zone of the account.

    @page(Permission.SEND, methods=["POST"])
    def pause(request: ConsoleRequest, campaign_id: int) -> HttpResponse: ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, cast

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.utils import timezone
from django_htmx.http import HttpResponseClientRefresh

from accounts.account_settings import zone_of
from accounts.permissions import AccountKind, Permission, check, check_kind
from console.errors import error_page
from console.visits import ConsoleRequest, visit_of
from iris.errors import IrisError

SEEN_ACCOUNT = (
    "console_account"  # in the session: the account of the last page, for which the console opens again
)


View = Callable[..., HttpResponseBase]


def page(
    needed: Permission, *, only: AccountKind | None = None, methods: Sequence[str] = ("GET", "HEAD")
) -> Callable[[View], View]:
    """Declare the permission that a page needs, and the kind of account that has it. Errors of the domain become pages."""

    def decorate(view: View) -> View:
        @wraps(view)
        def enter(request: HttpRequest, account_id: int, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_sign_in(request, can_return="GET" in methods)
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            visiting = cast(ConsoleRequest, request)
            try:
                visiting.visit = visit_of(request.user, account_id)
                if only is not None:
                    check_kind(only, is_twin=visiting.visit.account.is_twin)
                check(visiting.visit.granted, needed)
                if request.session.get(SEEN_ACCOUNT) != account_id:
                    request.session[SEEN_ACCOUNT] = account_id
                with timezone.override(zone_of(visiting.visit.account)):
                    return view(visiting, *args, **kwargs)
            except IrisError as error:
                return error_page(visiting, error)

        enter.needs = needed  # type: ignore[attr-defined]
        enter.methods = tuple(methods)  # type: ignore[attr-defined]
        return enter

    return decorate


def _to_sign_in(request: HttpRequest, *, can_return: bool) -> HttpResponse:
    # A live part of a page cannot show the sign-in page in its place.
    if getattr(request, "htmx", False):
        return HttpResponseClientRefresh()
    return redirect_to_login(request.get_full_path() if can_return else "/")
