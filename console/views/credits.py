"""The credits of an account: what is left, what is on hold, and the statement of a period."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext as _

from accounts import audit
from accounts.permissions import Permission
from campaigns.models import Campaign
from campaigns.reports import overview, statements
from campaigns.reports.statements import AccountStatement
from console import vocabulary
from console.access import page
from console.downloads import csv_file
from console.errors import sentence_of
from console.periods import chosen_days
from console.render import render_page
from console.visits import ConsoleRequest
from console.words_of_credits import KINDS, PURPOSES
from iris.errors import InvalidInput
from iris.spreadsheets import cell, line_writer

SHOWN_LINES = 500


@page(Permission.VIEW)
def credits(request: ConsoleRequest) -> HttpResponse:
    account = request.visit.account
    first, last = chosen_days(request)
    problem, statement = "", None
    try:
        statement = statements.statement(account=account, first=first, last=last)
    except InvalidInput as error:
        problem = sentence_of(error)
    lines = [] if statement is None else list(reversed(statement.lines))[:SHOWN_LINES]
    context = {
        "on_hold": overview.on_hold(account),
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
    return render_page(request, "console/credits.html", context)


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
