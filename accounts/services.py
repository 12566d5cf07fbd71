"""Create accounts, find people, log in, and end logins.

For credits see `accounts.credits`, for the people of an account `accounts.members`.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.models import update_last_login
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Value
from django.db.models.functions import Lower
from django.utils import timezone

from accounts import audit, credits, departments, login_limits, transfers
from accounts.models import Account, EndedLogin, Member, User
from iris.errors import Conflict, InvalidInput, NotAllowed, NotAuthenticated, NotFound

WRONG_CREDENTIALS = "The e-mail address or the password is wrong. Check both and try again."


class WrongCredentials(NotAuthenticated):
    """The e-mail address or the password is wrong. The error does not reveal which."""

    default_code = "wrong_credentials"


class InactiveAccount(NotAuthenticated):
    """The password is right, but the operator has deactivated the person."""

    default_code = "user_inactive"


class SecondFactorNeeded(NotAllowed):
    """The password is right, but this person uses two-step sign-in."""

    default_code = "second_factor_needed"


def create_account(
    *,
    email: str,
    password: str | None = None,
    username: str = "",
    name: str = "",
    opening_credits: Decimal = Decimal(0),
    parent: Account | None = None,
    **fields: Any,
) -> Account:
    """Create a person and an account that the person owns, with `opening_credits`. Return the account.

    Without a password, the person cannot log in. Without a name, the account is called by the e-mail address. With a
    `parent`, it is a department of that account, which gives it the opening credits. `fields` are those of the person, such
    as `first_name`.
    Raises InvalidInput (invalid e-mail address or amount), Conflict (the address or the username is taken, or the parent
    cannot have departments) and InsufficientCredits (of the parent).
    """
    check_email(email)
    try:
        with transaction.atomic():
            user = _unclaimed(email)
            if user is None:
                user = User.objects.create_user(email, password, username=username, **fields)
            else:
                user.username = username or user.username
                for field, value in fields.items():
                    setattr(user, field, value)
                user.set_password(password)
                user.save()
            account = open_account(user=user, name=name, parent=parent)
            if opening_credits:
                _give_opening_credits(account, opening_credits)
    except IntegrityError as error:
        taken = (
            "username" if username and User.objects.filter(username=username).exists() else "e-mail address"
        )
        raise Conflict(
            f"There is already an account with this {taken}. Choose another one.", code="address_taken"
        ) from error
    return account


def _give_opening_credits(account: Account, amount: Decimal) -> None:
    cause, note = f"account:{account.pk}", "Opening credits"
    if account.parent is None:
        credits.top_up(account=account, amount=amount, cause=cause, note=note)
    else:
        transfers.transfer(source=account.parent, target=account, amount=amount, cause=cause, note=note)


def _unclaimed(email: str) -> User | None:
    """Lock and return the person with this address who owns no account and cannot have logged in yet, or None.

    Members create such people when they add them. Without this function, nobody could create an account for such an address.
    """
    user = (
        User.objects.select_for_update(of=("self",))
        .alias(lowered=Lower("email"))
        .filter(lowered=Lower(Value(email.strip())), last_login=None)
        .exclude(memberships__is_owner=True)
        .first()
    )
    return None if user is None or user.has_usable_password() else user


def open_account(*, user: User, name: str = "", parent: Account | None = None) -> Account:
    """Create an account that this person owns, or a department. Raises Conflict if the parent cannot have departments.

    The first account of a person has the id of the person, as in the previous release. It counts as the first account that
    the person joined, so logins act for it even if members of other accounts have added the person before.
    """
    with transaction.atomic():
        # The lock makes a simultaneous second call wait, so that only one account gets the person's id.
        User.objects.select_for_update(of=("self",)).get(pk=user.pk)
        if parent is not None:
            departments.check_parent(parent)
        account = Account(name=name or user.email, parent=parent)
        if not Account.objects.filter(pk=user.pk).exists():
            account.pk = user.pk
        account.save(force_insert=True)
        if parent is not None:
            departments.note_created(account)
        joined = user.date_joined if account.pk == user.pk else timezone.now()
        Member.objects.create(account=account, user=user, is_owner=True, joined_at=joined)
    return account


def check_email(email: str) -> None:
    """Raise InvalidInput unless this is an e-mail address."""
    try:
        validate_email(email)
    except ValidationError as error:
        raise InvalidInput(
            f"{email!r} is not an e-mail address: it must look like name@example.com.",
            errors=[{"field": "email", "message": "Not an e-mail address."}],
            code="invalid_email",
        ) from error


def find_user(*, email: str) -> User:
    """Return the person with this e-mail address, case-insensitively. Raises NotFound."""
    try:
        return User.objects.get_by_natural_key(email.strip())
    except User.DoesNotExist as error:
        raise NotFound(
            f"There is no account with the e-mail address {email}.", code="no_such_person"
        ) from error


def find_account(*, email: str) -> Account:
    """Return the account that this person owns. Raises NotFound, and Conflict if there are several."""
    user = find_user(email=email)
    owned = list(Account.objects.filter(members__user=user, members__is_owner=True).order_by("pk")[:20])
    if not owned:
        raise NotFound(f"{user.email} does not own an account.")
    if len(owned) > 1:
        names = ", ".join(f"{account.pk} ({account})" for account in owned)
        raise Conflict(f"{user.email} owns several accounts: {names}. Give the number of one of them.")
    return owned[0]


def chosen_account(text: str) -> Account:
    """Return the account with this number, or the account whose owner has this e-mail address.

    Raises NotFound and Conflict.
    """
    if not (text.isascii() and text.isdecimal()):
        return find_account(email=text)
    account = Account.objects.filter(pk=int(text[:18])).first()
    if account is None:
        raise NotFound(f"There is no account with the number {text}.")
    return account


def log_in(*, email: str, password: str, address: str = "127.0.0.1") -> User:
    """Log in to the API: check the credentials and return the person. `address` is the client's IP address.

    The API has no second step, so people with two-step sign-in cannot log in to it: a stolen password would be enough.
    Raises WrongCredentials, InactiveAccount, SecondFactorNeeded, and Throttled after too many failures or during too many
    other logins.
    """
    user = check_credentials(email=email, password=password, address=address)
    if has_second_factor(user):
        raise SecondFactorNeeded(
            "This person uses two-step sign-in, and the login of the API has only one step. Use an API key."
        )
    update_last_login(sender=User, user=user)
    return user


def has_second_factor(user: User) -> bool:
    """Return whether this person has set up an authenticator app or a key."""
    steps = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return bool(Authenticator.objects.filter(user=user, type__in=steps).exists())


def remove_second_factor(*, user: User) -> bool:
    """Remove a person's second factors, and end all logins. Return whether the person had a second factor."""
    with transaction.atomic():
        removed, _ = Authenticator.objects.filter(user=user).delete()
        end_all_logins(user_ids=[user.pk])
    return bool(removed)


