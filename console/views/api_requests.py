"""The log of API requests: what the programs of an account have sent to this server, and its answers.

Test accounts have it on every server, and other accounts where the operator has switched it on.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from accounts.models import ApiRequest
from accounts.permissions import Permission
from accounts.request_log import entries
from console.access import page
from console.paging import page_of
from console.render import render_page
from console.visits import ConsoleRequest
from iris.storable import storable

STATUSES: dict[str, Promise] = {
    "2xx": gettext_lazy("Accepted by the server"),
    "4xx": gettext_lazy("Refused by the server"),
    "5xx": gettext_lazy("Failed in the server"),
}


@page(Permission.VIEW)
def api_requests(request: ConsoleRequest) -> HttpResponse:
    """List the requests, newest first. `status`, `path` and `code` narrow them; `before` is where a page begins."""
    rows = entries.entries_of(request.visit.account, granted=request.visit.granted)
    query = request.GET.copy()
    before = (query.pop("before", None) or [""])[-1]
    shown, next_page = page_of(_narrowed(rows, query), before)
    context = {
        "requests": shown,
        "statuses": STATUSES.items(),
        "query": query,
        "narrowed": query.urlencode(),
        "before": next_page,
        "is_later_page": bool(before),
    }
    return render_page(request, "console/api_requests.html", context)


def _narrowed(rows: QuerySet[ApiRequest], query: Any) -> QuerySet[ApiRequest]:
    if status := entries.status_range(query.get("status", "")):
        rows = rows.filter(status__range=status)
    if path := storable(query.get("path", ""))[:200].strip():
        rows = rows.filter(path__icontains=path)
    if code := storable(query.get("code", ""))[:60].strip():
        rows = rows.filter(code__iexact=code)
    return rows
