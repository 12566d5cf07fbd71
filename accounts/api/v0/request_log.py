"""The log of API requests in v0. TingTing's API has none; this is an addition of iris."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import access_of
from accounts.api.permissions import needs
from accounts.models import ApiRequest
from accounts.permissions import Permission
from accounts.request_log import entries
from iris.api.envelope import success
from iris.api.fields import Text, quoted
from iris.api.filters import FilterSet, SentFilter
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet


class Status(Text):
    """An HTTP status, or a class of them such as 4xx, converted to the lowest and the highest status."""

    json_schema = {"type": "string", "description": "An HTTP status such as 404, or all such as 4xx."}
    default_error_messages = {
        "unknown": "{value} is not a status. Send one such as 404, or a class such as 4xx."
    }

    def to_internal_value(self, data: Any) -> tuple[int, int]:  # type: ignore[override]
        text = super().to_internal_value(data)
        found = entries.status_range(text)
        if found is None:
            self.fail("unknown", value=quoted(text))
        return found


class RequestFilter(FilterSet):
    """Filters requests by the status and the code of their responses, and by a part of the path."""

    status = SentFilter(Status(max_length=20), field_name="status", lookup_expr="range")
    path = SentFilter(Text(max_length=200), field_name="path", lookup_expr="icontains")
    code = SentFilter(Text(max_length=60), field_name="code", lookup_expr="iexact")


class RequestLogViewSet(V0ViewSet):
    filterset_class = RequestFilter

    @needs(Permission.VIEW)
    def list(self, request: Request) -> Response:
        access = access_of(request)
        rows: QuerySet[ApiRequest] = entries.entries_of(access.account, granted=access.granted)
        page = paginate(request, self.filter_queryset(rows))
        return success({"pagination": page.pagination, "requests": [request_json(one) for one in page.items]})


def request_json(one: ApiRequest) -> dict[str, Any]:
    return {
        "request": one.request,
        "at": timezone.localtime(one.at).isoformat(),
        "method": one.method,
        "path": one.path,
        "status": one.status,
        "code": one.code or None,
        "milliseconds": one.milliseconds,
        "request_body": one.request_body,
        "response_body": one.response_body,
    }