def check_credentials(*, email: str, password: str, address: str) -> User:
    """Return the person with this e-mail address and password. `address` is the client's IP address.

    Raises WrongCredentials, InactiveAccount, and Throttled after too many failures or during too many other logins.
    """
    try:
        user: User | None = find_user(email=email)
    except NotFound:
        user = None
    with login_limits.attempt(user=user, email=email, address=address):
        if user is None:
            # Hash the password although it is not needed, so that the response time does not reveal whether an account
            # exists.
            User().set_password(password)
            audit.note_failed_sign_in(user=None)
            raise _wrong_credentials()
        if not user.check_password(password):
            audit.note_failed_sign_in(user=user)
            raise _wrong_credentials()
    if not user.is_active:
        raise InactiveAccount("This account is switched off. Ask the operator of this server.")
    return user


def end_login(*, login: str, expires: datetime | None = None) -> None:
    """End one login: its access and refresh tokens are refused from now on. `expires` is when the last of them expires."""
    # The refresh token of a current login was issued in the past, so it expires before a token that is issued now.
    expires = expires or timezone.now() + settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"]
    EndedLogin.objects.bulk_create([EndedLogin(login=login, ends_at=expires)], ignore_conflicts=True)


def end_all_logins(*, user_ids: Iterable[int]) -> None:
    """End all logins of these people. API keys remain valid; `accounts.apikeys.revoke_all` revokes them."""
    User.objects.filter(pk__in=user_ids).update(token_version=F("token_version") + 1)


def prune_ended_logins() -> None:
    """Delete ended logins whose tokens have expired."""
    EndedLogin.objects.filter(ends_at__lte=timezone.now()).delete()


def prune_sessions() -> None:
    """Delete browser sessions that have ended, and the rows about them."""
    Session.objects.filter(expire_date__lte=timezone.now()).delete()
    UserSession.objects.filter(
        ~Exists(Session.objects.filter(session_key=OuterRef("session_key"))),
        created_at__lt=timezone.now()
        - timedelta(minutes=1),  # the session of a younger row may not be stored yet
    ).delete()


def _wrong_credentials() -> WrongCredentials:
    return WrongCredentials(WRONG_CREDENTIALS)
