"""The forms of the sign-in pages: allauth's, with the limits of iris."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from allauth.account import forms as account_forms
from allauth.account.adapter import get_adapter
from allauth.mfa.base import forms as mfa_forms
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import validate_totp_code
from django import forms
from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts import audit, links
from accounts.api.throttles import address_of
from accounts.audit_triggers import BY_LINK
from accounts.models import User
from accounts.signin import code_limits
from accounts.signin.adapters import end_session_in_time, form_error
from iris.errors import Throttled

MAX_PASSWORD_CHARACTERS = 1024  # as in the API
MAX_CODE_CHARACTERS = 40


class _ShortPasswords(forms.Form):
    """A form whose passwords have a maximum length, because a long one is cheap to send and expensive to check."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field.widget, forms.PasswordInput):
                field.validators.append(MaxLengthValidator(MAX_PASSWORD_CHARACTERS))
                field.widget.attrs.pop("placeholder", None)
                if field.widget.attrs.get("autocomplete") == "current-password":
                    field.help_text = ""


class SignInForm(_ShortPasswords, account_forms.LoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("E-mail address")
        self.fields["login"].widget.attrs = {
            "type": "email",
            "autocomplete": "username webauthn",
            "autofocus": True,
        }
        email, _space, password = settings.IRIS_DEMO_LOGIN.partition(" ")
        if email and password:
            self.fields["login"].initial = email
            self.fields["password"].widget.attrs["value"] = password

    def login(self, request: HttpRequest, redirect_url: str | None = None) -> HttpResponse:
        response: HttpResponse = super().login(request, redirect_url=redirect_url)
        if request.user.is_authenticated:
            end_session_in_time(request)  # set again, because allauth has just set another time
        return response


class PasswordAgainForm(_ShortPasswords, account_forms.ReauthenticateForm):
    """Ask for the password again before something important."""


class NewPasswordForm(_ShortPasswords, account_forms.ChangePasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["oldpassword"].label = _("Current password")
        _label_new_password(self.fields)

    def clean_oldpassword(self) -> str:
        """Check the present password, with the limits of a login."""
        password: str = self.cleaned_data["oldpassword"]
        if not get_adapter().reauthenticate(self.user, password):
            raise get_adapter().validation_error("enter_current_password")
        return password


class FirstPasswordForm(_ShortPasswords, account_forms.ResetPasswordKeyForm):
    """Set a password with a link that was mailed to the person. So the address is verified, too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _label_new_password(self.fields)

    def save(self) -> None:
        with transaction.atomic():
            with _password_by_link():
                super().save()
            User.objects.filter(pk=self.user.pk).update(is_verified_email=True)


@contextmanager
def _password_by_link() -> Iterator[None]:
    """For the audit log, mark passwords that are set inside the block as set by a link. Use it in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, 'yes', true)", [BY_LINK])
        yield
        cursor.execute("SELECT set_config(%s, '', true)", [BY_LINK])


class ForgottenPasswordForm(account_forms.ResetPasswordForm):
    """Ask for a link by e-mail. The answer is the same for every address."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = _("E-mail address")
        self.fields["email"].widget.attrs.pop("placeholder", None)

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        try:
            links.request_reset(email=email, address=address_of(get_adapter().request))
        except Throttled as error:
            raise form_error(error) from error
        return email

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        return str(self.cleaned_data["email"])


class _LimitedCode(mfa_forms.BaseAuthenticateForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        prepare_code(self.fields["code"])

    def clean_code(self) -> str:
        """Accept a code of the authenticator app, or a recovery code. Each code works once."""
        code = "".join(self.cleaned_data["code"].split())
        try:
            with code_limits.code_attempt(self.user):
                self.authenticator = self._find(code)
        except Throttled as error:
            raise form_error(error) from error
        return code

    def _find(self, code: str) -> Authenticator:
        for authenticator in Authenticator.objects.filter(
            user=self.user, type__in=(Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
        ):
            if authenticator.type == Authenticator.Type.TOTP:
                right = validate_totp_code(authenticator.data["secret"], code) and code_limits.is_first_use(
                    self.user, code
                )
            else:
                right = authenticator.wrap().validate_code(code)
            if right:
                authenticator.user = self.user
                return authenticator
        audit.note_failed_sign_in(user=self.user)
        raise forms.ValidationError(
            _(
                "The code is wrong or was used before. Enter the present code of your authenticator app, or one of your "
                "recovery codes."
            ),
            code="incorrect_code",
        )


class CodeForm(_LimitedCode, mfa_forms.AuthenticateForm):
    """The second step of a sign-in."""


class CodeAgainForm(_LimitedCode, mfa_forms.ReauthenticateForm):
    """Ask for a code before something important."""


class ActivateTotpForm(ActivateTOTPForm):
    """Set up an authenticator app: the code proves that the app has the secret."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        prepare_code(self.fields["code"])

    def clean_code(self) -> str:
        code = "".join(self.cleaned_data["code"].split())
        try:
            with code_limits.code_attempt(self.user):
                if not validate_totp_code(self.secret, code):
                    raise forms.ValidationError(
                        _(
                            "The code is wrong. Scan the picture again, and check that the clock of your phone is right."
                        ),
                        code="incorrect_code",
                    )
        except Throttled as error:
            raise form_error(error) from error
        return code


def _label_new_password(fields: Mapping[str, forms.Field]) -> None:
    fields["password1"].label, fields["password2"].label = _("New password"), _("New password, once more")


def prepare_code(field: forms.Field) -> None:
    """Describe the field of a code to browsers: a number that must not be stored."""
    field.label = _("Code")
    field.validators.append(MaxLengthValidator(MAX_CODE_CHARACTERS))
    field.widget.attrs = {"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}
