from dataclasses import asdict
from typing import cast

from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit, services
from accounts.api import authentication
from accounts.api.account import access_of
from accounts.api.permissions import needs
from accounts.api.throttles import address_of
from accounts.api.v0.serializers import (
    LoginSerializer,
    LogoutSerializer,
    RefreshSerializer,
    UserDataSerializer,
    UserDetailsSerializer,
)
from accounts.models import User
from accounts.permissions import Permission, check
from iris.api import idempotency
from iris.api.envelope import success
from iris.api.views import V0View


class LoginView(V0View):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()  # `accounts.login_limits` limits login attempts instead

    def post(self, request: Request) -> Response:
        form = LoginSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        account_id = form.validated_data.pop("account", None)
        user = services.log_in(**form.validated_data, address=address_of(request))
        tokens = authentication.sign_in(user, account_id=account_id)
        return success(
            {"token": asdict(tokens), "user_data": UserDataSerializer(user).data},
            message="Successfully logged in",
        )


class LogoutView(V0View):
    # A retry of a logout is refused with 401 because its token has ended, before the header Idempotency-Key is read. So
    # the header is ignored.
    retries = idempotency.IGNORED

    @needs(None)
    def post(self, request: Request) -> Response:
        form = LogoutSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        end_logins(request, **form.validated_data)
        return success(message="Successfully logged out")


class UserDetailsView(V0View):
    @needs(None)
    def get(self, request: Request) -> Response:
        return success({"user_details": UserDetailsSerializer(cast(User, request.user)).data})


class RefreshView(V0View):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        form = RefreshSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        # TingTing documents this response without the envelope.
        return Response({"access": authentication.refresh_access(form.validated_data["refresh"])})


def end_logins(request: Request, *, everywhere: bool = False, refresh: str | None = None) -> None:
    """End the login that authenticated this request, or all logins of its person."""
    access = access_of(request)
    if everywhere:
        if access.key is not None:  # a key that may only send must not end the logins of people
            check(access.granted, Permission.MANAGE_ACCOUNT, by_key=True)
        services.end_all_logins(user_ids=[cast(User, request.user).pk])
    else:
        authentication.end_login(access.token, refresh=refresh)
        audit.note_sign_out(user=cast(User, request.user), account_id=access.account.pk)
