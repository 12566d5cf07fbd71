"""The opt-out list of an account, as pages or as CSV. TingTing's API has none; this is an addition of iris."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import audit
from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.people.pseudonyms import MARK, spellings_of
from accounts.permissions import Permission
from iris.api import parsers
from iris.api.envelope import success
from iris.api.fields import Day, EndOfDay, Text, Upload, Word, quoted, validated
from iris.api.filters import FilterSet, SentFilter
from iris.api.lists import Words
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet, reads
from iris.errors import InvalidInput
from iris.spreadsheets import cell, line_writer
from telephony.api.fields import Numbers
from telephony.models import OptOut, OptOutWay
from telephony.numbering import to_e164
from telephony.optouts import editing

BATCH = 1_000
COLUMNS = ("number", "channel", "way", "reason", "added_at")
WAYS = {one.value: one for one in OptOutWay if one.value}


class OptOutFilter(FilterSet):
    """Filters opt-outs by number, by the way in which they were added, and by time."""

    number = SentFilter(Text(max_length=40), method="by_number")
    way = SentFilter(Words(WAYS), field_name="way", lookup_expr="in")
    # Added to the namespace of the class in this way, because `from` is a keyword.
    locals()["from"] = SentFilter(Day(), field_name="created_at", lookup_expr="gte")
    to = SentFilter(EndOfDay(), field_name="created_at", lookup_expr="lt")

    def by_number(self, rows: QuerySet[OptOut], name: str, text: str) -> QuerySet[OptOut]:
        owner_id = account_of(self.request).pk
        return rows.filter(number__in=spellings_of(to_e164(text) or text, owner_id=owner_id))


class NewOptOuts(serializers.Serializer[Any]):
    """Numbers, or a file of numbers."""

    number = Numbers(required=False)
    numbers = Numbers(required=False)
    file = Upload(required=False)
    channel = Word(editing.CHANNELS, required=False)
    reason = Text(max_length=editing.MAX_REASON_CHARACTERS, required=False)


class OptOutViewSet(V0ViewSet):
    filterset_class = OptOutFilter

    def get_queryset(self) -> QuerySet[OptOut]:
        return OptOut.objects.filter(owner=account_of(self.request)).order_by("-pk")

    @needs(Permission.VIEW)
    def list(self, request: Request) -> Response | StreamingHttpResponse:
        rows = self.filter_queryset(self.get_queryset())
        wanted = request.query_params.get("format", "").strip().lower()
        if wanted == "csv":
            return _csv(request, rows)
        if wanted not in ("", "json"):
            message = f"{quoted(wanted)} is not a format of the opt-out list. Send csv or json."
            raise InvalidInput(f"format: {message}", errors=[{"field": "format", "message": message}])
        page = paginate(request, rows)
        return success({"pagination": page.pagination, "optouts": [optout_json(one) for one in page.items]})

    @reads(parsers.LIST_AND_FILES)
    @needs(Permission.PREPARE)
    def create(self, request: Request) -> Response:
        """Add numbers, or all numbers of a CSV file. Numbers that are on the list stay there with their evidence."""
        sent = validated(NewOptOuts(data=request.data))
        account, file = account_of(request), sent.get("file")
        numbers = [*sent.get("number", ()), *sent.get("numbers", ())]
        if (file is None) == (not numbers):
            raise InvalidInput("Send either numbers or a file of numbers.", code="numbers_or_file")
        if file is None:
            listed = editing.list_numbers(
                account=account,
                numbers=numbers,
                channel=sent.get("channel"),
                reason=sent.get("reason", ""),
            )
        elif "channel" in sent or "reason" in sent:
            raise InvalidInput(
                "With a file, send the channel and the reason as columns of the file.", code="columns_of_file"
            )
        else:
            listed = editing.import_numbers(account=account, file=file, name=file.name or "")
        return success(
            {"numbers": listed.numbers, "added": listed.added},
            message=f"{listed.numbers:,} number{'' if listed.numbers == 1 else 's'} on the opt-out list,"
            f" {listed.added:,} of them new.",
            status=201,
        )

    @needs(Permission.MANAGE_ACCOUNT)
    def destroy(self, request: Request, number: str) -> Response:
        removed = editing.unlist(account=account_of(request), number=number)
        return success({"number": removed}, message="Removed from the opt-out list.")


def optout_json(one: OptOut) -> dict[str, Any]:
    """Return an opt-out. The number is null if it was erased; the opt-out still holds."""
    return {
        "number": None if one.number.startswith(MARK) else one.number,
        "channel": one.channel or "all",
        "way": one.way or None,
        "reason": one.source,
        "evidence": one.evidence,
        "added_at": timezone.localtime(one.created_at).isoformat(),
    }


@transaction.atomic
def _csv(request: Request, rows: QuerySet[OptOut]) -> StreamingHttpResponse:
    """Return the list as CSV, the newest first. It can be imported again."""
    account = account_of(request)
    audit.note(
        account_id=account.pk, action="exported", kind="account", object_id=account.pk, what="opt-outs"
    )
    lines = _lines(rows)
    # The first lines are made before the response starts, so that an early failure still becomes an error response.
    begun = "".join(islice(lines, 2))
    return StreamingHttpResponse(
        chain(["\ufeff" + begun], lines),  # without the byte order mark, Excel assumes another encoding
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="optouts-{account.pk}.csv"'},
    )


def _lines(rows: QuerySet[OptOut]) -> Iterator[str]:
    write = line_writer()
    yield write(COLUMNS)
    rest = rows
    while batch := list(rest[:BATCH]):
        shown = (optout_json(one) for one in batch if not one.number.startswith(MARK))
        yield "".join(write([cell(one[column]) for column in COLUMNS]) for one in shown)
        rest = rows.filter(pk__lt=batch[-1].pk)
