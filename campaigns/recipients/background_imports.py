"""Imports sheets that cost more than a web request may spend, chunk by chunk, the accounts in turn.

Each chunk and the row it ends at are committed together, so a killed import resumes there. Of two processes that import
the same sheet, as after a lost connection and with it the lock that keeps them apart, the one that commits a chunk first
goes on alone. Sheets are read by threads (`campaigns.recipients.sheet_reader`), outside any transaction.
"""

from __future__ import annotations

import logging
import platform
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.files.storage import default_storage
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Max, Min, Q, QuerySet
from django.utils import timezone

from campaigns.models import Campaign, ImportStatus, SheetImport
from campaigns.recipients import sheets
from campaigns.recipients.imports import ERRORS_SHOWN, NO_VALID_ROW, copy_lines, widen
from campaigns.recipients.sheet_reader import Chunk, SheetReader, StorageUnavailable
from campaigns.runs.reschedule import include_added_recipients
from iris.errors import InvalidInput, IrisError
from telephony.engine import stalls
from telephony.engine.failpoints import failpoint

log = logging.getLogger(__name__)

TURN_SECONDS = 60.0  # for which one task goes on; then sheets that were served least recently are read
SHORT_TURN_SECONDS = 10.0  # while an account waits because others have all places
LOOK_SECONDS = 1.0  # between two looks for sheets that have come since
MAX_READERS = 4  # sheets that are read at once: each takes up to some 100 MB
SILENT_SECONDS = 300.0  # without a chunk: then the reader hangs in something that no budget can end
MAX_TRIES = (
    5  # readings in succession that ended without a chunk, because the process died or the reader hung
)
RETRY_AFTER = timedelta(seconds=15)
MISSING_FOR = timedelta(hours=1)

_WAITING = (
    "The server cannot reach the uploaded sheet at the moment. It keeps trying for an hour; there is nothing that you need"
    " to do."
)
_LOST = (
    "The server could not reach the uploaded sheet for an hour, so none of its numbers was added. This is a fault of the"
    " server and not of the sheet: ask its operator to look at the log, then upload the sheet again."
)
_HANGS = (
    "Reading the sheet broke off several times, so none of its numbers was added. Copy the numbers, and the columns that a"
    " message needs, into a new file and upload that."
)
_BUG = (
    "The server could not read the sheet to its end, so none of its numbers was added. Its operator finds the reason in"
    " the log. Copy the numbers into a new file and upload that."
)


class _Superseded(Exception):
    """Another process has gone on with this import since, or it has ended."""


@dataclass
class _Import:
    pending: SheetImport
    reader: SheetReader
    errors_before: list[dict[str, Any]]
    has_progressed: bool = False


def due() -> bool:
    """Whether a sheet is to be read now."""
    return _due().exists()


def import_all(*, seconds: float = TURN_SECONDS) -> None:
    """Import the sheets that wait until none is left, or the time is over and each that was begun has got further."""
    _Importer().work(seconds=seconds)


def resume_import(pk: int) -> None:
    """Import the next rows of one sheet until it ends."""
    _Importer(only=pk).work(seconds=float("inf"))


