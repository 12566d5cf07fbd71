"""Saved lists of people: make them from a sheet or from numbers, look at them, and download them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import audit
from accounts.permissions import Permission
from campaigns.models import Contact, ContactList
from campaigns.recipients import lists
from campaigns.reports.last_import import last_import_of
from campaigns.tag_sizes import rows_at_once
from console import live
from console.access import page
from console.downloads import csv_file
from console.errors import sentence_of
from console.forms import ListForm
from console.numerals import grouped
from console.paging import id_or_none, page_of
from console.render import render_page
from console.templatetags.console import tag_title
from console.views.people import written_rows
from console.views.steps import BOTH
from console.visits import ConsoleRequest
from console.words_of_rows import row_errors
from iris.errors import InvalidInput, IrisError
from iris.spreadsheets import cell, line_writer
from iris.storable import storable
from telephony import numbering

SHOWN_TAGS = 4
SKIPPED = "console_skipped_contacts"  # in the session: the rows that the last upload has left out


@page(Permission.VIEW)
def index(request: ConsoleRequest) -> HttpResponse:
    """List the lists, newest first. `before` is the id at which a page begins."""
    before = request.GET.get("before", "")
    rows = ContactList.objects.owned_by(request.visit.account).with_uses().order_by("-pk")
    shown, more = page_of(rows, before)
    context = {"lists": shown, "before": more, "is_later_page": bool(before)}
    return render_page(request, "console/lists.html", context)


@page(Permission.PREPARE, methods=BOTH)
def new(request: ConsoleRequest) -> HttpResponse:
    form = ListForm(request.POST or None)
    problem, errors = "", list[dict[str, Any]]()
    if request.method == "POST" and form.is_valid():
        try:
            filled = lists.create_list(
                account=request.visit.account,
                name=form.cleaned_data["name"],
                description=form.cleaned_data["description"],
                **_people(request),
            )
        except IrisError as error:
            problem, errors = sentence_of(error), error.errors
        else:
            return _show_filled(request, filled)
    context = {"form": form, "problem": problem, "row_errors": row_errors(errors), **_typed(request)}
    return render_page(request, "console/list_new.html", context)


@page(Permission.VIEW)
def show(request: ConsoleRequest, list_id: int) -> HttpResponse:
    """Show the people of a list, newest first. `q` is a number, `before` the id at which a page begins."""
    found = _list_of(request, list_id)
    words, before = storable(request.GET.get("q", "")[:200]).strip(), request.GET.get("before", "")
    rows = Contact.objects.filter(contact_list=found).order_by("-pk")
    problem = ""
    if words:
        try:
            rows = rows.filter(to=numbering.parse(words).to)
        except InvalidInput as error:
            rows, problem = rows.none(), sentence_of(error)
    shown, more = page_of(rows, before)
    tags = found.tags[:SHOWN_TAGS]
    last_import = last_import_of(found)
    skipped = request.session.get(SKIPPED, {})
    left_out = skipped["rows"] if skipped.get("list") == found.pk else _skipped_by_import(found)
    context = {
        "list": found,
        "people": [(one, [(tag, one.tags.get(tag, "")) for tag in tags]) for one in shown],
        "tags": tags,
        "more_tags": len(found.tags) - len(tags),
        "words": words,
        "problem": problem,
        "before": more,
        "is_later_page": bool(before),
        "importing": last_import.running,
        "import_failed": last_import.failed,
        "row_errors": row_errors(left_out),
    }
    if live.is_update(request):
        return live.part(request, "console/list_live.html", context)
    if skipped.get("list") == found.pk:
        del request.session[SKIPPED]
    return render_page(request, "console/list.html", context)


@page(Permission.PREPARE, methods=BOTH)
def change(request: ConsoleRequest, list_id: int) -> HttpResponse:
    """Change the name of a list, or add people to it."""
    found = _list_of(request, list_id)
    renames = request.method == "POST" and "name" in request.POST
    form = ListForm(
        request.POST if renames else None, initial={"name": found.name, "description": found.description}
    )
    problem, errors = "", list[dict[str, Any]]()
    if renames and form.is_valid():
        lists.update_list(contact_list=found, **form.cleaned_data)
        return redirect("console:list", request.visit.account.pk, found.pk)
    people = _people(request)
    if request.method == "POST" and not renames and people:
        try:
            if "rows" in people:
                filled = lists.add_contacts(contact_list=found, rows=people["rows"])
            else:
                filled = lists.import_sheet(contact_list=found, **people)
        except IrisError as error:
            problem, errors = sentence_of(error), error.errors
        else:
            return _show_filled(request, filled)
    context = {"list": found, "form": form, "problem": problem, "row_errors": row_errors(errors)}
    return render_page(request, "console/list_change.html", {**context, **_typed(request)})


@page(Permission.PREPARE, methods=("POST",))
def remove(request: ConsoleRequest, list_id: int) -> HttpResponse:
    """Remove one person from a list."""
    found = _list_of(request, list_id)
    lists.remove_contact(contact_list=found, pk=id_or_none(request.POST.get("contact", "")) or 0)
    messages.success(
        request, ngettext("%(count)s person removed.", "%(count)s people removed.", 1) % {"count": grouped(1)}
    )
    return redirect("console:list", request.visit.account.pk, found.pk)


@page(Permission.PREPARE, methods=BOTH)
def delete(request: ConsoleRequest, list_id: int) -> HttpResponse:
    """Ask once more, and delete a list."""
    found = _list_of(request, list_id)
    if request.method != "POST":
        return render_page(request, "console/list_delete.html", {"list": found})
    lists.delete_list(contact_list=found)
    messages.success(request, _("The list “%(name)s” is deleted.") % {"name": found.name})
    return redirect("console:lists", request.visit.account.pk)


@page(Permission.VIEW)
def export(request: ConsoleRequest, list_id: int) -> StreamingHttpResponse:
    """Answer the list as a file that can be uploaded again, and note in the audit log that it was exported."""
    found = _list_of(request, list_id)
    audit.note(
        account_id=found.owner_id,
        action="exported",
        kind="list",
        object_id=found.pk,
        name=found.name,
        what="list",
    )
    return csv_file(_lines(found), name=f"list-{found.pk}.csv")


def _lines(found: ContactList) -> Iterator[str]:
    write = line_writer()
    yield write(["number", *(cell(tag_title(tag)) for tag in found.tags)])
    at_once = min(2_000, rows_at_once(found))
    rows = Contact.objects.filter(contact_list=found).order_by("pk")
    after = 0
    while batch := list(rows.filter(pk__gt=after)[:at_once]):
        for one in batch:
            yield write([cell(one.number), *(cell(one.tags.get(tag, "")) for tag in found.tags)])
        after = batch[-1].pk


def _list_of(request: ConsoleRequest, list_id: int) -> ContactList:
    return lists.find_list(account=request.visit.account, pk=list_id)


def _people(request: ConsoleRequest) -> dict[str, Any]:
    """Return what was uploaded or written, as the verbs of lists take it; empty if neither was."""
    sheet = request.FILES.get("sheet")
    if sheet is not None:
        column = storable(request.POST.get("number_column", "")).strip()
        return {"sheet": cast(BinaryIO, sheet.file), "number_column": column}
    rows = written_rows(request)
    return {"rows": rows} if rows else {}


def _show_filled(request: ConsoleRequest, filled: lists.Filled) -> HttpResponse:
    if filled.in_background:
        messages.info(request, _("The sheet is large, so the server imports it in the background."))
    elif filled.added:
        sentence = ngettext("%(count)s person added.", "%(count)s people added.", filled.added)
        messages.success(request, sentence % {"count": grouped(filled.added)})
    # Shown by the next page, which can be loaded again without adding everybody a second time.
    if filled.skipped:
        request.session[SKIPPED] = {"list": filled.contact_list.pk, "rows": filled.skipped[:100]}
    return redirect("console:list", request.visit.account.pk, filled.contact_list.pk)


def _skipped_by_import(found: ContactList) -> list[dict[str, Any]]:
    latest = found.imports.order_by("-pk").first()
    return [] if latest is None else latest.errors


def _typed(request: ConsoleRequest) -> dict[str, str]:
    return {name: request.POST.get(name, "") for name in ("number_column", "numbers")}
