"""The audit log of an account: who did what, when and from where."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit as log
from accounts.models import AuditEntry
from accounts.permissions import Permission
from campaigns.models import Campaign
from console.access import page
from console.downloads import csv_file
from console.render import render_page
from console.visits import ConsoleRequest
from console.words_of_audit import OBJECTS, actor_of, changes_of, reason_of, sentence_of
from iris.errors import InvalidInput
from iris.spreadsheets import cell, line_writer
from iris.storable import storable

PAGE_SIZE = 50
BATCH = 1_000
MAX_EXPORTED = 100_000  # entries in one file


@page(Permission.MANAGE_ACCOUNT)
def audit(request: ConsoleRequest) -> HttpResponse:
    """List the entries, newest first. `who`, `kind`, `first` and `last` narrow them; `before` is the id of an entry."""
    found = _found(request)
    before = request.GET.get("before", "")
    if before.isascii() and before.isdecimal() and len(before) < 19:
        found = _older(
            found, AuditEntry.objects.filter(account_id=request.visit.account.pk, pk=before).first()
        )
    entries = list(found[: PAGE_SIZE + 1])
    shown = entries[:PAGE_SIZE]
    named = {entry.campaign_id for entry in shown if entry.campaign_id}
    query = request.GET.copy()
    query.pop("before", None)
    context = {
        "entries": [
            {
                "entry": entry,
                "sentence": sentence_of(entry),
                "changes": changes_of(entry),
                "reason": reason_of(entry),
            }
            for entry in shown
        ],
        "campaigns": set(
            Campaign.objects.owned_by(request.visit.account).filter(pk__in=named).values_list("pk", flat=True)
        ),
        "kinds": list(OBJECTS.items()),
        "query": query,
        "narrowed": query.urlencode(),
        "before": shown[-1].pk if len(entries) > PAGE_SIZE else None,
        "is_later_page": bool(before),
    }
    return render_page(request, "console/audit.html", context)


@page(Permission.MANAGE_ACCOUNT, exports=True)
def log_csv(request: ConsoleRequest) -> StreamingHttpResponse:
    """Answer the same entries as a file, and note that in the log. Raises InvalidInput if they are too many."""
    found = _found(request)
    if found.order_by()[: MAX_EXPORTED + 1].count() > MAX_EXPORTED:
        raise InvalidInput("These are more than 100,000 entries. Choose fewer days.", code="too_many_entries")
    account = request.visit.account
    log.note(account_id=account.pk, action="exported", kind="account", object_id=account.pk, what="audit")
    return csv_file(_rows(found), name=f"audit-{account.pk}.csv")


def _found(request: ConsoleRequest) -> QuerySet[AuditEntry]:
    entries = AuditEntry.objects.filter(account_id=request.visit.account.pk).order_by("-at", "-pk")
    who = storable(request.GET.get("who", ""))[:200].strip()
    if who:
        entries = entries.filter(Q(actor_email__iexact=who) | Q(actor_name__icontains=who))
    if (kind := request.GET.get("kind", "")) in OBJECTS:
        entries = entries.filter(kind=kind)
    if (first := _start_of(request.GET.get("first", ""))) is not None:
        entries = entries.filter(at__gte=first)
    if (end := _start_of(request.GET.get("last", ""), days=1)) is not None:
        entries = entries.filter(at__lt=end)
    return entries


def _start_of(text: str, *, days: int = 0) -> datetime | None:
    """Return the beginning of a day, or of one that is some days later; None for what is no day."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
        moment = timezone.make_aware(datetime.combine(day, time.min))
        # A day at the ends of the calendar has no beginning in UTC.
        return moment if date(1, 1, 3) < day < date(9999, 12, 30) else None
    except (ValueError, OverflowError):
        return None


def _older(entries: QuerySet[AuditEntry], than: AuditEntry | None) -> QuerySet[AuditEntry]:
    if than is None:
        return entries
    return entries.filter(Q(at__lt=than.at) | Q(at=than.at, pk__lt=than.pk))


def _rows(found: QuerySet[AuditEntry]) -> Iterator[str]:
    write = line_writer()
    yield write([_("Time"), _("Who"), _("E-mail address"), _("What happened"), _("Details"), _("Address")])
    rest: Any = found
    for _round in range(0, MAX_EXPORTED, BATCH):
        batch = list(rest[:BATCH])
        yield "".join(write([cell(value) for value in _row(entry)]) for entry in batch)
        if len(batch) < BATCH:
            return
        rest = _older(found, batch[-1])


def _row(entry: AuditEntry) -> tuple[object, ...]:
    details = "; ".join([*changes_of(entry), reason_of(entry)]).strip("; ")
    at = f"{timezone.localtime(entry.at):%Y-%m-%d %H:%M:%S}"
    return at, actor_of(entry), entry.actor_email, sentence_of(entry), details, entry.address
