"""The messages of the sandbox at `/sandbox/messages`.

A test twin sees its own messages, on every server. Where the inbox is open to everyone (`IRIS_SANDBOX_INBOX`, as in
`manage.py sandbox`), all other requests see the messages of all accounts.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from accounts.api.account import Access, account_of
from accounts.api.authentication import BearerToken
from accounts.api.permissions import needs
from accounts.permissions import AccountKind, Permission
from iris.api import idempotency
from iris.api.views import V0View
from iris.errors import InvalidInput, IrisError
from telephony.carriers.sandbox import views


class OwnMessages(V0View):
    """List or hide the messages of the test twin for which a request acts. Errors have the envelope of v0."""

    retries = idempotency.IGNORED

    @needs(Permission.VIEW, only=AccountKind.TEST)
    def get(self, request: Request) -> HttpResponseBase:
        try:
            rows = views.listed(request._request, owner_id=account_of(request).pk)
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        return JsonResponse(rows, safe=False, json_dumps_params={"ensure_ascii": False})

    @needs(Permission.SEND, only=AccountKind.TEST)
    def delete(self, request: Request) -> HttpResponseBase:
        views.hide(owner_id=account_of(request).pk)
        return HttpResponse(status=204)


_own_messages = OwnMessages.as_view()


@csrf_exempt
def messages(request: HttpRequest) -> HttpResponseBase:
    has_credential = "Authorization" in request.headers
    if has_credential and (not settings.IRIS_SANDBOX_INBOX or _is_for_twin(request)):
        return _own_messages(request)
    return views.messages(request)


def _is_for_twin(request: HttpRequest) -> bool:
    """Return whether a request acts for a test twin. Where the inbox is open to everyone, no credential is needed."""
    try:
        found = BearerToken().authenticate(Request(request))
    except (APIException, IrisError):
        return False
    return found is not None and isinstance(found[1], Access) and found[1].account.is_twin


urlpatterns = [
    path("messages", messages, name="sandbox-messages"),
    path("messages/", messages),
]
