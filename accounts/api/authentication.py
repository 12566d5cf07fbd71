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

from accounts import apikeys, services
from accounts.api import cookies
from accounts.models import EndedLogin, User
from iris.errors import InvalidInput, NotAuthenticated

# Claims that both tokens of a login carry. Tokens of older versions lack them: they count as version 0, and each is a
# login of its own.
VERSION_CLAIM = "version"
LOGIN_CLAIM = "login"


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """The tokens of a login: a short-lived access token, and a refresh token that obtains the next access token."""

    refresh: str
    access: str


class BearerToken(JWTAuthentication):
    """`Authorization: Bearer <access token>`. The scheme is case-insensitive (RFC 9110)."""

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

    def get_user(self, validated_token: Token) -> User:  # type: ignore[override]  # our only user model
        user = _account_of(validated_token)
        if user is None:
            raise AuthenticationFailed(code="user_not_found")
        if not _is_current(validated_token, _active(user)):
            raise AuthenticationFailed(code="token_not_valid")
        return user


class BearerTokenOrKey(BearerToken):
    """`Authorization: Bearer <access token or API key>`. Some clients send `Token` instead of `Bearer`."""

    schemes = frozenset({b"bearer", b"token"})

    def authenticate(  # type: ignore[override]  # no token for an API key
        self, request: Request
    ) -> tuple[User, Token | None] | None:
        credential = self.get_raw_token(self.get_header(request))
        if credential is None:
            return None
        if credential.count(b".") == 2:  # a JSON web token: API keys contain no dots
            validated = self.get_validated_token(credential)
            return self.get_user(validated), validated
        user = apikeys.owner_of(credential.decode("latin-1"))
        if user is None:
            raise AuthenticationFailed(code="token_not_valid")
        return _active(user), None


class AccessCookie(BaseAuthentication):
    """The access token in the cookie that a login set in the browser."""

    def authenticate(self, request: Request) -> tuple[User, object] | None:
        cookie = request.COOKIES.get(cookies.ACCESS)
        if not cookie:
            return None
        cookies.refuse_other_sites(request._request)
        tokens = BearerToken()
        validated = tokens.get_validated_token(cookie.encode("utf-8", "replace"))
        return tokens.get_user(validated), validated


def issue_tokens(user: User) -> Tokens:
    """Issue tokens for an account that has just logged in. `SIMPLE_JWT` sets their lifetimes."""
    refresh = RefreshToken.for_user(user)
    refresh[VERSION_CLAIM] = user.token_version
    refresh[LOGIN_CLAIM] = refresh["jti"]
    return Tokens(refresh=str(refresh), access=str(refresh.access_token))


def refresh_access(refresh: str) -> str:
    """Return a new access token for a refresh token, which remains valid. Raises NotAuthenticated."""
    token = _refresh_token(refresh)
    user = None if token is None else _account_of(token)
    if token is None or user is None:
        raise _cannot_refresh()
    if not user.is_active:
        raise NotAuthenticated(_cannot_refresh().message, code="user_inactive")
    if not _is_current(token, user):
        raise _cannot_refresh()
    access = token.access_token
    access[LOGIN_CLAIM] = _login_of(token)  # so that ending the login ends both tokens
    return str(access)


def end_login(token: object, *, refresh: str | None = None) -> None:
    """End the login of an access token: all its tokens are refused from now on.

    `refresh` is an additional refresh token of the same account, possibly of another login: that login ends too.
    Raises InvalidInput if the request was authenticated by an API key.
    """
    if not isinstance(token, Token):
        raise InvalidInput(
            "An API key cannot be logged out, because it is not a login. To end all logins of the account, send "
            "everywhere=true. To revoke the key, generate a new one."
        )
    services.end_login(login=_login_of(token))
    other = None if refresh is None else _refresh_token(refresh)
    if other is not None and _user_id(other) == _user_id(token):
        services.end_login(login=_login_of(other), expires=datetime.fromtimestamp(other["exp"], UTC))


def _active(user: User) -> User:
    if not user.is_active:
        raise AuthenticationFailed(code="user_inactive")
    return user


def _account_of(token: Token) -> User | None:
    """Return the account of a token, or None if its login has ended. Executes one query, as every request calls it."""
    user_id = _user_id(token)
    if user_id is None:
        return None
    return User.objects.filter(~Exists(EndedLogin.objects.filter(login=_login_of(token))), pk=user_id).first()


def _is_current(token: Token, user: User) -> bool:
    """Return whether the token was issued after the account's tokens were last ended."""
    return bool(user.token_version == token.payload.get(VERSION_CLAIM, 0))


def _user_id(token: Token) -> int | None:
    user_id = str(token.payload.get(api_settings.USER_ID_CLAIM, ""))
    # An id that is not a number comes from another program that signs with the same key.
    return int(user_id) if re.fullmatch("[0-9]{1,19}", user_id) else None


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