class _Importer:
    def __init__(self, *, only: int | None = None) -> None:
        self._only = only
        self._changed = threading.Condition()
        self._open: list[_Import] = []
        self._looked_at = float("-inf")
        self._is_waiting = self._has_begun = False

    def work(self, *, seconds: float) -> None:
        begun = time.monotonic()
        try:
            while True:
                passed = time.monotonic() - begun
                if passed < seconds:
                    self._open_more()
                if not self._open or self._is_over(passed, seconds):
                    return
                for each in self._ready():
                    if not self._advance(each):
                        self._open.remove(each)
                        self._looked_at = float("-inf")
        finally:
            for each in self._open:
                each.reader.close()

    def _is_over(self, passed: float, seconds: float) -> bool:
        limit = min(seconds, SHORT_TURN_SECONDS) if self._is_waiting else seconds
        return passed >= limit and all(each.has_progressed for each in self._open)

    def _open_more(self) -> None:
        """Begin to read for accounts that have no sheet open, and see whether one has to wait for a place."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        if self._only is not None:
            if self._has_begun:
                return  # it may have to wait for its file
            self._has_begun = True
        self._looked_at = time.monotonic()
        places = MAX_READERS - len(self._open)
        owners = {each.pending.campaign.owner_id for each in self._open}
        found = _next_of_each_account(but=owners, count=places + 1, only=self._only)
        for pending in found[:places]:
            if opened := self._begin(pending):
                self._open.append(opened)
        self._is_waiting = len(found) > places

    def _begin(self, pending: SheetImport) -> _Import | None:
        """Write down that this process tries, and begin to read: a sheet that kills its reader is not tried for ever."""
        if pending.tries >= MAX_TRIES:
            _fail(pending, _HANGS)
            return None
        now = timezone.now()
        begun = SheetImport.objects.filter(
            pk=pending.pk, status=ImportStatus.IMPORTING, tries=pending.tries
        ).update(tries=F("tries") + 1, retry_at=now + pending.tries * RETRY_AFTER, read_at=now)
        if not begun:
            return None
        pending.tries += 1
        reader = SheetReader(
            pending.file, number_column=pending.number_column, after=pending.row, changed=self._changed
        )
        reader.start()
        return _Import(pending, reader, list(pending.errors))

    def _ready(self) -> list[_Import]:
        """The imports whose reader has something, or has been silent for too long; after a second at the latest."""

        def ready() -> list[_Import]:
            silent = time.monotonic() - SILENT_SECONDS
            return [each for each in self._open if each.reader.is_ready() or each.reader.touched_at < silent]

        with self._changed:
            self._changed.wait_for(ready, timeout=1)
            return ready()

    def _advance(self, each: _Import) -> bool:
        """Commit the chunk that is ready; False when there is nothing more to read here."""
        pending = each.pending
        if not each.reader.is_ready():
            log.error("Import %d: its reader has been silent for %.0f s", pending.pk, SILENT_SECONDS)
            each.reader.close()
            return False  # its tries are counted
        try:
            chunk = each.reader.take()
            _commit(pending, chunk, errors_before=each.errors_before)
            each.has_progressed = True
            stalls.note_progress(stalls.BACKGROUND)
            failpoint("imported")
            if not chunk.is_last:
                return True
            _finish(pending)
            default_storage.delete(pending.file)
        except _Superseded:
            pass
        except StorageUnavailable as e:
            _wait_for_storage(pending, str(e))
        except (InvalidInput, sheets.SheetTooLarge) as e:
            _fail(pending, str(e))
        except (OperationalError, InterfaceError):
            _forgive(pending)
            raise  # the next tick goes on with it
        except Exception:
            log.exception("Import %d cannot go on", pending.pk)
            _fail(pending, _BUG)
        each.reader.close()
        return False


def _forgive(pending: SheetImport) -> None:
    """That the database was away is not the sheet's fault."""
    with suppress(DatabaseError, InterfaceError):
        connection.close_if_unusable_or_obsolete()
        SheetImport.objects.filter(pk=pending.pk).update(tries=0, retry_at=None)


def _due() -> QuerySet[SheetImport]:
    return SheetImport.objects.filter(
        Q(retry_at=None) | Q(retry_at__lte=timezone.now()), status=ImportStatus.IMPORTING
    )


