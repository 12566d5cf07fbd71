"""A small API that the tests of v0 views call in all wrong ways."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions as drf
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from iris import errors
from iris.api import parsers
from iris.api.envelope import success
from iris.api.views import V0View, with_and_without_slash


class Open(V0View):
    reads = parsers.LIST_AND_FILES
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()


class EchoView(Open):
    """Respond with the parsed request."""

    def answer(self, request: Request) -> Response:
        data: Any = request.data
        understood = {key: data.getlist(key) if hasattr(data, "getlist") else data[key] for key in data}
        files = {key: [file.name, file.size] for key, file in request.FILES.items()}
        return success({"understood": {**understood, **files}})

    get = post = put = patch = delete = answer


class FormSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=5)
    numbers = serializers.ListField(
        child=serializers.DictField(child=serializers.IntegerField()), required=False
    )

    def validate(self, attrs: Any) -> Any:
        if attrs["name"] == "both":
            raise serializers.ValidationError("Send one of them.")
        return attrs


class FormView(Open):
    def post(self, request: Request) -> Response:
        FormSerializer(data=request.data).is_valid(raise_exception=True)
        return success()


class LittleView(Open):
    """A view without a body limit of its own, which accepts only small bodies."""

    reads = V0View.reads

    def post(self, request: Request) -> Response:
        return success({"read": len(request.data)})


class ThingView(Open):
    def get(self, request: Request, pk: int) -> Response:
        if pk == 7:
            return success({"pk": pk})
        raise Http404

    delete = get


class TextView(Open):
    def get(self, request: Request, text: str) -> Response:
        return success({"text": text})


class Nameless(errors.IrisError):
    pass


RAISED: dict[str, Exception] = {
    "invalid": errors.InvalidInput(
        "Send a name for this thing.", errors=[{"field": "name", "message": "Missing."}]
    ),
    "conflict": errors.Conflict("This run has ended."),
    "payment": errors.PaymentRequired("Too few credits for this."),
    "throttled": errors.Throttled("Wait a little while.", wait=2.1),
    "unavailable": errors.Unavailable("The voice does not answer."),
    "unknown iris": Nameless("What is this, really."),
    "denied": PermissionDenied(),
    "drf denied": drf.PermissionDenied(),
    "drf not found": drf.NotFound(),
    "gone": ObjectDoesNotExist("secret matching query does not exist."),
    "drf unauthenticated": drf.NotAuthenticated(),
    "suspicious": SuspiciousOperation("secret detail"),
    "data": DataError('value "secret" is too long'),
    "nul": ValueError("A string literal cannot contain NUL (0x00) characters."),
    "operational": OperationalError("connection to secret host failed"),
    "interface": InterfaceError("connection already closed"),
    "bug": KeyError("secret"),
    "value bug": ValueError("secret"),
}


class RaisingView(Open):
    def get(self, request: Request) -> Response:
        raise RAISED[request.query_params["what"]]


class PrivateView(V0View):
    def get(self, request: Request) -> Response:
        return success()


urlpatterns = [
    *with_and_without_slash("api/echo", EchoView.as_view(), "echo"),
    *with_and_without_slash("api/form/", FormView.as_view(), "form"),
    *with_and_without_slash("api/little", LittleView.as_view(), "little"),
    *with_and_without_slash("api/things/<id:pk>", ThingView.as_view(), "thing"),
    *with_and_without_slash("api/texts/<str:text>", TextView.as_view(), "text"),
    *with_and_without_slash("api/raise", RaisingView.as_view(), "raise"),
    *with_and_without_slash("api/private", PrivateView.as_view(), "private"),
]
handler400 = "iris.api.views.handler400"
handler403 = "iris.api.views.handler403"
handler404 = "iris.api.views.handler404"
handler500 = "iris.api.views.handler500"
