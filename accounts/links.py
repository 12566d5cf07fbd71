"""Links that are mailed to people: to set a password, and to verify an e-mail address.

A web request only stores which link was asked for (`LinkRequest`). A worker looks up the person and writes the e-mail. So
the web request takes the same time whether or not the address belongs to somebody.
"""

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core import signing
from django.db import connection, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import int_to_base36

from accounts import counters, mail
from accounts.addresses import network_of
from accounts.counters import Rule
from accounts.models import Account, LinkRequest, User
from iris.errors import Throttled

HOUR, DAY = 3600, 86400
# Limits of requests for links. Beyond the limit of a network, its requests are refused. Beyond the limit of an e-mail
# address, requests for it are accepted but ignored. So nobody's inbox is flooded, and a client cannot find out whether
# others have requested links for the address.
PER_NETWORK = ((20, HOUR), (100, DAY))
PER_ADDRESS = ((3, HOUR), (10, DAY))
PER_ACCOUNT = ((100, DAY),)  # invitations of one account
VERIFICATION_DAYS = 3
SALT = "accounts.links.verification"
BATCH_SIZE = 100


class PasswordLinkTokens(PasswordResetTokenGenerator):
    """Tokens of links that set a password. A token ends when it has been used, and after `PASSWORD_RESET_TIMEOUT`.

    Unlike Django's tokens they survive logins, because API clients may log in at any moment.
    """

    key_salt = "accounts.links.PasswordLinkTokens"

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        return f"{user.pk}|{user.password}|{user.token_version}|{user.email}|{timestamp}"


tokens = PasswordLinkTokens()


class TooManyLinks(Throttled):
    """Too many links were requested from this network."""


def request_reset(*, email: str, address: str) -> None:
    """Request that a link for a new password is mailed to this e-mail address, if the address belongs to a person.

    `address` is the client's IP address. Raises TooManyLinks.
    """
    refused = counters.consume(_rules("links of network", network_of(address), PER_NETWORK))
    if refused:
        wait = int(counters.longest_wait(refused))
        raise TooManyLinks(
            f"Too many links were requested from your network. Wait {wait} seconds and try again.", wait=wait
        )
    _store(LinkRequest.Kind.RESET, email)


def request_verification(*, user: User) -> bool:
    """Request an e-mail to the person with a link that verifies the e-mail address.

    Returns False beyond the limit of the address.
    """
    return _store(LinkRequest.Kind.VERIFICATION, user.email)


def invite(*, user: User, account: Account) -> bool:
    """Request an e-mail that invites a person without a password to an account. Return whether it will be sent."""
    if not mail.is_configured() or user.has_usable_password() or not user.is_active:
        return False
    if counters.consume(_rules("invitations of account", account.pk, PER_ACCOUNT)):
        return False
    return _store(LinkRequest.Kind.INVITATION, user.email, account=account)


def write_requested() -> int:
    """Turn requests into e-mails. Return how many requests were handled. Safe to run concurrently."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """DELETE FROM accounts_linkrequest WHERE id IN (
                   SELECT id FROM accounts_linkrequest ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
            RETURNING kind, email, account_id""",
            [BATCH_SIZE],
        )
        requests = cursor.fetchall()
        for kind, email, account_id in requests:
            _write(kind, email, account_id)
    return len(requests)


def password_link(user: User) -> str:
    """Return the address of the page where this person sets a password."""
    path = reverse("account_reset_password_from_key", args=["UID", "KEY"])
    return settings.IRIS_PUBLIC_URL + path.replace(
        "UID-KEY", f"{int_to_base36(user.pk)}-{tokens.make_token(user)}"
    )


def verification_link(user: User) -> str:
    """Return the address of the page that verifies the e-mail address of this person."""
    key = signing.dumps([user.pk, user.email], salt=SALT)
    return settings.IRIS_PUBLIC_URL + reverse("signin-verify-email", args=[key])


def person_to_verify(key: str) -> User | None:
    """Return the person to whom the key of a verification link belongs.

    Returns None if the key is invalid or too old, if the person is deactivated, or if the person's e-mail address has
    changed since.
    """
    try:
        pk, email = signing.loads(key, salt=SALT, max_age=VERIFICATION_DAYS * DAY)
    except signing.BadSignature:
        return None
    return User.objects.filter(pk=pk, email=email, is_active=True).first()


def _write(kind: str, email: str, account_id: int | None) -> None:
    try:
        user = User.objects.get_by_natural_key(email)
    except User.DoesNotExist:
        return
    if not user.is_active:
        return
    context: dict[str, object] = {"user": user, "server": settings.IRIS_PUBLIC_URL}
    if kind == LinkRequest.Kind.VERIFICATION:
        context |= {"link": verification_link(user), "days": VERIFICATION_DAYS}
    else:
        context |= {"link": password_link(user), "days": settings.PASSWORD_RESET_TIMEOUT // DAY}
    if kind == LinkRequest.Kind.INVITATION:
        if user.has_usable_password():
            return  # accepted an earlier invitation
        context["account"] = Account.objects.filter(pk=account_id or 0).first()
    subject, _, body = render_to_string(f"accounts/mail/{kind}.txt", context).strip().partition("\n")
    mail.enqueue(to=user.email, subject=subject, body=body.strip() + "\n")


def _store(kind: LinkRequest.Kind, email: str, account: Account | None = None) -> bool:
    email = email.strip()[:254]
    accepted = not counters.consume(_rules("links of address", email.casefold(), PER_ADDRESS))
    if accepted:
        LinkRequest.objects.create(kind=kind, email=email, account=account)
    return accepted


def _rules(what: str, key: object, limits: tuple[tuple[int, int], ...]) -> list[Rule]:
    return [Rule(counters.key_of(what, key, seconds), limit, seconds) for limit, seconds in limits]
