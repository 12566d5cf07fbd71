"""The statement of an account's credits. TingTing's API has none; this is an addition of iris."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request

from accounts import audit
from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.permissions import Permission
from campaigns.reports import statements
from campaigns.reports.statements import AccountStatement, DayLine
from iris.api.envelope import success
from iris.api.fields import BIKRAM_SAMBAT, Word, quoted, sent_value, validated
from iris.api.viewsets import V0ViewSet
from iris.spreadsheets import cell, line_writer
from telephony.models import Channel

CHANNELS = {Channel.CALL.value: "PHONE", Channel.SMS.value: "SMS", "": None}
COLUMNS = (
    "day",
    "kind",
    "purpose",
    "campaign_id",
    "campaign",
    "channel",
    "entries",
    "amount",
    "balance",
    "held",
)
FORMATS = ("json", "csv")


class CalendarDay(serializers.Field[date, Any, Any, date]):
    """A day, written as 2026-01-31."""

    json_schema = {"type": "string", "format": "date"}
    default_error_messages = {
        "unreadable": "{value} is not a date: write it as 2026-01-31.",
        "bikram_sambat": "{value} looks like a Bikram Sambat date. Convert it to the Gregorian calendar (AD) first, "
        "and write it as 2026-01-31.",
    }

    def get_value(self, dictionary: Any) -> Any:
        return sent_value(dictionary, self.field_name)

    def to_internal_value(self, data: Any) -> date:
        text = data.strip() if isinstance(data, str) else ""
        try:
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
                raise ValueError
            day = date.fromisoformat(text)
        except ValueError:
            self.fail("unreadable", value=quoted(data))
        if day.year in BIKRAM_SAMBAT:
            self.fail("bikram_sambat", value=quoted(data))
        return day


class Period(serializers.Serializer[Any]):
    """The first and the last day, both included. By default, the present month until today."""

    last = CalendarDay(required=False)
    format = Word({name: name for name in FORMATS}, required=False)

    def get_fields(self) -> dict[str, Any]:
        # `from` is a keyword of Python, so the class body cannot declare it.
        fields = super().get_fields()
        return {"from": CalendarDay(required=False), "to": fields["last"], "format": fields["format"]}


class StatementViewSet(V0ViewSet):
    @needs(Permission.VIEW)
    def retrieve(self, request: Request) -> HttpResponseBase:
        sent = validated(Period(data=request.query_params))
        last = sent.get("to") or max(timezone.localdate(), sent.get("from") or date.min)
        first = sent.get("from") or last.replace(day=1)
        account = account_of(request)
        shown = statements.statement(account=account, first=first, last=last)
        if sent.get("format") == "csv":
            audit.note(
                account_id=account.pk,
                action="exported",
                kind="account",
                object_id=account.pk,
                what="statement",
                first=f"{first}",
                last=f"{last}",
            )
            return _csv(shown)
        return success({"statement": _json(shown)})


def _json(shown: AccountStatement) -> dict[str, Any]:
    return {
        "from": f"{shown.first}",
        "to": f"{shown.last}",
        "time_zone": timezone.get_default_timezone_name(),
        "opening": {"balance": f"{shown.opening_balance:f}", "held": f"{shown.opening_held:f}"},
        "lines": [dict(zip(COLUMNS, _values(shown, one), strict=True)) for one in shown.lines],
        "closing": {"balance": f"{shown.closing_balance:f}", "held": f"{shown.closing_held:f}"},
        "closed_until": f"{shown.closed_until}" if shown.closed_until else None,
        "hash": shown.hash or None,
    }


def _values(shown: AccountStatement, one: DayLine) -> tuple[Any, ...]:
    line = one.line
    name = None if line.campaign is None else shown.names.get(line.campaign, "")
    return (
        f"{one.day}",
        line.kind,
        line.purpose or None,
        line.campaign,
        name,
        CHANNELS[line.channel],
        line.entries,
        f"{line.amount:f}",
        f"{line.balance:f}",
        f"{line.held:f}",
    )


def _csv(shown: AccountStatement) -> StreamingHttpResponse:
    """Return the statement as CSV. In the columns `balance` and `held`, the last row is the sum of all other rows."""
    return StreamingHttpResponse(
        _rows(shown),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="statement-{shown.first}-{shown.last}.csv"',
        },
    )


def _rows(shown: AccountStatement) -> Iterator[str]:
    write = line_writer()
    yield "\ufeff"  # without the byte order mark, Excel assumes another encoding
    yield write(COLUMNS)
    yield write(
        [f"{shown.first}", "opening", *[""] * 6, f"{shown.opening_balance:f}", f"{shown.opening_held:f}"]
    )
    for one in shown.lines:
        day, kind, purpose, campaign, name, *rest = _values(shown, one)
        # Amounts begin with a minus sign on purpose: they are numbers.
        yield write([day, kind, purpose, campaign, cell(name), *rest])
    yield write(
        [f"{shown.last}", "closing", *[""] * 6, f"{shown.closing_balance:f}", f"{shown.closing_held:f}"]
    )
