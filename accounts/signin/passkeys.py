"""The forms of passkeys and security keys. Unlike allauth's own, they refuse malformed input instead of failing."""

from __future__ import annotations

from typing import Any

from allauth.mfa.webauthn import forms as webauthn
from allauth.mfa.webauthn.internal import auth
from django import forms
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext_lazy as _

from accounts import audit
from accounts.signin import code_limits
from accounts.signin.adapters import form_error
from iris.errors import Throttled

MAX_CREDENTIAL_CHARACTERS = 16_384
MAX_NAME_CHARACTERS = 60
REFUSED = _("This key could not be checked. Try again, with a key that you have added to your sign-in.")


class Credential(forms.JSONField):
    """The answer of a key, as the browser encodes it: JSON in ASCII, without escapes."""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and (len(value) > MAX_CREDENTIAL_CHARACTERS or "\\u" in value):
            raise forms.ValidationError(REFUSED, code="invalid")
        try:
            decoded = super().to_python(value)
        except (RecursionError, ValueError) as error:
            raise forms.ValidationError(REFUSED, code="invalid") from error
        if decoded is not None and not isinstance(decoded, dict):
            raise forms.ValidationError(REFUSED, code="invalid")
        return decoded

    def bound_data(self, data: Any, initial: Any) -> Any:
        return None  # the page is shown again without the refused answer, which cannot be used twice

    def prepare_value(self, value: Any) -> Any:
        return ""


class _Checked(forms.Form):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["credential"] = Credential(widget=forms.HiddenInput)


class _Authentication(_Checked, webauthn.AuthenticateWebAuthnForm):
    def clean_credential(self) -> Any:
        try:
            return super().clean_credential()
        except forms.ValidationError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise forms.ValidationError(REFUSED, code="incorrect_code") from error


class _OfKnownPerson(_Authentication):
    """A key of a person who has entered the password. Refused answers are counted and logged like wrong codes."""

    def clean_credential(self) -> Any:
        try:
            with code_limits.code_attempt(self.user):
                return super().clean_credential()
        except Throttled as error:
            raise form_error(error) from error
        except forms.ValidationError:
            audit.note_failed_sign_in(user=self.user)
            raise


class SecondFactorForm(_OfKnownPerson):
    """The second step of a sign-in."""


class SignInForm(_Authentication, webauthn.LoginWebAuthnForm):
    """Sign in with a passkey alone."""


class AgainForm(_OfKnownPerson, webauthn.ReauthenticateWebAuthnForm):
    """Ask for a key before something important."""


class AddForm(_Checked, webauthn.AddWebAuthnForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = _("Name")
        self.fields["name"].widget.attrs["maxlength"] = MAX_NAME_CHARACTERS
        self.fields["name"].validators.append(MaxLengthValidator(MAX_NAME_CHARACTERS))
        self.fields["passwordless"].label = _(
            "Sign in with this key alone, without e-mail address and password"
        )
        self.fields["passwordless"].help_text = _("The key then asks for your fingerprint, face or PIN.")

    def clean(self) -> dict[str, Any]:
        try:
            cleaned: dict[str, Any] = super().clean() or {}
            if credential := cleaned.get("credential"):
                # Check that the stored key can be read later, because an unreadable key would lock the person out.
                read = auth.parse_registration_response(credential)
                if read.response.attestation_object.auth_data.credential_data is None:
                    raise forms.ValidationError(REFUSED, code="incorrect_code")
        except forms.ValidationError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise forms.ValidationError(REFUSED, code="incorrect_code") from error
        return cleaned