def _next_of_each_account(*, but: Iterable[int], count: int, only: int | None) -> list[SheetImport]:
    """The oldest sheet of each account that is due, those first whose account was served least recently."""
    sheets_due = (
        _due() if only is None else SheetImport.objects.filter(pk=only, status=ImportStatus.IMPORTING)
    )
    ids = (
        SheetImport.objects.filter(
            campaign__owner__in=sheets_due.exclude(campaign__owner__in=but).values("campaign__owner")
        )
        .values("campaign__owner")
        .annotate(next=Min("pk", filter=Q(pk__in=sheets_due.values("pk"))), served=Max("read_at"))
        .order_by(F("served").asc(nulls_first=True), "next")
        .values_list("next", flat=True)[:count]
    )
    found = SheetImport.objects.select_related("campaign").in_bulk(list(ids))
    return [found[pk] for pk in ids]


def _commit(pending: SheetImport, chunk: Chunk, *, errors_before: list[dict[str, Any]]) -> None:
    fields: dict[str, Any] = {
        "row": chunk.row,
        "errors": [*errors_before, *chunk.errors][:ERRORS_SHOWN],
        "read_at": timezone.now(),
        "retry_at": None,
        "missing_since": None,
        "tries": 0,
        "message": "",
        "trouble": "",
    }
    with transaction.atomic():
        campaign = _locked(pending)
        fields["imported"] = pending.imported + copy_lines(campaign, chunk.lines)
        widen(campaign, chunk.columns, chunk.sizes)
        SheetImport.objects.filter(pk=pending.pk).update(**fields)
    for field, value in fields.items():
        setattr(pending, field, value)


def _finish(pending: SheetImport) -> None:
    if not pending.imported:
        raise InvalidInput(NO_VALID_ROW)
    with transaction.atomic():
        _locked(pending)
        pending.status, pending.finished_at = ImportStatus.DONE, timezone.now()
        pending.save(update_fields=["status", "finished_at"])
        _take_in(pending)


def _take_in(pending: SheetImport) -> None:
    """Nobody is asked any more: where a run that waits for its time cannot reach the new ones too, it goes on without."""

    try:
        include_added_recipients(Campaign.objects.get(pk=pending.campaign_id))
    except IrisError as error:
        pending.message = f"The run that waits for its time does not reach these numbers. {error}"
        pending.save(update_fields=["message"])


def _locked(pending: SheetImport) -> Campaign:
    """The campaign, locked. Raises _Superseded when the import does not stand where this process has left it."""
    campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=pending.campaign_id)
    as_left = SheetImport.objects.filter(
        pk=pending.pk, status=ImportStatus.IMPORTING, imported=pending.imported, row=pending.row
    )
    if not as_left.exists():
        raise _Superseded
    return campaign


def _wait_for_storage(pending: SheetImport, error: str) -> None:
    """Try again later, perhaps on another machine: storage that is not mounted here may be there."""
    now = timezone.now()
    since = pending.missing_since or now
    trouble = f"{platform.node()} cannot read {_path(pending.file)}: {error}"
    log.warning("Import %d waits for its sheet: %s", pending.pk, trouble)
    if now - since >= MISSING_FOR:
        log.error("Import %d has failed: its sheet was missing since %s. %s", pending.pk, since, trouble)
        _fail(pending, _LOST)
        return
    SheetImport.objects.filter(pk=pending.pk, status=ImportStatus.IMPORTING, row=pending.row).update(
        tries=0,
        missing_since=since,
        retry_at=now + RETRY_AFTER,
        message=_WAITING,
        trouble=trouble[:500],
    )


def _path(name: str) -> str:
    try:
        return default_storage.path(name)
    except NotImplementedError:  # a storage without a file system
        return name


def _fail(pending: SheetImport, message: str) -> None:
    """A sheet that cannot be read to its end is refused whole."""
    try:
        _refuse(pending, message)
    except _Superseded:
        return
    try:
        default_storage.delete(pending.file)
    except Exception as error:
        log.warning("The sheet of import %d cannot be deleted: %s", pending.pk, error)


@transaction.atomic
def _refuse(pending: SheetImport, message: str) -> None:
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
    pending.save(update_fields=["status", "message", "finished_at", "imported", "errors"])
