"""What can be done with an account, apart from money (`accounts.credits`)."""

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
    """No account has this e-mail address and password together; which of the two is wrong is not told."""

    default_code = "wrong_credentials"


class InactiveAccount(NotAuthenticated):
    """The password is right, but the operator has switched the account off."""

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
    """Open an account, with some credits to begin with. Without a password nobody can log in to it.

    Raises InvalidInput (no e-mail address, no amount) and Conflict (the address or username is taken).
    """
    try:
        validate_email(email)
    except ValidationError as error:
        raise InvalidInput(
            f"{email!r} is no e-mail address: it must look like name@example.com.",
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
    """The account with this e-mail address, whatever its capitals. Raises NotFound."""
    try:
        return User.objects.get_by_natural_key(email.strip())
    except User.DoesNotExist as error:
        raise NotFound(f"There is no account with the e-mail address {email}.") from error


def log_in(*, email: str, password: str, address: str = "127.0.0.1") -> User:
    """The account these credentials belong to. `address` is where they come from.

    Raises WrongCredentials and InactiveAccount, and Throttled after too many failures or while too many log in.
    """
    try:
        user: User | None = find_account(email=email)
    except NotFound:
        user = None
    with logins.attempt(account=user, email=email, address=address):
        if user is None:
            # Hashed for nothing, so that the time of an answer does not tell which addresses have an account.
            User().set_password(password)
            raise _wrong_credentials()
        if not user.check_password(password):
            raise _wrong_credentials()
    if not user.is_active:
        raise InactiveAccount("This account is switched off. Ask the operator of this server.")
    update_last_login(sender=User, user=user)
    return user


def end_login(*, login: str, expires: datetime | None = None) -> None:
    """End one login of an account: its access and refresh tokens are refused from now on."""
    # The refresh token of a login that is alive now was issued earlier, so it expires earlier.
    expires = expires or timezone.now() + settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"]
    EndedLogin.objects.bulk_create([EndedLogin(login=login, ends_at=expires)], ignore_conflicts=True)


def end_all_logins(*, user_ids: Iterable[int]) -> None:
    """End every login of these accounts. API keys stay: `accounts.apikeys.revoke_of`."""
    User.objects.filter(pk__in=user_ids).update(token_version=F("token_version") + 1)


def prune_ended_logins() -> None:
    """Forget ended logins whose tokens have expired by now."""
    EndedLogin.objects.filter(ends_at__lte=timezone.now()).delete()


def _wrong_credentials() -> WrongCredentials:
    return WrongCredentials("The e-mail address or the password is wrong. Check both and try again.")
