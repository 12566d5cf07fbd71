"""The audit log of an account, as pages or as CSV. TingTing's API has none; this is an addition of iris."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from django.db.models import Q, QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit
from accounts.actors import ActorKind
from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.audit_sentences import ACTIONS, OBJECT_KINDS, sentence_of
from accounts.models import AuditEntry
from accounts.permissions import Permission
from iris.api.envelope import success
from iris.api.fields import Day, EndOfDay, Id, Text, quoted
from iris.api.filters import FilterSet, SentFilter
from iris.api.lists import Words
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet
from iris.errors import InvalidInput
from iris.spreadsheets import cell, line_writer

MAX_EXPORTED = 100_000  # entries in one CSV
BATCH = 1_000
COLUMNS = (
    "id", "at", "sentence", "action", "actor_kind", "actor", "actor_email", "object", "object_id", "object_name",
    "campaign", "address", "request",
)  # fmt: skip


class Object(Text):
    """A kind of object, or one object as `campaign:17`."""

    json_schema = {"type": "string", "description": "A kind of object, or one object such as `campaign:17`."}
    default_error_messages = {
        "unknown": "{value} is not an object of the audit log. Send one of {kinds}, or one with an id such as campaign:17."
    }

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        kind, colon, object_id = text.strip().lower().partition(":")
        known = kind in OBJECT_KINDS and (not colon or (object_id.isascii() and object_id.isdecimal()))
        if not known or len(object_id) > 18:
            self.fail("unknown", value=quoted(text), kinds=", ".join(OBJECT_KINDS))
        return kind, int(object_id) if colon else None


class AuditFilter(FilterSet):
    """Filters entries by time, actor, action, object and campaign."""

    # Added to the namespace of the class in this way, because `from` is a keyword.
    locals()["from"] = SentFilter(Day(), field_name="at", lookup_expr="gte")
    to = SentFilter(EndOfDay(), field_name="at", lookup_expr="lt")
    actor = SentFilter(Text(max_length=254), method="by_actor")
    action = SentFilter(Words({action: action for action in ACTIONS}), field_name="action", lookup_expr="in")
    object = SentFilter(Object(max_length=40), method="about_object")
    campaign = SentFilter(Id(), field_name="campaign_id")

    def by_actor(self, rows: QuerySet[AuditEntry], name: str, text: str) -> QuerySet[AuditEntry]:
        """Filter by a kind of actor, by an e-mail address, or by a part of a name."""
        if text.lower() in set(ActorKind):
            return rows.filter(actor_kind=text.lower())
        return rows.filter(Q(actor_email__iexact=text) | Q(actor_name__icontains=text))

    def about_object(
        self, rows: QuerySet[AuditEntry], name: str, about: tuple[str, int | None]
    ) -> QuerySet[AuditEntry]:
        kind, object_id = about
        rows = rows.filter(kind=kind)
        return rows if object_id is None else rows.filter(object_id=object_id)


class AuditViewSet(V0ViewSet):
    filterset_class = AuditFilter

    def get_queryset(self) -> QuerySet[AuditEntry]:
        return AuditEntry.objects.filter(account_id=account_of(self.request).pk).order_by("-at", "-pk")

    @needs(Permission.MANAGE_ACCOUNT)
    def list(self, request: Request) -> Response | StreamingHttpResponse:
        entries = self.filter_queryset(self.get_queryset())
        wanted = request.query_params.get("format", "").strip().lower()
        if wanted == "csv":
            return _csv(request, entries)
        if wanted not in ("", "json"):
            message = f"{quoted(wanted)} is not a format of the audit log. Send csv or json."
            raise InvalidInput(f"format: {message}", errors=[{"field": "format", "message": message}])
        page = paginate(request, entries)
        return success(
            {"pagination": page.pagination, "entries": [entry_json(entry) for entry in page.items]}
        )


def entry_json(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry. Ids are those of objects that may be deleted since; names are those at that time."""
    return {
        "id": entry.pk,
        "at": timezone.localtime(entry.at).isoformat(),
        "sentence": sentence_of(entry),
        "action": entry.action,
        "actor": {
            "kind": entry.actor_kind,
            "id": entry.user_id or entry.key_id,
            "name": entry.actor_name,
            "email": entry.actor_email,
        },
        "object": {"kind": entry.kind, "id": entry.object_id, "name": entry.object_name},
        "campaign": entry.campaign_id,
        "address": entry.address,
        "request": entry.request,
        "details": entry.details,
    }


def _csv(request: Request, entries: QuerySet[AuditEntry]) -> StreamingHttpResponse:
    """Return the entries as CSV, the newest first. Raises InvalidInput if there are more than MAX_EXPORTED."""
    if entries.order_by()[: MAX_EXPORTED + 1].count() > MAX_EXPORTED:
        raise InvalidInput(
            f"These are more than {MAX_EXPORTED:,} entries. Export them in parts, with from and to.",
            code="too_many_entries",
        )
    account = account_of(request)
    audit.note(account_id=account.pk, action="exported", kind="account", object_id=account.pk, what="audit")
    lines = _lines(entries)
    # The first lines are made before the response starts, so that an early failure still becomes an error response.
    begun = "".join(islice(lines, 2))
    return StreamingHttpResponse(
        chain(["\ufeff" + begun], lines),  # without the byte order mark, Excel assumes another encoding
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="audit-{account.pk}.csv"'},
    )


def _lines(entries: QuerySet[AuditEntry]) -> Iterator[str]:
    write = line_writer()
    yield write(COLUMNS)
    rest = entries
    for _ in range(0, MAX_EXPORTED, BATCH):
        batch = list(rest[:BATCH])
        yield "".join(write([cell(value) for value in _row(entry)]) for entry in batch)
        if len(batch) < BATCH:
            return
        last = batch[-1]
        rest = entries.filter(Q(at__lt=last.at) | Q(at=last.at, pk__lt=last.pk))


def _row(entry: AuditEntry) -> tuple[object, ...]:
    shown = entry_json(entry)
    return (
        entry.pk, shown["at"], shown["sentence"], entry.action, entry.actor_kind, entry.actor_name, entry.actor_email,
        entry.kind, entry.object_id, entry.object_name, entry.campaign_id, entry.address, entry.request,
    )  # fmt: skip
