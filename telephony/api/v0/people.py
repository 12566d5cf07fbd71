"""Export and erasure of what an account stores about a person. TingTing's API has none; this is an addition of iris."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import access_of, account_of
from accounts.api.permissions import needs
from accounts.models import PersonRequest
from accounts.models.people import RequestKind, RequestStage
from accounts.people import requests
from accounts.permissions import Permission
from iris.api.envelope import success
from iris.api.fields import validated
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet
from telephony import people
from telephony.api.fields import Number
from telephony.media import recording_url


class OneNumber(serializers.Serializer[Any]):
    """The phone number of the person."""

    number = Number()


class PeopleViewSet(V0ViewSet):
    @needs(Permission.MANAGE_ACCOUNT)
    def export(self, request: Request) -> Response:
        return _asked(request, RequestKind.EXPORT)

    @needs(Permission.MANAGE_ACCOUNT)
    def erase(self, request: Request) -> Response:
        return _asked(request, RequestKind.ERASE)

    @needs(Permission.MANAGE_ACCOUNT)
    def list(self, request: Request) -> Response:
        """List the requests, the newest first, without the results of exports."""
        rows = PersonRequest.objects.filter(account=account_of(request)).defer("result").order_by("-pk")
        page = paginate(request, rows)
        shown = [request_json(one) for one in page.items]
        return success({"pagination": page.pagination, "requests": shown})

    @needs(Permission.MANAGE_ACCOUNT)
    def retrieve(self, request: Request, request_id: int) -> Response:
        one = requests.request_of(account=account_of(request), pk=request_id)
        shown = request_json(one)
        if one.kind == RequestKind.EXPORT:
            shown["result"] = _with_addresses(one.result, request) if one.stage == RequestStage.DONE else None
        return success({"request": shown})


def _asked(request: Request, kind: RequestKind) -> Response:
    number = validated(OneNumber(data=request.data))["number"]
    one = people.ask(account=account_of(request), kind=kind, number=number)
    return success(
        {"request": request_json(one)}, status=202, message="This is carried out in the background."
    )


def request_json(one: PersonRequest) -> dict[str, Any]:
    """Return a request. It never has the number, which an erasure removes."""
    finished = one.finished_at
    return {
        "id": one.pk,
        "kind": one.kind,
        "status": "done" if one.stage == RequestStage.DONE else "running",
        "waits_for": one.waits_for or None,
        "found": one.found,
        "requested_at": timezone.localtime(one.requested_at).isoformat(),
        "finished_at": None if finished is None else timezone.localtime(finished).isoformat(),
    }


def _with_addresses(result: dict[str, Any] | None, request: Request) -> dict[str, Any] | None:
    """Replace the names of recordings by their addresses, or remove them if the request may not listen."""
    listens = Permission.LISTEN in access_of(request).granted
    for recipient in (result or {}).get("recipients", ()):
        for answer in recipient["answers"]:
            name = answer["recording"]
            answer["recording"] = recording_url(name, request._request) if name and listens else None
            answer["recorded"] = bool(name)
    return result
