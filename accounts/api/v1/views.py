"""Logins, API keys and the profile in the v1 dialect."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response

from accounts import apikeys, services
from accounts.api import authentication, cookies
from accounts.api.account import access_of, account_of
from accounts.api.permissions import needs
from accounts.api.retries import CREATED_KEY
from accounts.api.throttles import address_of
from accounts.api.v0.serializers import LoginSerializer, LogoutSerializer
from accounts.api.v0.views import end_logins
from accounts.models import User
from accounts.permissions import KEY_SCOPES, Permission
from iris.api import idempotency
from iris.api.views import V1View
from iris.errors import InvalidInput, NotAuthenticated, NotFound


class Login(V1View):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()  # `accounts.login_limits` limits login attempts instead

    def post(self, request: Request) -> Response:
        cookies.refuse_other_sites(request._request)
        sent = LoginSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        account_id = sent.validated_data.pop("account", None)
        user = services.log_in(**sent.validated_data, address=address_of(request))
        tokens = authentication.sign_in(user, account_id=account_id)
        # The cookies contain the tokens, as documented. The body contains them too, for clients that keep no cookies.
        answer = Response(
            {
                "has_logged_in": True,
                "message": "Login Successful",
                "access": tokens.access,
                "refresh": tokens.refresh,
            }
        )
        cookies.keep(answer, name=cookies.ACCESS, token=tokens.access)
        cookies.keep(answer, name=cookies.REFRESH, token=tokens.refresh)
        return answer


class Logout(V1View):
    """End the login and delete its cookies."""

    # A retry of a logout is refused with 401 because its token has ended, before the header Idempotency-Key is read. So
    # the header is ignored.
    retries = idempotency.IGNORED

    @needs(None)
    def post(self, request: Request) -> Response:
        sent = LogoutSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        end_logins(request, **{"refresh": request.COOKIES.get(cookies.REFRESH), **sent.validated_data})
        answer = Response({"message": "Logout Successful"})
        cookies.forget(answer)
        return answer


class Refresh(V1View):
    """Issue a new access token for the refresh token in the body or in the cookie."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        sent = cast(Any, request.data).get("refresh")
        if not sent and (sent := request.COOKIES.get(cookies.REFRESH)):
            cookies.refuse_other_sites(request._request)
        if not sent:
            raise InvalidInput("No refresh token provided", code="no_refresh_token")
        if not isinstance(sent, str):
            raise InvalidInput("Invalid token payload.", code="invalid_refresh_token")
        try:
            access_token = authentication.refresh_access(sent)
        except NotAuthenticated as error:
            inactive = error.code == "user_inactive"
            raise NotAuthenticated(
                "Account is not activated." if inactive else "Failed To Refresh The Session", code=error.code
            ) from error
        answer = Response({"message": "Session Refreshed Successfully", "access": access_token})
        cookies.keep(answer, name=cookies.ACCESS, token=access_token)
        return answer


class GenerateKey(V1View):
    """Generate the account's key for v1.

    The new key gets every key scope that the person or the key behind the request has.
    """

    retries = CREATED_KEY  # a repeated request does not get the key again

    @needs(Permission.MANAGE_ACCOUNT)
    def post(self, request: Request) -> Response:
        access = access_of(request)
        key = apikeys.generate(
            account=access.account,
            created_by=cast(User, request.user),
            scopes=[scope for scope in KEY_SCOPES if scope in access.granted],
        )
        return Response({"token": key, "message": "New API token generated successfully"})


class Key(V1View):
    """Show only the beginning of the key.

    The documented response shows the whole key, but the database stores only its beginning and its hash.
    """

    @needs(Permission.MANAGE_ACCOUNT)
    def get(self, request: Request) -> Response:
        key = apikeys.current(account=account_of(request))
        if key is None:
            raise NotFound("No API token found. Please generate one first.", code="no_api_key")
        return Response(
            {
                "token": key.beginning + 56 * "*",
                "last_used": _utc(key.last_used_at),
                "created_at": _utc(key.created_at),
            }
        )


class Profile(V1View):
    @needs(None)
    def get(self, request: Request) -> Response:
        user = cast(User, request.user)
        return Response(
            {
                "id": user.pk,
                "user": {
                    "first_name": user.first_name,
                    "last_name": user.last_name,
                    "username": user.username,
                    "email": user.email,
                },
                "profile_picture": None,
                "contact_no": user.contact_number,
                "address": user.address,
                "is_verified_contact": user.is_verified_phone,
            }
        )


def _utc(moment: datetime | None) -> str | None:
    """Format a time in UTC with a Z. TingTing documents this format for API keys, but not for the other times of v1."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
