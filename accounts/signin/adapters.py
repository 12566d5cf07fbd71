"""The hooks through which allauth lets the project check passwords, send e-mails and admit people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.stagekit import clear_login
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import hashing, services
from accounts.api.throttles import address_of
from accounts.models import User
from accounts.signin.sentences import sentence_of
from iris.errors import IrisError, NotAuthenticated, Throttled

BACKEND = "django.contrib.auth.backends.ModelBackend"


class AccountAdapter(DefaultAccountAdapter):
    """Admit people by the rules of the API's login."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _(
            "The e-mail address or the password is wrong. Check both and try again."
        ),
        "incorrect_password": _("The password is wrong. Try again."),
        "enter_current_password": _("This is not your current password. Try again."),
    }

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Return the person with this e-mail address and password, or None. Counts like a login to the API.

        Raises forms.ValidationError if a login limit is exceeded, or if the person's login is switched off.
        """
        try:
            user = services.check_credentials(
                email=credentials["email"], password=credentials["password"], address=address_of(request)
            )
        except services.WrongCredentials:
            return None
        except (NotAuthenticated, Throttled) as error:
            raise form_error(error) from error
        user.backend = BACKEND
        return user

    def reauthenticate(self, user: User, password: str) -> bool:
        return self.authenticate(self.request, email=user.email, password=password) is not None

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """Refuse people whose login is switched off, and people who have no account and are not operators."""
        refusal: HttpResponse | None = super().pre_login(request, user, **kwargs)
        if refusal is None and not user.is_staff and not user.memberships.exists():
            clear_login(request)
            refusal = render(request, "account/no_account.html", {"email": user.email}, status=403)
        return refusal

    def login(self, request: HttpRequest, user: User) -> None:
        user.backend = BACKEND
        super().login(request, user)
        end_session_in_time(request)

    def set_password(self, user: User, password: str) -> None:
        with hashing.slot(known=True):
            user.set_password(password)
        user.save(update_fields=["password"])

    def get_client_ip(self, request: HttpRequest) -> str:
        return address_of(request) or "0.0.0.0"

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_ajax(self, request: HttpRequest) -> bool:
        """Return whether to answer with JSON: only the script that fetches the challenge for a passkey gets JSON."""
        return request.method == "GET" and request.META.get("HTTP_ACCEPT") == "application/json"

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        # allauth reads addresses from its own table. In iris, each person has one address, in the row of the user.
        super().send_notification_mail(template_prefix, user, context, email or user.email)


class SecondFactorAdapter(DefaultMFAAdapter):
    def get_totp_issuer(self) -> str:
        return f"iris {self._get_site_name()}"

    def _get_user_identifier(self, user: User) -> str:
        return user.email

    def get_public_key_credential_user_entity(self, user: User) -> dict[str, Any]:
        entity: dict[str, Any] = super().get_public_key_credential_user_entity(user)
        return {**entity, "display_name": user.get_full_name() or user.email}

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return str(_("Key %(number)s") % {"number": number})

    def _get_site_name(self) -> str:
        return settings.IRIS_PUBLIC_URL.partition("://")[2]


def end_session_in_time(request: HttpRequest) -> None:
    """Let the session end IRIS_SESSION_HOURS after the sign-in, however active the person is."""
    request.session.set_expiry(timezone.now() + timedelta(hours=settings.IRIS_SESSION_HOURS))


def form_error(error: IrisError) -> forms.ValidationError:
    """Turn an error of iris into a form error with its sentence in the language of the person."""
    return forms.ValidationError(sentence_of(error), code=error.code)
