"""The site of the admin pages. It has no login of its own: operators sign in like everybody else."""

from __future__ import annotations

from typing import Any

from allauth.account.utils import get_next_redirect_url
from allauth.core.internal.httpkit import add_query_params
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

STEPS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]


class OperatorSite(AdminSite):
    def has_permission(self, request: HttpRequest) -> bool:
        """Admit operators. With IRIS_STAFF_SECOND_FACTOR, only those who have set up two-step sign-in."""
        return super().has_permission(request) and not self._lacks_second_factor(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send the operator to the sign-in page, and back. Say why a person who has signed in is not admitted."""
        if self.has_permission(request):
            return redirect(get_next_redirect_url(request) or reverse("admin:index", current_app=self.name))
        if request.user.is_authenticated:
            lacks = super().has_permission(request)  # an operator, but without two-step sign-in
            return render(request, "accounts/no_operator.html", {"lacks_second_factor": lacks}, status=403)
        target = get_next_redirect_url(request) or reverse("admin:index", current_app=self.name)
        return redirect(add_query_params(reverse(settings.LOGIN_URL), {REDIRECT_FIELD_NAME: target}))

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return redirect("account_change_password")

    def _lacks_second_factor(self, request: HttpRequest) -> bool:
        return settings.IRIS_STAFF_SECOND_FACTOR and not is_mfa_enabled(request.user, STEPS)
