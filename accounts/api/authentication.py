"""Who is asking: JSON web tokens, API keys, and the cookies of a login."""

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

# Claims that both tokens of a login carry. Tokens without them, which older versions issued, are of version 0 and have
# an id each.
VERSION_CLAIM = "version"
LOGIN_CLAIM = "login"


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What a login gives: a short-lived key to the API, and a longer-lived one to get the next."""

    refresh: str
    access: str


class BearerToken(JWTAuthentication):
    """`Authorization: Bearer <access token>`; the word in any capitals, as RFC 9110 has it."""

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

    def get_user(self, validated_token: Token) -> User:  # type: ignore[override]  # the one kind we have
        user = _account_of(validated_token)
        if user is None:
            raise AuthenticationFailed(code="user_not_found")
        if not _is_current(validated_token, _active(user)):
            raise AuthenticationFailed(code="token_not_valid")
        return user


class BearerTokenOrKey(BearerToken):
    """`Authorization: Bearer <access token or API key>`; some clients write `Token` for Bearer."""

    schemes = frozenset({b"bearer", b"token"})

    def authenticate(  # type: ignore[override]  # a key has no token behind it
        self, request: Request
    ) -> tuple[User, Token | None] | None:
        credential = self.get_raw_token(self.get_header(request))
        if credential is None:
            return None
        if credential.count(b".") == 2:  # a JSON web token, which no key of ours looks like
            validated = self.get_validated_token(credential)
            return self.get_user(validated), validated
        user = apikeys.owner_of(credential.decode("latin-1"))
        if user is None:
            raise AuthenticationFailed(code="token_not_valid")
        return _active(user), None


class AccessCookie(BaseAuthentication):
    """The access token that a login left in the browser."""

    def authenticate(self, request: Request) -> tuple[User, object] | None:
        cookie = request.COOKIES.get(cookies.ACCESS)
        if not cookie:
            return None
        cookies.refuse_other_sites(request._request)
        tokens = BearerToken()
        validated = tokens.get_validated_token(cookie.encode("utf-8", "replace"))
        return tokens.get_user(validated), validated


def issue_tokens(user: User) -> Tokens:
    """Tokens for an account that has just logged in; they live as long as `SIMPLE_JWT` says."""
    refresh = RefreshToken.for_user(user)
    refresh[VERSION_CLAIM] = user.token_version
    refresh[LOGIN_CLAIM] = refresh["jti"]
    return Tokens(refresh=str(refresh), access=str(refresh.access_token))


def refresh_access(refresh: str) -> str:
    """A new access token for a refresh token, which stays as it is. Raises NotAuthenticated."""
    token = _refresh_token(refresh)
    user = None if token is None else _account_of(token)
    if token is None or user is None:
        raise _cannot_refresh()
    if not user.is_active:
        raise NotAuthenticated(_cannot_refresh().message, code="user_inactive")
    if not _is_current(token, user):
        raise _cannot_refresh()
    access = token.access_token
    access[LOGIN_CLAIM] = _login_of(token)  # so that ending one of them ends both
    return str(access)


def end_login(token: object, *, refresh: str | None = None) -> None:
    """End the login of an access token, so that none of its tokens works any more.

    A refresh token of the same account that is sent along ends, too, whichever login it is of. Raises InvalidInput
    for an API key, which is no token.
    """
    if not isinstance(token, Token):
        raise InvalidInput(
            "An API key is no login and cannot be logged out. To end all logins of the account, send everywhere=true; "
            "to revoke the key, make a new one."
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
    """The account of a token, unless its login was ended. One query, which every request makes."""
    user_id = _user_id(token)
    if user_id is None:
        return None
    return User.objects.filter(~Exists(EndedLogin.objects.filter(login=_login_of(token))), pk=user_id).first()


def _is_current(token: Token, user: User) -> bool:
    """Whether the token was issued since the account's tokens were last ended."""
    return bool(user.token_version == token.payload.get(VERSION_CLAIM, 0))


def _user_id(token: Token) -> int | None:
    user_id = str(token.payload.get(api_settings.USER_ID_CLAIM, ""))
    # One that is no number was signed with our key by some other program.
    return int(user_id) if re.fullmatch("[0-9]{1,19}", user_id) else None


def _login_of(token: Token) -> str:
    return str(token.payload.get(LOGIN_CLAIM) or token.payload.get(api_settings.JTI_CLAIM, ""))[:64]


def _refresh_token(refresh: str) -> RefreshToken | None:
    try:
        return RefreshToken(refresh)  # type: ignore[arg-type]  # a str, whatever the stub says
    except TokenError:
        return None


def _cannot_refresh() -> NotAuthenticated:
    return NotAuthenticated(
        "The refresh token is invalid or has expired. Log in again.", code="token_not_valid"
    )
