"""Add numbers to a campaign or a contact list, one by one or from a sheet. A sheet is read before the transaction begins.

If a sheet needs more than a web request may use (`sheets.in_request`), it is stored, and a worker imports it
(`campaigns.recipients.background_imports`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import connection
from django.db.models import Max, QuerySet

from accounts import actors
from campaigns import duplicates
from campaigns.models import (
    Audience,
    Campaign,
    Contact,
    ContactList,
    ImportStatus,
    Recipient,
    SheetImport,
)
from campaigns.recipients import sheets
from campaigns.recipients.sheets import Budget, OverBudget, Sheet, SheetRow
from campaigns.tag_sizes import FIELDS, TagMeasurer, note_measured, tag_sizes_of
from iris.errors import Conflict, InvalidInput
from telephony import numbering
from telephony.engine.nudge import nudge

SHEETS = "imports"  # the folder of sheets that a worker reads
ERRORS_SHOWN = 100
SAMPLE = 3  # number of rows in the sample
MAX_CHOSEN = 200  # maximum length of the name of a column

NO_VALID_ROW = (
    "The sheet has no row with a valid phone number. Put the numbers into its first column, or into a column with the"
    " heading number."
)

Row = tuple[str, str, Mapping[str, Any]]


def add_numbers(campaign: Campaign, numbers: Iterable[object] | None) -> list[dict[str, Any]]:
    """Add single numbers. Return the skipped numbers by position. Raises InvalidInput if no number is valid."""
    errors: list[dict[str, Any]] = []
    parse = numbering.parser()

    def rows() -> Iterator[Row]:
        for position, raw in enumerate(numbers or (), start=1):
            try:
                number = parse(raw)
            except InvalidInput as e:
                if len(errors) < ERRORS_SHOWN:
                    errors.append({"row": position, "message": str(e)})
            else:
                yield number.number, number.to, {}

    added = copy_rows(campaign, rows())
    if not added:
        raise InvalidInput("None of the numbers is a phone number.", errors=errors, code="no_valid_number")
    duplicates.mark_added(campaign, added=added)
    return errors


@dataclass
class ReadSheet:
    """A sheet that was read completely, or that was stored for a worker under the name `file`.

    `number_heading` and `number_column` are the heading and the letter of the column with the numbers. These two, `columns`
    and `sample` come from the first rows. They keep their defaults if even the first rows exceeded the budget.
    `chosen_column` is the column that the client asked for.
    """

    number_heading: str = "numbers"
    number_column: str = ""
    chosen_column: str = ""
    columns: list[str] = field(default_factory=list)
    sample: list[SheetRow] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    sizes: TagMeasurer | None = None
    file: str = ""


@contextmanager
def read_sheet(file: BinaryIO, *, number_column: str = "") -> Iterator[ReadSheet]:
    """Read a sheet for `add_sheet`. Begin the transaction within this context, so that a failure deletes the stored file.

    `number_column` is the heading or letter of the column with the numbers; with "" iris finds it. Raises NotASheet,
    SheetTooLarge, NumberColumnUnclear, and InvalidInput if no row is valid.
    """
    read = ReadSheet(chosen_column=number_column[:MAX_CHOSEN])
    budget = sheets.in_request()
    is_large = _size(file) > settings.IRIS_BACKGROUND_IMPORT_BYTES
    try:
        with closing(sheets.open_sheet(file, budget, number_column=read.chosen_column)) as sheet:
            read.number_heading, read.columns = sheet.number_heading, sheet.columns
            read.number_column = sheet.number_column
            rows = _sampled(sheet, read.sample)
            if is_large:
                next(islice(rows, SAMPLE - 1, None), None)
            else:
                read.sizes = TagMeasurer(sheet.columns)
                read.lines = list(lines_of(measured(rows, read.sizes), budget))
                read.errors = sheet.errors
    except OverBudget:
        is_large = True
    if is_large:
        read.errors, read.lines = [], []
        file.seek(0)
        read.file = default_storage.save(f"{SHEETS}/{uuid.uuid4().hex}", File(file))
    elif not read.lines:
        raise InvalidInput(NO_VALID_ROW, errors=read.errors, code="no_valid_row")
    try:
        yield read
    except BaseException:
        if read.file:
            default_storage.delete(read.file)
        raise


def add_sheet(audience: Audience, read: ReadSheet) -> list[dict[str, Any]]:
    """Add the rows of a sheet, or let a worker import them. Return the skipped rows.

    Call it in the transaction that created or locked the campaign or list. Raises Conflict while another sheet is being
    imported.
    """
    if read.file:
        _add_later(audience, read)
        return []
    assert read.sizes is not None
    added = copy_lines(audience, read.lines)
    add_tags(audience, read.columns, read.sizes)
    if isinstance(audience, Campaign):
        duplicates.mark_added(audience, added=added)
    return read.errors


def _add_later(audience: Audience, read: ReadSheet) -> None:
    is_campaign = isinstance(audience, Campaign)
    if audience.imports.filter(status=ImportStatus.IMPORTING).exists():
        raise Conflict(
            f"A sheet is being imported into this {'campaign' if is_campaign else 'list'}. Wait until it is done.",
            code="importing",
        )
    SheetImport.objects.create(
        **{"campaign" if is_campaign else "contact_list": audience},
        file=read.file,
        number_column=read.chosen_column,
        uploaded_by=actors.current().author_id,
        after=last_row(audience),
    )
    nudge("campaigns.tasks.import_sheet")


def _size(file: BinaryIO) -> int:
    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    return size


def _sampled(sheet: Sheet, sample: list[SheetRow]) -> Iterator[SheetRow]:
    for row in sheet:
        if len(sample) < SAMPLE:
            sample.append(row)
        yield row


def measured(rows: Iterable[SheetRow], sizes: TagMeasurer) -> Iterator[Row]:
    for row in rows:
        sizes.add(row.tags)
        yield row.number, row.to, row.tags


def add_tags(audience: Audience, columns: Iterable[str], sizes: TagMeasurer) -> None:
    """Add the tags of new rows, and the sizes of their values, to a locked campaign or list."""
    audience.tags = list(dict.fromkeys([*audience.tags, *columns]))
    together = TagMeasurer(audience.tags, known=tag_sizes_of(audience))
    together.merge(sizes)
    together.store_in(audience)
    audience.save(update_fields=["tags", *FIELDS])


def rows_of(audience: Audience) -> QuerySet[Recipient] | QuerySet[Contact]:
    """Return the recipients of a campaign, or the contacts of a list."""
    if isinstance(audience, Campaign):
        return Recipient.objects.filter(campaign=audience)
    return Contact.objects.filter(contact_list=audience)


def lock_audience(pending: SheetImport) -> Audience | None:
    """Lock and return the campaign or list into which a sheet is imported. Return None if the list was deleted."""
    if (campaign_id := pending.campaign_id) is not None:
        return Campaign.objects.select_for_update(of=("self",)).get(pk=campaign_id)
    lists = ContactList.objects.select_for_update(of=("self",), no_key=True)
    assert pending.contact_list_id is not None
    return lists.filter(pk=pending.contact_list_id).first()


def copy_rows(audience: Audience, rows: Iterable[Row]) -> int:
    """Stream rows into the campaign or list by COPY. Return how many."""
    return copy_lines(audience, lines_of(rows))


def copy_lines(audience: Audience, lines: Iterable[str]) -> int:
    """Stream lines from `lines_of` into the locked campaign or list by COPY. Return how many.

    The caller measures their tags (`TagMeasurer`) in the same transaction.
    """
    count = 0
    is_campaign = isinstance(audience, Campaign)
    table, key = (
        ("campaigns_recipient", "campaign_id") if is_campaign else ("campaigns_contact", "contact_list_id")
    )
    before = last_row(audience) if is_campaign else 0
    prefix = f"{audience.pk}\t"
    with connection.cursor() as cursor:
        # Web requests limit the time of each statement. The size of the sheet limits this one.
        cursor.execute("SET LOCAL statement_timeout = 0")
    with (
        connection.wrap_database_errors,  # Django does not translate errors raised during a COPY
        connection.cursor() as cursor,
        cursor.copy(f'COPY {table} ({key}, number, "to", tags) FROM STDIN') as copy,
    ):
        some = iter(lines)
        while batch := list(islice(some, 1000)):
            copy.write(prefix + prefix.join(batch))
            count += len(batch)
    audience.number_count += count
    if isinstance(audience, Campaign):
        note_measured(audience, before=before, after=last_row(audience))
        audience.save(update_fields=["number_count", "measured_to"])
    else:
        audience.save(update_fields=["number_count", "updated_at"])
    return count


def last_row(audience: Audience) -> int:
    """Return the id of the campaign's last recipient, or of the list's last contact; 0 if there is none."""
    last: int | None = rows_of(audience).aggregate(last=Max("pk"))["last"]
    return last or 0


def lines_of(rows: Iterable[Row], budget: Budget | None = None) -> Iterator[str]:
    """Yield each row as a line for COPY, without the id of the campaign or list."""
    as_json = _json_writer()
    for number, to, tags in rows:
        # Only backslashes need escaping, because neither numbers nor JSON contain raw tabs or line breaks.
        line = f"{number}\t{to}\t{as_json(tags)}\n".replace("\\", "\\\\")
        if budget is not None:
            budget.keep(len(line))
        yield line


def _json_writer() -> Callable[[Mapping[str, Any]], str]:
    """Return a function that writes tags as JSON.

    Writing a row with the same tag names as the previous row takes half the time that the JSON encoder would take.
    """
    encode: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    names: tuple[str, ...] = ()
    frame = "{}"

    def write(tags: Mapping[str, Any]) -> str:
        nonlocal names, frame
        if tuple(tags) != names:
            names = tuple(tags)
            frame = "{" + ",".join(encode(name).replace("%", "%%") + ":%s" for name in names) + "}"
        return frame % tuple([value if type(value) is int else encode(value) for value in tags.values()])

    return write
