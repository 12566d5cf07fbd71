"""The credits of an account: what is left and on hold, the budgets of its departments, and the statement of a period."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.forms import Form
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts import actors, audit, mail
from accounts import departments as budgets
from accounts.account_settings import change_settings
from accounts.departments import Direction, Spending
from accounts.models import Account
from accounts.permissions import AccountKind, Permission
from campaigns.models import Campaign
from campaigns.reports import overview, statements
from campaigns.reports.statements import AccountStatement
from console import vocabulary
from console.access import page
from console.credit_forms import AlertForm, DepartmentForm, TransferForm
from console.downloads import csv_file
from console.errors import sentence_of
from console.numerals import grouped
from console.periods import chosen_days
from console.render import render_page
from console.visits import ConsoleRequest
from console.words_of_credits import KINDS, PURPOSES
from iris.errors import InvalidInput, IrisError
from iris.spreadsheets import cell, line_writer

SHOWN_LINES = 500
SHOWN_DEPARTMENTS = 50
POST = ("POST",)


@page(Permission.VIEW)
def credits(request: ConsoleRequest) -> HttpResponse:
    return _page(request)


@page(Permission.MANAGE_CREDITS, methods=POST, only=AccountKind.LIVE)
def transfer(request: ConsoleRequest) -> HttpResponse:
    """Move credits to a department, or back. Sending the same form twice moves them once."""
    account = request.visit.account
    form = TransferForm(request.POST, departments=_departments(account))
    if form.is_valid():
        sent = form.cleaned_data
        try:
            moved = budgets.transfer(
                parent=account,
                department_id=int(sent["department"]),
                amount=sent["amount"],
                direction=Direction(sent["direction"]),
                cause=f"transfer:console:{account.pk}:{sent['cause']}",
                note=sent["note"],
            )
        except IrisError as error:
            form.add_error(None, sentence_of(error))
        else:
            amount = grouped(moved.outgoing.amount)
            messages.success(request, _("%(amount)s credits were moved.") % {"amount": amount})
            return redirect("console:credits", account.pk)
    return _page(request, transfer=form)


@page(Permission.MANAGE_ACCOUNT, methods=POST, only=AccountKind.LIVE)
def add_department(request: ConsoleRequest) -> HttpResponse:
    form = DepartmentForm(request.POST)
    if form.is_valid():
        try:
            made = budgets.create(parent=request.visit.account, name=form.cleaned_data["name"])
        except IrisError as error:
            form.add_error("name", sentence_of(error))
        else:
            messages.success(request, _("The department %(name)s is made.") % {"name": made})
            return redirect("console:credits", request.visit.account.pk)
    return _page(request, department=form)


@page(Permission.MANAGE_ACCOUNT, methods=POST, only=AccountKind.LIVE)
def set_alert(request: ConsoleRequest) -> HttpResponse:
    """Change the level below which people are warned."""
    form = AlertForm(request.POST)
    if form.is_valid():
        try:
            change_settings(account=request.visit.account, by=actors.current(), **form.cleaned_data)
        except InvalidInput as error:
            form.add_error("low_credit_level", sentence_of(error))
        else:
            messages.success(request, _("The warning is saved."))
            return redirect("console:credits", request.visit.account.pk)
    return _page(request, alert=form)


def _departments(account: Account) -> list[Account]:
    return list(Account.objects.filter(parent=account).order_by("name", "pk"))


def _page(request: ConsoleRequest, **forms: Form) -> HttpResponse:
    """Show the page, with the forms as they were sent if something is wrong in them."""
    account = request.visit.account
    context = {**_statement(request), "on_hold": overview.on_hold(account)}
    if not account.is_twin:
        context |= _budgets(request)
        level = {"low_credit_level": account.low_credit_level}
        context |= {"alert": AlertForm(initial=level), "sends_mail": mail.is_configured()}
    return render_page(request, "console/credits.html", {**context, **forms})


def _budgets(request: ConsoleRequest) -> dict[str, Any]:
    """Return what the page shows of the departments. Departments have none themselves."""
    account = request.visit.account
    if account.parent_id is not None:
        return {}
    departments = _departments(account)
    shown = Paginator(departments, SHOWN_DEPARTMENTS).get_page(request.GET.get("page"))
    spending = budgets.spending_of([one.pk for one in shown])
    return {
        "departments": [
            {"account": one, "spending": spending.get(one.pk, Spending())} for one in shown.object_list
        ],
        "shown_departments": shown,
        "transfer": TransferForm(departments=departments) if departments else None,
        "department": DepartmentForm(),
    }


def _statement(request: ConsoleRequest) -> dict[str, Any]:
    account = request.visit.account
    first, last = chosen_days(request)
    problem, statement = "", None
    try:
        statement = statements.statement(account=account, first=first, last=last)
    except InvalidInput as error:
        problem = sentence_of(error)
    lines = [] if statement is None else list(reversed(statement.lines))[:SHOWN_LINES]
    return {
        "statement": statement,
        "lines": [
            {
                "day": one.day,
                "line": one.line,
                "kind": KINDS.get(one.line.kind, one.line.kind),
                "channel": vocabulary.CHANNELS.get(one.line.channel, ""),
                "purpose": PURPOSES.get(one.line.purpose, ""),
                "name": "" if statement is None else statement.names.get(one.line.campaign or 0, ""),
            }
            for one in lines
        ],
        "hidden": 0 if statement is None else len(statement.lines) - len(lines),
        "first": first,
        "last": last,
        "problem": problem,
        "shown_campaigns": set(
            Campaign.objects.owned_by(account)
            .filter(pk__in={one.line.campaign for one in lines if one.line.campaign})
            .values_list("pk", flat=True)
        ),
    }


@page(Permission.VIEW, exports=True)
def statement_csv(request: ConsoleRequest) -> StreamingHttpResponse:
    """Answer the statement as a file, and note in the audit log that it was exported. Raises InvalidInput."""
    account = request.visit.account
    first, last = chosen_days(request)
    statement = statements.statement(account=account, first=first, last=last)
    audit.note(
        account_id=account.pk,
        action="exported",
        kind="account",
        object_id=account.pk,
        what="statement",
        first=f"{first}",
        last=f"{last}",
    )
    return csv_file(_rows(statement), name=f"statement-{first}-{last}.csv")


def _rows(statement: AccountStatement) -> Iterator[str]:
    write = line_writer()
    yield write([_("Day"), _("What"), _("Campaign"), _("Channel"), _("Amount"), _("Balance"), _("On hold")])
    for one in statement.lines:
        line = one.line
        name = statement.names.get(line.campaign or 0, "")
        channel = vocabulary.CHANNELS.get(line.channel, "")
        kind = KINDS.get(line.kind, line.kind)
        yield write(
            [
                f"{one.day}",
                f"{kind}",
                cell(name),
                f"{channel}",
                f"{line.amount:f}",
                f"{line.balance:f}",
                f"{line.held:f}",
            ]
        )
    yield write(
        [
            f"{statement.last}",
            _("End"),
            "",
            "",
            "",
            f"{statement.closing_balance:f}",
            f"{statement.closing_held:f}",
        ]
    )
