"""Numbers into a campaign: from a list, from a sheet, and in the background from a very large sheet."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import dropwhile, islice
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Max
from django.utils import timezone

from campaigns import sheets, tasks
from campaigns.models import Campaign, ImportStatus, Recipient, SheetImport
from campaigns.sheets import Sheet, SheetRow
from campaigns.tagsizes import Sizes, sizes_of
from iris.errors import Conflict, InvalidInput, IrisError
from telephony import numbering, stalls
from telephony.failpoints import failpoint
from telephony.nudge import nudge

log = logging.getLogger(__name__)

ERRORS_SHOWN = 100
CHUNK = 20_000  # rows of a background import that are committed at once

NO_VALID_ROW = (
    "The sheet has no row with a valid phone number. The numbers belong into its first column, or into one with the"
    " header number."
)

Row = tuple[str, str, Mapping[str, Any]]


def add_numbers(campaign: Campaign, numbers: Iterable[object] | None) -> list[dict[str, Any]]:
    """Add single numbers; the ones that were skipped, by position. Raises InvalidInput when none is valid."""
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

    if not copy_rows(campaign, rows()):
        raise InvalidInput("None of the numbers is a phone number.", errors=errors)
    return errors


def add_sheet(campaign: Campaign, file: BinaryIO) -> list[dict[str, Any]]:
    """Add the rows of a sheet, at once or in the background; the rows that were skipped.

    Call it in the transaction that made or locked the campaign. Raises NotASheet, SheetTooLarge, and InvalidInput
    when no row is valid.
    """
    sheet = sheets.open_sheet(file)
    if _size(file) > settings.IRIS_BACKGROUND_IMPORT_BYTES:
        _add_later(campaign, file)
        return []
    sizes = _sizes(campaign, sheet)
    if not copy_rows(campaign, _measured(sheet, sizes)):
        raise InvalidInput(NO_VALID_ROW, errors=sheet.errors)
    _save_tags(campaign, sheet, sizes)
    return sheet.errors


def _add_later(campaign: Campaign, file: BinaryIO) -> None:
    if SheetImport.objects.filter(campaign=campaign, status=ImportStatus.IMPORTING).exists():
        raise Conflict(
            "A sheet is being imported into this campaign. Wait until it is done.", code="importing"
        )
    file.seek(0)
    name = default_storage.save(f"imports/{uuid.uuid4().hex}", File(file))
    last = Recipient.objects.filter(campaign=campaign).aggregate(last=Max("pk"))["last"]
    made = SheetImport.objects.create(campaign=campaign, file=name, after=last or 0)
    nudge(tasks.import_sheet, made.pk)


class _Superseded(Exception):
    """Another process has gone on with this import since."""


def go_on(pk: int) -> None:
    """Import the next rows of a sheet until it ends, committing chunk by chunk; a killed import goes on from there.

    Of two processes that do so at once, as after a lost connection and with it the lock that keeps them apart, the one
    that commits a chunk first goes on alone.
    """
    pending = (
        SheetImport.objects.filter(pk=pk, status=ImportStatus.IMPORTING).select_related("campaign").first()
    )
    if pending is None:
        return
    try:
        _read(pending)
    except _Superseded:
        return
    default_storage.delete(pending.file)


def _read(pending: SheetImport) -> None:
    try:
        with default_storage.open(pending.file) as file:
            _import_rest(pending, sheets.open_sheet(cast(BinaryIO, file)))
    except (InvalidInput, sheets.SheetTooLarge) as e:
        _fail(pending, str(e))
    except (OperationalError, InterfaceError, _Superseded):
        raise  # the next tick goes on with it, or somebody has already
    except Exception:
        log.exception("Import %d cannot go on", pending.pk)
        _fail(pending, "The sheet could not be read to its end. Upload it again.")


def _import_rest(pending: SheetImport, sheet: Sheet) -> None:
    rows = _counted(dropwhile(lambda row: row.row <= pending.row, sheet), pending)
    added = CHUNK
    while added == CHUNK:
        with transaction.atomic():
            campaign = _locked(pending)
            sizes = _sizes(campaign, sheet)
            # Read as they are written: the database stores some rows while we read the next ones.
            added = copy_rows(campaign, _measured(islice(rows, CHUNK), sizes))
            pending.imported += added
            _save_tags(campaign, sheet, sizes)
            pending.save(update_fields=["imported", "row"])
        stalls.got_on(stalls.BACKGROUND)
        failpoint("imported")
    if not pending.imported:
        raise InvalidInput(NO_VALID_ROW)
    pending.status, pending.finished_at = ImportStatus.DONE, timezone.now()
    pending.errors = sheet.errors[:ERRORS_SHOWN]
    with transaction.atomic():
        pending.save(update_fields=["status", "finished_at", "errors"])
        _take_in(pending)


def _take_in(pending: SheetImport) -> None:
    """Nobody is asked any more: where a run that waits for its time cannot reach the new ones too, it goes on without."""
    from campaigns.services import take_in_added  # which imports this module

    try:
        take_in_added(Campaign.objects.get(pk=pending.campaign_id))
    except IrisError as error:
        pending.message = f"The run that waits for its time does not reach these numbers. {error}"
        pending.save(update_fields=["message"])


def _locked(pending: SheetImport) -> Campaign:
    """The campaign, locked. Raises _Superseded when the import does not stand where this process has left it."""
    campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=pending.campaign_id)
    as_left = SheetImport.objects.filter(
        pk=pending.pk, status=ImportStatus.IMPORTING, imported=pending.imported
    )
    if not as_left.exists():
        raise _Superseded
    return campaign


def _counted(rows: Iterable[SheetRow], pending: SheetImport) -> Iterator[SheetRow]:
    for row in rows:
        pending.row = row.row
        yield row


@transaction.atomic
def _fail(pending: SheetImport, message: str) -> None:
    """A sheet that cannot be read to its end is refused whole."""
    campaign = _locked(pending)
    with connection.cursor() as cursor:
        # Nobody has called them yet, so nothing hangs on them. Django's delete() would read them all to see that.
        cursor.execute(
            "DELETE FROM campaigns_recipient WHERE campaign_id = %s AND id > %s", [campaign.pk, pending.after]
        )
        campaign.number_count -= cursor.rowcount
    campaign.save(update_fields=["number_count"])
    pending.status, pending.message, pending.finished_at = ImportStatus.FAILED, message, timezone.now()
    pending.imported = 0
    pending.save(update_fields=["status", "message", "finished_at", "imported"])


def refuse_while_importing(campaign: Campaign) -> None:
    """Raises Conflict while a sheet is being imported in the background."""
    pending = SheetImport.objects.filter(campaign=campaign, status=ImportStatus.IMPORTING).first()
    if pending is not None:
        raise Conflict(
            f"The numbers of this campaign are still being imported: {pending.imported:,} so far. Try again in a"
            " while.",
            code="importing",
        )


def _size(file: BinaryIO) -> int:
    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    return size


def _sizes(campaign: Campaign, sheet: Sheet) -> Sizes:
    return Sizes([*campaign.tags, *sheet.columns], known=sizes_of(campaign))


def _measured(rows: Iterable[SheetRow], sizes: Sizes) -> Iterator[Row]:
    for row in rows:
        sizes.see(row.tags)
        yield row.number, row.to, row.tags


def _save_tags(campaign: Campaign, sheet: Sheet, sizes: Sizes) -> None:
    campaign.tags = list(dict.fromkeys([*campaign.tags, *sheet.columns]))
    campaign.tag_sizes = sizes.as_json()
    campaign.save(update_fields=["tags", "tag_sizes"])


def copy_rows(campaign: Campaign, rows: Iterable[Row]) -> int:
    """Stream rows into the campaign by COPY; how many."""
    count = 0
    as_json = _json_writer()
    prefix = f"{campaign.pk}\t"
    with connection.cursor() as cursor:
        # A web request bounds its statements; how long this one takes is bounded by the size of the sheet.
        cursor.execute("SET LOCAL statement_timeout = 0")
    with (
        connection.wrap_database_errors,  # Django does not see what happens between the ends of a COPY
        connection.cursor() as cursor,
        cursor.copy('COPY campaigns_recipient (campaign_id, number, "to", tags) FROM STDIN') as copy,
    ):
        lines: list[str] = []
        for number, to, tags in rows:
            # Neither a number nor JSON has a raw tab or line break in it, so backslashes are all to be escaped.
            lines.append(f"{prefix}{number}\t{to}\t{as_json(tags)}\n".replace("\\", "\\\\"))
            if len(lines) == 1000:
                copy.write("".join(lines))
                count += 1000
                lines.clear()
        copy.write("".join(lines))
        count += len(lines)
    campaign.number_count += count
    campaign.save(update_fields=["number_count"])
    return count


def _json_writer() -> Callable[[Mapping[str, Any]], str]:
    """JSON of tags, in half the encoder's time where one row has the same tags as the next."""
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
