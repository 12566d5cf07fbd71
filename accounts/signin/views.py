"""The pages that allauth does not have: the start page of a person, e-mail verification, and error pages."""

from __future__ import annotations

from typing import Any, cast

from allauth.account.views import PasswordResetView
from allauth.mfa.utils import is_mfa_enabled
from allauth.mfa.webauthn.views import LoginWebAuthnView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts import links, mail
from accounts.api.throttles import address_of
from accounts.models import User
from accounts.signin import code_limits

PRESETS = {
    "viewer": gettext_lazy("viewer"),
    "author": gettext_lazy("author"),
    "sender": gettext_lazy("sender"),
    "manager": gettext_lazy("manager"),
    "owner": gettext_lazy("owner"),
    "custom": gettext_lazy("own choice of permissions"),
}


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Show who has signed in, their accounts, and the pages of their sign-in."""
    user = cast(User, request.user)
    return render(
        request,
        "accounts/home.html",
        {
            "members": [
                (member, PRESETS.get(member.preset, member.preset))
                for member in user.memberships.select_related("account")
            ],
            "second_factor": is_mfa_enabled(user),
            "can_verify": mail.is_configured() and not user.is_verified_email,
        },
    )


@require_POST
@login_required
def send_verification(request: HttpRequest) -> HttpResponse:
    if not mail.is_configured():
        messages.error(request, _("This server sends no e-mails. Ask its operator."))
    elif links.request_verification(user=cast(User, request.user)):
        messages.success(request, _("A link is on its way. It can take a minute."))
    else:
        messages.error(request, _("Several links were sent to this address already. Try again in an hour."))
    return redirect("signin-home")


@require_http_methods(["GET", "HEAD", "POST"])
def verify_email(request: HttpRequest, key: str) -> HttpResponse:
    """Verify an e-mail address by the link that was mailed to it. Only a POST changes anything: scanners open links, too."""
    user = links.person_to_verify(key)
    if user is None:
        return render(request, "accounts/verify_email.html", {"email": None}, status=410)
    if request.method == "POST":
        User.objects.filter(pk=user.pk, email=user.email).update(is_verified_email=True)
        messages.success(request, _("%(email)s is verified.") % {"email": user.email})
        return redirect("signin-home")
    return render(request, "accounts/verify_email.html", {"email": user.email})


class ForgottenPassword(PasswordResetView):
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "sends_mail": mail.is_configured()}


class PasskeySignIn(LoginWebAuthnView):
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        code_limits.count_passkey_attempt(address_of(request))
        return cast(HttpResponseBase, super().dispatch(request, *args, **kwargs))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that was sent without the token of its page."""
    sentence = _(
        "This page was open for too long, was opened by another site, or your browser refuses cookies. Go back, load the "
        "page again, and repeat what you did. Nothing was changed."
    )
    return error_page(request, title=_("The form was not accepted"), sentence=sentence, status=403)


def error_page(request: HttpRequest, *, title: str, sentence: str, status: int) -> HttpResponse:
    context = {"title": title, "sentence": sentence, "home": settings.LOGIN_REDIRECT_URL}
    return render(request, "accounts/error.html", context, status=status)


passkey_sign_in = method_decorator(require_http_methods(["GET", "POST"]), name="dispatch")(
    PasskeySignIn
).as_view()
forgotten_password = ForgottenPassword.as_view()
