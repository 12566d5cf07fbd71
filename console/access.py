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

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.utils import timezone
from django_htmx.http import HttpResponseClientRefresh

from accounts.account_settings import zone_of
from accounts.members import NotAMember
from accounts.permissions import AccountKind, Permission, check, check_kind
from console import support
from console.errors import error_page
from console.visits import ConsoleRequest, Visit, visit_of
from iris.errors import IrisError, NotAllowed, NotFound

SAFE = ("GET", "HEAD")
SEEN_ACCOUNT = (
    "console_account"  # in the session: the account of the last page, for which the console opens again
)


View = Callable[..., HttpResponseBase]


def page(
    needed: Permission,
    *,
    only: AccountKind | None = None,
    methods: Sequence[str] = ("GET", "HEAD"),
    exports: bool = False,
) -> Callable[[View], View]:
    """Declare the permission that a page needs, and the kind of account that has it. Errors of the domain become pages.

    `exports` says that the answer is a file with data of the account. Operators who look at an account do not get it.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def enter(request: HttpRequest, account_id: int, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_sign_in(request, can_return="GET" in methods)
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            visiting = cast(ConsoleRequest, request)
            try:
                visiting.visit = _visit(visiting, account_id)
                if visiting.visit.support_until is not None and (exports or request.method not in SAFE):
                    raise NotAllowed(
                        "You look at this account as its operator, so you can only read.", code="only_a_visit"
                    )
                if only is not None:
                    check_kind(only, is_twin=visiting.visit.account.is_twin)
                check(visiting.visit.granted, needed)
                if visiting.visit.support_until is None and request.session.get(SEEN_ACCOUNT) != account_id:
                    request.session[SEEN_ACCOUNT] = account_id
                with timezone.override(zone_of(visiting.visit.account)):
                    return view(visiting, *args, **kwargs)
            except IrisError as error:
                return error_page(visiting, error)

        enter.needs = needed  # type: ignore[attr-defined]
        enter.methods = tuple(methods)  # type: ignore[attr-defined]
        return enter

    return decorate


def _visit(request: ConsoleRequest, account_id: int) -> Visit:
    """Return the visit of a member, or of an operator who has begun to look at the account. Raises NotAMember."""
    try:
        return visit_of(request.user, account_id)
    except NotAMember:
        visit = support.visit_of(request, account_id)
        if visit is None:
            raise
        return visit


def operator_page(*needed: str, methods: Sequence[str] = ("GET", "HEAD")) -> Callable[[View], View]:
    """Declare the permissions of the admin pages that a page of the operator area needs, such as `accounts.change_account`.

    Operators enter it under the same conditions as the admin pages. For everybody else it does not exist.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def enter(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_sign_in(request, can_return="GET" in methods)
            if not admin.site.has_permission(request):
                # The page of the admin says why: no operator, or no two-step sign-in.
                if request.user.is_staff:
                    return admin.site.login(request)
                return error_page(request, NotFound("This page does not exist."))
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            try:
                if not request.user.has_perms(needed):
                    raise NotAllowed("Your login may not do this. Ask another operator.")
                return view(request, *args, **kwargs)
            except IrisError as error:
                return error_page(request, error)

        enter.methods = tuple(methods)  # type: ignore[attr-defined]
        return enter

    return decorate


def _to_sign_in(request: HttpRequest, *, can_return: bool) -> HttpResponse:
    # A live part of a page cannot show the sign-in page in its place.
    if getattr(request, "htmx", False):
        return HttpResponseClientRefresh()
    return redirect_to_login(request.get_full_path() if can_return else "/")
