"""Let an operator look at the pages of an account as its members see them, for a short time and without changing anything.

The account's audit log shows who looked, when and why. The visit is stored in the operator's session. It has the permission
to view, so it shows no keys, no recorded answers, and nothing to export.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.models import Account, User
from accounts.permissions import Permission
from console.visits import Visit
from iris.errors import InvalidInput, NotAllowed

MINUTES = 30
MAX_REASON = 200
_KEY = "console_support"  # in the session: the account, and until when
_STEPS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
_GRANTED = frozenset({Permission.VIEW})


class SecondFactorNeeded(NotAllowed):
    """Only operators with two-step sign-in look at accounts of others."""

    default_code = "second_factor_needed"


def begin(request: HttpRequest, *, account: Account, reason: str) -> None:
    """Begin a visit of MINUTES minutes. Raises SecondFactorNeeded, and InvalidInput if there is no reason."""
    reason = " ".join(reason.split())[:MAX_REASON]
    if not is_mfa_enabled(request.user, _STEPS):
        raise SecondFactorNeeded(
            "Set up two-step sign-in first. Only then can you look at an account as its members do."
        )
    if not reason:
        raise InvalidInput("Say why you look at this account. The account sees the reason.")
    until = timezone.now() + timedelta(minutes=MINUTES)
    audit.note(
        account_id=account.pk,
        action="support_began",
        kind="account",
        object_id=account.pk,
        name=account.name,
        reason=reason,
        minutes=MINUTES,
    )
    request.session[_KEY] = {"account": account.pk, "until": until.isoformat()}


def end(request: HttpRequest) -> None:
    """End the visit, if there is one."""
    visit = request.session.pop(_KEY, None)
    if visit is not None:
        audit.note(
            account_id=visit["account"], action="support_ended", kind="account", object_id=visit["account"]
        )


def visit_of(request: HttpRequest, account_id: int) -> Visit | None:
    """Return the operator's visit to this account, or None if there is none or if its time is over."""
    stored = request.session.get(_KEY)
    if stored is None or stored["account"] != account_id or not admin.site.has_permission(request):
        return None
    until = datetime.fromisoformat(stored["until"])
    account = Account.objects.filter(pk=account_id).first()
    if account is None or timezone.now() >= until:
        return None
    return Visit(
        account=account, user=cast(User, request.user), granted=_GRANTED, is_owner=False, support_until=until
    )
