"""The verbs of accounts: create, find, log in, end logins. For credits see `accounts.credits`."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.contrib.auth.models import update_last_login
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts import credits, logins
from accounts.models import EndedLogin, User
from iris.errors import Conflict, InvalidInput, NotAuthenticated, NotFound


class WrongCredentials(NotAuthenticated):
    """The e-mail address or the password is wrong. The error does not reveal which."""

    default_code = "wrong_credentials"


class InactiveAccount(NotAuthenticated):
    """The password is right, but the operator has deactivated the account."""

    default_code = "user_inactive"


def create_account(
    *,
    email: str,
    password: str | None = None,
    first_name: str = "",
    last_name: str = "",
    username: str = "",
    contact_number: str = "",
    address: str = "",
    opening_credits: Decimal = Decimal(0),
) -> User:
    """Create an account with `opening_credits`. Without a password, nobody can log in to it.

    Raises InvalidInput (invalid e-mail address or amount) and Conflict (the address or the username is taken).
    """
    try:
        validate_email(email)
    except ValidationError as error:
        raise InvalidInput(
            f"{email!r} is not an e-mail address: it must look like name@example.com.",
            errors=[{"field": "email", "message": "Not an e-mail address."}],
        ) from error
    try:
        with transaction.atomic():
            user = User.objects.create_user(
                email,
                password,
                username=username,
                first_name=first_name,
                last_name=last_name,
                contact_number=contact_number,
                address=address,
            )
            if opening_credits:
                credits.top_up(
                    user=user, amount=opening_credits, cause=f"account:{user.pk}", note="Opening credits"
                )
    except IntegrityError as error:
        taken = (
            "username" if username and User.objects.filter(username=username).exists() else "e-mail address"
        )
        raise Conflict(f"There is already an account with this {taken}. Choose another one.") from error
    return user


def find_account(*, email: str) -> User:
    """Return the account with this e-mail address, case-insensitively. Raises NotFound."""
    try:
        return User.objects.get_by_natural_key(email.strip())
    except User.DoesNotExist as error:
        raise NotFound(f"There is no account with the e-mail address {email}.") from error


def log_in(*, email: str, password: str, address: str = "127.0.0.1") -> User:
    """Check the credentials and return their account. `address` is the client's IP address.

    Raises WrongCredentials, InactiveAccount, and Throttled after too many failures or during too many other logins.
    """
    try:
        user: User | None = find_account(email=email)
    except NotFound:
        user = None
    with logins.attempt(account=user, email=email, address=address):
        if user is None:
            # Hash the password although it is not needed, so that the response time does not reveal whether an account
            # exists.
            User().set_password(password)
            raise _wrong_credentials()
        if not user.check_password(password):
            raise _wrong_credentials()
    if not user.is_active:
        raise InactiveAccount("This account is switched off. Ask the operator of this server.")
    update_last_login(sender=User, user=user)
    return user


def end_login(*, login: str, expires: datetime | None = None) -> None:
    """End one login: its access and refresh tokens are refused from now on. `expires` is when the last of them expires."""
    # The refresh token of a current login was issued in the past, so it expires before a token that is issued now.
    expires = expires or timezone.now() + settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"]
    EndedLogin.objects.bulk_create([EndedLogin(login=login, ends_at=expires)], ignore_conflicts=True)


def end_all_logins(*, user_ids: Iterable[int]) -> None:
    """End all logins of these accounts. API keys remain valid; `accounts.apikeys.revoke_all` revokes them."""
    User.objects.filter(pk__in=user_ids).update(token_version=F("token_version") + 1)


def prune_ended_logins() -> None:
    """Delete ended logins whose tokens have expired."""
    EndedLogin.objects.filter(ends_at__lte=timezone.now()).delete()


def _wrong_credentials() -> WrongCredentials:
    return WrongCredentials("The e-mail address or the password is wrong. Check both and try again.")
