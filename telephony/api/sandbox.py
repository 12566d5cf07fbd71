"""The messages of the sandbox at `/sandbox/messages`, what their recipients do, and the faults of the sandbox.

A test twin sees its own messages, and has its own faults, on every server. Where the inbox is open to everyone
(`IRIS_SANDBOX_INBOX`, as in `manage.py sandbox`), all other requests see the messages of all accounts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import Access, account_of
from accounts.api.authentication import BearerToken
from accounts.api.permissions import needs
from accounts.permissions import AccountKind, Permission
from iris.api import idempotency
from iris.api.envelope import success
from iris.api.fields import Text, validated
from iris.api.views import V0View, with_and_without_slash
from iris.errors import InvalidInput, IrisError
from telephony import sandbox_phone
from telephony.carriers.sandbox import fates, inbox, views


class Reply(serializers.Serializer[Any]):
    """What the recipient of an SMS writes."""

    text = Text(max_length=sandbox_phone.MAX_CHARACTERS)


class Keys(serializers.Serializer[Any]):
    """What the recipient of a call presses."""

    keys = Text(max_length=sandbox_phone.MAX_KEYS)


def _whole_number(largest: int) -> serializers.IntegerField:
    kinds = ("invalid", "min_value", "max_value", "max_string_length")
    return serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=largest,
        error_messages=dict.fromkeys(kinds, f"This must be a whole number from 0 to {largest}."),
    )


class NewFaults(serializers.Serializer[Any]):
    """The faults of the sandbox. Those that are not sent are switched off, so a misspelt name is refused."""

    busy = _whole_number(100)
    lost = _whole_number(100)
    throttled = _whole_number(100)
    latency_seconds = _whole_number(fates.MAX_LATENCY_SECONDS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(self.initial_data) - set(self.fields)):
            raise serializers.ValidationError(
                {unknown[0]: f"This is not known here. The faults are {', '.join(self.fields)}."}
            )
        shares = sum(attrs.get(name, 0) for name in ("busy", "lost", "throttled"))
        if shares > 100:
            raise serializers.ValidationError(
                f"busy, lost and throttled are shares in per cent. Together they are {shares}; at most 100 are possible."
            )
        return attrs


class SandboxView(V0View):
    """A view of the sandbox for the test twin for which a request acts. Errors have the envelope of v0.

    The views whose names begin with Open are for everyone, where the inbox is open to everyone.
    """

    retries = idempotency.IGNORED

    def owner_of(self, request: Request) -> int | None:
        """Return the account whose messages these are; None for those of all accounts."""
        return account_of(request).pk


class OwnMessages(SandboxView):
    """List or hide the messages of a test twin."""

    @needs(Permission.VIEW, only=AccountKind.TEST)
    def get(self, request: Request) -> HttpResponseBase:
        try:
            rows = views.listed(request._request, owner_id=self.owner_of(request))
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        return JsonResponse(rows, safe=False, json_dumps_params={"ensure_ascii": False})

    @needs(Permission.SEND, only=AccountKind.TEST)
    def delete(self, request: Request) -> HttpResponseBase:
        inbox.hide(self.owner_of(request))
        return HttpResponse(status=204)


class OwnReplies(SandboxView):
    @needs(Permission.SEND, only=AccountKind.TEST)
    def post(self, request: Request, message_id: int) -> Response:
        message = sandbox_phone.find_message(message_id, owner_id=self.owner_of(request))
        sandbox_phone.reply(message=message, text=validated(Reply(data=request.data))["text"])
        return success(message="The reply is received as an SMS.")


class OwnKeys(SandboxView):
    @needs(Permission.SEND, only=AccountKind.TEST)
    def post(self, request: Request, message_id: int) -> Response:
        message = sandbox_phone.find_message(message_id, owner_id=self.owner_of(request))
        sandbox_phone.press(message=message, keys=validated(Keys(data=request.data))["keys"])
        return success(message="The keys are pressed.")


class OwnFaults(SandboxView):
    @needs(Permission.VIEW, only=AccountKind.TEST)
    def get(self, request: Request) -> Response:
        return success({"faults": asdict(fates.faults_of(self.owner_of(request) or fates.EVERYBODY))})

    @needs(Permission.SEND, only=AccountKind.TEST)
    def put(self, request: Request) -> Response:
        faults = fates.Faults(**validated(NewFaults(data=request.data)))
        fates.set_faults(self.owner_of(request) or fates.EVERYBODY, faults)
        return success({"faults": asdict(faults)}, message="The faults hold for what is sent from now on.")


class Open:
    """Makes a view one for everyone, about the messages of all accounts."""

    authentication_classes: Any = ()
    permission_classes: Any = ()

    def owner_of(self, request: Request) -> int | None:
        return None


class OpenMessages(Open, OwnMessages):
    pass


class OpenReplies(Open, OwnReplies):
    pass


class OpenKeys(Open, OwnKeys):
    pass


class OpenFaults(Open, OwnFaults):
    pass


View = Callable[..., HttpResponseBase]


def door(own: View, open_to_all: View) -> View:
    """Return a view that leads test twins to their own messages, and others to those of all accounts, if these are open."""

    @csrf_exempt
    def enter(request: HttpRequest, **ids: int) -> HttpResponseBase:
        has_credential = "Authorization" in request.headers
        if has_credential and (not settings.IRIS_SANDBOX_INBOX or _is_for_twin(request)):
            return own(request, **ids)
        views.require_open_inbox()
        return open_to_all(request, **ids)

    enter.cls = own.cls  # type: ignore[attr-defined]  # the schema describes the view for test twins
    return enter


def _is_for_twin(request: HttpRequest) -> bool:
    """Return whether a request acts for a test twin. Where the inbox is open to everyone, no credential is needed."""
    try:
        found = BearerToken().authenticate(Request(request))
    except (APIException, IrisError):
        return False
    return found is not None and isinstance(found[1], Access) and found[1].account.is_twin


ROUTES: dict[str, tuple[str, View]] = {
    "messages": ("sandbox-messages", door(OwnMessages.as_view(), OpenMessages.as_view())),
    "messages/<id:message_id>/reply": ("sandbox-reply", door(OwnReplies.as_view(), OpenReplies.as_view())),
    "messages/<id:message_id>/press": ("sandbox-press", door(OwnKeys.as_view(), OpenKeys.as_view())),
    "faults": ("sandbox-faults", door(OwnFaults.as_view(), OpenFaults.as_view())),
}
urlpatterns = [
    pattern for route, (name, view) in ROUTES.items() for pattern in with_and_without_slash(route, view, name)
]
