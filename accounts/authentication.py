"""Who is asking: JSON web tokens, API keys, and the cookies of a login."""

import re
from dataclasses import dataclass
from typing import ClassVar

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken, Token

from accounts import apikeys, cookies
from accounts.models import User
from iris.errors import NotAuthenticated


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
        return _active(user)


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
    return Tokens(refresh=str(refresh), access=str(refresh.access_token))


def refresh_access(refresh: str) -> str:
    """A new access token for a refresh token, which stays as it is. Raises NotAuthenticated."""
    try:
        token = RefreshToken(refresh)  # type: ignore[arg-type]  # a str, whatever the stub says
    except TokenError as error:
        raise _cannot_refresh() from error
    user = _account_of(token)
    if user is None:
        raise _cannot_refresh()
    if not user.is_active:
        raise NotAuthenticated(_cannot_refresh().message, code="user_inactive")
    return str(token.access_token)


def _active(user: User) -> User:
    if not user.is_active:
        raise AuthenticationFailed(code="user_inactive")
    return user


def _account_of(token: Token) -> User | None:
    user_id = str(token.payload.get(api_settings.USER_ID_CLAIM, ""))
    # One that is no number was signed with our key by some other program.
    return User.objects.filter(pk=int(user_id)).first() if re.fullmatch("[0-9]{1,19}", user_id) else None


def _cannot_refresh() -> NotAuthenticated:
    return NotAuthenticated(
        "The refresh token is invalid or has expired. Log in again.", code="token_not_valid"
    )
