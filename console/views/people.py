"""The step with the people: upload a sheet or write numbers, and see at once which rows are wrong."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from accounts.permissions import Permission
from campaigns import services
from campaigns.models import Campaign, ContactList, Recipient
from campaigns.recipients import editing, lists
from campaigns.recipients.clearing import remove_all_recipients
from campaigns.reports.last_import import last_import_of
from campaigns.reports.totals import operators_of
from console.access import page
from console.errors import sentence_of
from console.numerals import grouped
from console.paging import id_or_none
from console.previews import columns_needed, problem_of_texts
from console.render import render_page
from console.views.steps import BOTH, editable, go_on, step_context
from console.visits import ConsoleRequest
from console.words_of_rows import row_errors
from iris.errors import IrisError
from iris.languages import ENGLISH
from iris.storable import storable

SHOWN_PEOPLE, SHOWN_TAGS, SHOWN_LISTS = 5, 6, 200
SKIPPED = "console_skipped_rows"  # in the session: the rows that the last upload has left out
MAX_WRITTEN = 1_000_000  # characters of numbers that are written by hand
EXAMPLE_HEADINGS = {ENGLISH: "number,name,ward,amount", "ne": "number,नाम,वडा,रकम"}
EXAMPLE = "9841000001,सीता श्रेष्ठ,5,1200\r\n9851000002,Ram Thapa,7,850\r\n9803000003,माया गुरुङ,5,400\r\n"


@page(Permission.PREPARE, methods=BOTH)
def people(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    campaign = editable(request, campaign_id)
    problem, errors = "", list[dict[str, Any]]()
    if request.method == "POST":
        if not (
            request.FILES.get("sheet")
            or request.POST.get("numbers", "").strip()
            or request.POST.get("list", "")
        ):
            services.spell_tags_as_columns(campaign=campaign)  # a sheet may have come in the background
            return go_on(request, campaign, "step-people")
        try:
            skipped = _add(request, campaign)
            services.spell_tags_as_columns(campaign=editable(request, campaign_id))
        except IrisError as error:
            problem, errors = sentence_of(error), error.errors
        else:
            # Shown by the next page, which can be loaded again without adding everybody a second time.
            request.session[SKIPPED] = {"campaign": campaign.pk, "rows": skipped}
            return redirect("console:step-people", request.visit.account.pk, campaign.pk)
    elif request.session.get(SKIPPED, {}).get("campaign") == campaign.pk:
        errors = request.session.pop(SKIPPED)["rows"]
    first = list(Recipient.objects.filter(campaign=campaign).order_by("pk")[:SHOWN_PEOPLE])
    tags = campaign.tags[:SHOWN_TAGS]
    last_import = last_import_of(campaign)
    context = {
        "problem": problem,
        "message_problem": problem_of_texts(campaign),
        "columns_needed": [] if campaign.tags else columns_needed(campaign),
        "row_errors": row_errors(errors),
        "number_column": request.POST.get("number_column", ""),
        "numbers": request.POST.get("numbers", "") if problem or errors else "",
        "tags": tags,
        "more_tags": len(campaign.tags) - len(tags),
        "rows": [(one.number, [one.tags.get(tag, "") for tag in tags]) for one in first],
        "operators": sorted(operators_of(campaign).items(), key=lambda pair: -pair[1]),
        "importing": last_import.running,
        "import_failed": last_import.failed,
        "lists": list(_lists_of(request)),
        "used_lists": list(campaign.list_uses.select_related("contact_list").order_by("pk")[:SHOWN_LISTS]),
        "has_run": campaign.runs.exists(),
        **step_context("step-people", campaign=campaign),
    }
    return render_page(request, "console/step_people.html", context)


@page(Permission.PREPARE, methods=("POST",))
def clear(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    campaign = editable(request, campaign_id)
    removed = remove_all_recipients(campaign=campaign)
    messages.success(
        request,
        ngettext("%(count)s person removed.", "%(count)s people removed.", removed)
        % {"count": grouped(removed)},
    )
    return redirect("console:step-people", request.visit.account.pk, campaign.pk)


@page(Permission.VIEW)
def example(request: ConsoleRequest) -> HttpResponse:
    """Answer a sheet that shows how lists of people look."""
    headings = EXAMPLE_HEADINGS.get(get_language() or ENGLISH, EXAMPLE_HEADINGS[ENGLISH])
    headers = {"Content-Disposition": 'attachment; filename="people.csv"'}
    return HttpResponse(
        f"\ufeff{headings}\r\n{EXAMPLE}", content_type="text/csv; charset=utf-8", headers=headers
    )


def _lists_of(request: ConsoleRequest) -> QuerySet[ContactList]:
    """Return the lists that can be chosen: the newest ones with people."""
    rows = ContactList.objects.owned_by(request.visit.account).filter(number_count__gt=0)
    return rows.order_by("-pk")[:SHOWN_LISTS]


def written_rows(request: ConsoleRequest) -> list[tuple[str, dict[str, Any]]]:
    """Return the numbers that were written by hand, as rows without tags."""
    written = storable(request.POST.get("numbers", "")[:MAX_WRITTEN])
    lines = (line.strip() for line in written.replace(",", "\n").splitlines())
    return [(line, {}) for line in lines if line]


def _add(request: ConsoleRequest, campaign: Campaign) -> list[dict[str, Any]]:
    """Add what was uploaded or written. Return the rows that were skipped. Raises IrisError if nothing was added."""
    sheet = request.FILES.get("sheet")
    errors: list[dict[str, Any]] = []
    if sheet is None and "list" in request.POST:
        chosen = lists.find_list(
            account=request.visit.account, pk=id_or_none(request.POST.get("list", "")) or 0
        )
        added = lists.add_list(campaign=campaign, contact_list=chosen)
    elif sheet is not None:
        column = storable(request.POST.get("number_column", "")).strip()
        imported = editing.import_sheet(
            campaign=campaign, file=cast(BinaryIO, sheet.file), number_column=column
        )
        added, errors = imported.rows, imported.errors
        if imported.in_background:
            messages.info(request, _("The sheet is large, so the server imports it in the background."))
            return errors
    else:
        result = editing.add_recipients(campaign=campaign, rows=written_rows(request))
        added, errors = len(result.recipients), result.errors
    messages.success(
        request,
        ngettext("%(count)s person added.", "%(count)s people added.", added) % {"count": grouped(added)},
    )
    return errors
