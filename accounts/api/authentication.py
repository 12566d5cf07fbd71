"""Authenticate requests by JSON web tokens, API keys and login cookies."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from django.db.models import Exists
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken, Token

from accounts import apikeys, audit, members, services
from accounts.api import cookies
from accounts.api.account import Access
from accounts.models import EndedLogin, Member, User
from accounts.permissions import Permission
from iris.errors import InvalidInput, NotAllowed, NotAuthenticated

# Claims that both tokens of a login carry. Tokens that older releases of iris issued have no such claims. Such a token
# counts as version 0, and as a separate login.
VERSION_CLAIM = "version"
LOGIN_CLAIM = "login"
# Claims with the account for which the login acts, and with the membership. A person who left and joined again has another
# membership, so old tokens do not become valid again. Tokens without these claims act for the account that their person
# joined first.
ACCOUNT_CLAIM = "account"
MEMBER_CLAIM = "member"
ACCOUNT_HEADER = "X-Account"  # header that selects another account for one request


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """The tokens of a login: a short-lived access token, and a refresh token that obtains the next access token."""

    refresh: str
    access: str


class BearerToken(JWTAuthentication):
    """`Authorization: Bearer <access token or API key>`. The scheme is case-insensitive (RFC 9110)."""

    schemes: ClassVar[frozenset[bytes]] = frozenset({b"bearer"})

    def get_header(self, request: Request | HttpRequest) -> bytes:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        return header.encode("latin-1", "replace") if isinstance(header, str) else header

    def get_raw_token(self, header: bytes) -> bytes | None:
        scheme, *rest = header.split() or [b""]
        if scheme.lower() not in self.schemes:
            return None
        if len(rest) != 1:
            raise AuthenticationFailed(code="bad_authorization_header")
        return rest[0]

    def authenticate(  # type: ignore[override]  # the second value is the access, and not the token
        self, request: Request
    ) -> tuple[User, Access] | None:
        credential = self.get_raw_token(self.get_header(request))
        return None if credential is None else self.access_of(request, credential)

    def access_of(self, request: Request, credential: bytes) -> tuple[User, Access]:
        """Return the person and the access for an access token or an API key."""
        if credential.count(b".") == 2:  # a JSON web token: API keys contain no dots
            return _access_of_token(request, self.get_validated_token(credential))
        return _access_of_key(request, credential.decode("latin-1"))


class BearerOrTokenScheme(BearerToken):
    """Some clients of v1 send `Token` instead of `Bearer`."""

    schemes = frozenset({b"bearer", b"token"})


class AccessCookie(BaseAuthentication):
    """The access token in the cookie that a login set in the browser."""

    def authenticate(self, request: Request) -> tuple[User, Access] | None:
        cookie = request.COOKIES.get(cookies.ACCESS)
        if not cookie:
            return None
        cookies.refuse_other_sites(request._request)
        validated = BearerToken().get_validated_token(cookie.encode("utf-8", "replace"))
        return _access_of_token(request, validated)


def issue_tokens(user: User, *, account_id: int | None = None) -> Tokens:
    """Issue tokens for a person who has just logged in. `SIMPLE_JWT` sets their lifetimes.

    The tokens are for this account, or else for the account that the person joined first. Raises `members.NotAMember`.
    """
    standing = members.standing_of(user=user, account_id=account_id)
    refresh = RefreshToken.for_user(user)
    refresh[VERSION_CLAIM] = user.token_version
    refresh[LOGIN_CLAIM] = refresh["jti"]
    refresh[ACCOUNT_CLAIM] = standing.account.pk
    refresh[MEMBER_CLAIM] = standing.member.pk
    return Tokens(refresh=str(refresh), access=str(refresh.access_token))


def sign_in(user: User, *, account_id: int | None = None) -> Tokens:
    """Issue tokens as `issue_tokens` does, and note the sign-in in the audit log of the account."""
    account = members.standing_of(user=user, account_id=account_id).account
    tokens = issue_tokens(user, account_id=account.pk)
    audit.note_sign_in(user=user, account_id=account.pk)
    return tokens


def refresh_access(refresh: str) -> str:
    """Return a new access token for a refresh token, which remains valid. Raises NotAuthenticated."""
    token = _refresh_token(refresh)
    user = None if token is None else _user_of(token)
    if token is None or user is None:
        raise _cannot_refresh()
    if not user.is_active:
        raise NotAuthenticated(_cannot_refresh().message, code="user_inactive")
    if not _is_current(token, user):
        raise _cannot_refresh()
    if MEMBER_CLAIM in token.payload:
        account_id, member_id = _claimed(token)
        if not Member.objects.acting_for(account_id or 0).filter(pk=member_id or 0, user=user).exists():
            raise _cannot_refresh()
    access = token.access_token
    access[LOGIN_CLAIM] = _login_of(token)  # so that ending the login ends both tokens
    return str(access)


def end_login(token: Token | None, *, refresh: str | None = None) -> None:
    """End the login of an access token: all its tokens are refused from now on.

    `refresh` is an additional refresh token of the same person, possibly of another login: that login ends too.
    Raises InvalidInput if the request was authenticated by an API key.
    """
    if token is None:
        raise InvalidInput(
            "An API key cannot be logged out, because it is not a login. To end all logins of the account, send "
            "everywhere=true. To revoke the key, generate a new one.",
            code="key_cannot_log_out",
        )
    services.end_login(login=_login_of(token))
    other = None if refresh is None else _refresh_token(refresh)
    if other is not None and _user_id(other) == _user_id(token):
        services.end_login(login=_login_of(other), expires=datetime.fromtimestamp(other["exp"], UTC))


def _access_of_token(request: Request, token: Token) -> tuple[User, Access]:
    """Return the person and the access of a token. Every request calls it.

    Executes one query for an account of which the person is a member, and two for a department or a test twin.
    """
    named = _named_account(request)
    account_id, member_id = _claimed(token) if named is None else (named, None)
    standing = members.standing(
        user_id=_user_id(token) or 0, login=_login_of(token), account_id=account_id, member_id=member_id
    )
    user = _user_of(token) if standing is None else standing.member.user
    if user is None:
        raise AuthenticationFailed(code="user_not_found")
    if not user.is_active:
        raise AuthenticationFailed(code="user_inactive")
    if not _is_current(token, user):
        raise AuthenticationFailed(code="token_not_valid")
    if standing is None:
        if named is None and MEMBER_CLAIM in token.payload:
            raise AuthenticationFailed(code="token_not_valid")  # the person has left the account
        raise members.not_a_member(named)
    members.refuse_suspended(standing.account)
    return user, Access(
        account=standing.account,
        granted=standing.granted,
        user_id=user.pk,
        is_owner=standing.is_owner,
        token=token,
    )


def _access_of_key(request: Request, credential: str) -> tuple[User, Access]:
    key = apikeys.find(credential)
    user = None if key is None else apikeys.person_of(key)
    if key is None or user is None:
        raise AuthenticationFailed(code="token_not_valid")
    named = _named_account(request)
    if named is not None and named != key.account_id:
        raise NotAllowed(
            f"This API key belongs to another account. Send no {ACCOUNT_HEADER} header, or a key of that account.",
            code="not_a_member",
        )
    members.refuse_suspended(key.account)
    return user, Access(
        account=key.account, granted=frozenset(Permission(scope) for scope in key.scopes), key=key
    )


def _claimed(token: Token) -> tuple[int | None, int | None]:
    """Return the account and the membership that a token names, 0 for an id that is invalid, or None if it names none."""
    if MEMBER_CLAIM not in token.payload:
        return None, None
    return _number(token, ACCOUNT_CLAIM) or 0, _number(token, MEMBER_CLAIM) or 0


def _user_of(token: Token) -> User | None:
    """Return the person of a token, or None if its login has ended."""
    user_id = _user_id(token)
    if user_id is None:
        return None
    return User.objects.filter(~Exists(EndedLogin.objects.filter(login=_login_of(token))), pk=user_id).first()


def _is_current(token: Token, user: User) -> bool:
    """Return whether the token was issued after the person's tokens were last ended."""
    return bool(user.token_version == token.payload.get(VERSION_CLAIM, 0))


def _user_id(token: Token) -> int | None:
    return _number(token, api_settings.USER_ID_CLAIM)


def _number(token: Token, claim: str) -> int | None:
    # An id that is not a number comes from another program that signs with the same key.
    return _as_id(str(token.payload.get(claim, ""))) or None


def _named_account(request: Request) -> int | None:
    """Return the account in the header, 0 if the header does not contain an id, or None without a header."""
    named = request.headers.get(ACCOUNT_HEADER, "").strip()
    return _as_id(named) if named else None


def _as_id(text: str) -> int:
    """Return the id in this text, or 0, which no row has."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else 0


def _login_of(token: Token) -> str:
    return str(token.payload.get(LOGIN_CLAIM) or token.payload.get(api_settings.JTI_CLAIM, ""))[:64]


def _refresh_token(refresh: str) -> RefreshToken | None:
    try:
        return RefreshToken(refresh)  # type: ignore[arg-type]  # the stub is wrong: it takes a str
    except TokenError:
        return None


def _cannot_refresh() -> NotAuthenticated:
    return NotAuthenticated(
        "The refresh token is invalid or has expired. Log in again.", code="token_not_valid"
    )
