"""Import sheets that need more processor time than a web request may use.

Imports proceed in chunks. The accounts take turns.

Each chunk is committed together with the number of its last row, so a killed import resumes there. One task at a time
imports, under an advisory lock of its database session. If the connection is lost, so is the lock, and two processes may
import the same sheet. Then the process that commits a chunk first continues alone. Threads read the sheets outside any
transaction (`campaigns.recipients.sheet_reader`).
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

from campaigns import duplicates
from campaigns.models import Campaign, ImportStatus, SheetImport
from campaigns.recipients import sheets
from campaigns.recipients.imports import ERRORS_SHOWN, NO_VALID_ROW, add_tags, copy_lines
from campaigns.recipients.sheet_reader import Chunk, SheetReader, StorageUnavailable
from campaigns.runs.reschedule import include_added_recipients
from iris.errors import InvalidInput, IrisError
from telephony.engine import stalls
from telephony.engine.failpoints import failpoint

log = logging.getLogger(__name__)

# How long one task imports. The next task begins with the accounts that were served least recently.
TIME_SLICE_SECONDS = 60.0
SHORT_TIME_SLICE_SECONDS = 10.0  # while an account waits because other accounts use all readers
POLL_SECONDS = 1.0  # between two checks for new sheets
MAX_READERS = 4  # sheets that are read concurrently; each takes up to about 100 MB of memory
# After this long without a chunk, iris assumes that the reader hangs in code that the budget of processor time cannot
# interrupt.
MAX_READER_SILENCE_SECONDS = 300.0
MAX_TRIES = 5  # attempts in a row that ended without a chunk, because the process died or the reader hung
RETRY_AFTER = timedelta(seconds=15)
MAX_MISSING = timedelta(hours=1)

_WAITING = "The server cannot reach the uploaded sheet at the moment. It keeps trying for an hour. You need not do anything."
_LOST = (
    "The server could not reach the uploaded sheet for an hour, so none of its numbers was added. This is a fault of the"
    " server and not of the sheet. Ask the operator to check the log, then upload the sheet again."
)
_HANGS = (
    "Reading the sheet failed several times, so none of its numbers was added. Copy the numbers, and the columns that a"
    " message needs, into a new file and upload that."
)
_BUG = (
    "The server could not read the sheet to its end, so none of its numbers was added. The operator can find the reason in"
    " the log. Copy the numbers into a new file and upload that."
)


class _Superseded(Exception):
    """Another process has continued this import, or the import has ended."""


@dataclass
class _Import:
    pending: SheetImport
    reader: SheetReader
    errors_before: list[dict[str, Any]]
    has_progressed: bool = False


def due() -> bool:
    """Return whether any sheet waits to be read now."""
    return _due().exists()


def import_all(*, seconds: float = TIME_SLICE_SECONDS) -> None:
    """Import pending sheets until none is left, or until `seconds` have passed and each open import has made progress."""
    _Importer().work(seconds=seconds)


def resume_import(pk: int) -> None:
    """Import the remaining rows of one sheet."""
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
                for item in self._ready():
                    if not self._advance(item):
                        self._open.remove(item)
                        self._looked_at = float("-inf")
        finally:
            for item in self._open:
                item.reader.close()

    def _is_over(self, passed: float, seconds: float) -> bool:
        limit = min(seconds, SHORT_TIME_SLICE_SECONDS) if self._is_waiting else seconds
        return passed >= limit and all(item.has_progressed for item in self._open)

    def _open_more(self) -> None:
        """Open a sheet for each account that has no open sheet, and record whether an account has to wait for a reader."""
        if time.monotonic() - self._looked_at < POLL_SECONDS:
            return
        if self._only is not None:
            if self._has_begun:
                return  # this task has tried the import already; if it could not (a missing file), a later task tries again
            self._has_begun = True
        self._looked_at = time.monotonic()
        places = MAX_READERS - len(self._open)
        owners = {item.pending.campaign.owner_id for item in self._open}
        pending_imports = _next_import_of_each_account(
            except_owners=owners, count=places + 1, only=self._only
        )
        for pending in pending_imports[:places]:
            if opened := self._begin(pending):
                self._open.append(opened)
        self._is_waiting = len(pending_imports) > places

    def _begin(self, pending: SheetImport) -> _Import | None:
        """Count an attempt, then start the reader. If a sheet kills the process, its attempts still reach MAX_TRIES."""
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
        """Return the imports whose reader has a chunk or has been silent for too long. Wait at most a second for one."""

        def ready() -> list[_Import]:
            silent = time.monotonic() - MAX_READER_SILENCE_SECONDS
            return [item for item in self._open if item.reader.is_ready() or item.reader.touched_at < silent]

        with self._changed:
            self._changed.wait_for(ready, timeout=1)
            return ready()

    def _advance(self, item: _Import) -> bool:
        """Commit the chunk that is ready. Return whether this process continues with the import."""
        pending = item.pending
        if not item.reader.is_ready():
            log.error(
                "Import %d: its reader has been silent for %.0f s", pending.pk, MAX_READER_SILENCE_SECONDS
            )
            item.reader.close()
            return False  # `_begin` has counted the attempt
        try:
            chunk = item.reader.take()
            _commit(pending, chunk, errors_before=item.errors_before)
            item.has_progressed = True
            stalls.note_progress(stalls.BACKGROUND)
            failpoint("imported")
            if not chunk.is_last:
                return True
            duplicates.mark_all(pending.campaign_id)
            _finish(pending)
            default_storage.delete(pending.file)
        except _Superseded:
            pass
        except StorageUnavailable as e:
            _wait_for_storage(pending, str(e))
        except (InvalidInput, sheets.SheetTooLarge) as e:
            _fail(pending, str(e))
        except (OperationalError, InterfaceError):
            _reset_tries(pending)
            raise  # the next tick continues the import
        except Exception:
            log.exception("Import %d cannot continue", pending.pk)
            _fail(pending, _BUG)
        item.reader.close()
        return False


def _reset_tries(pending: SheetImport) -> None:
    """Reset the attempts of an import, because an unavailable database is not the fault of the sheet."""
    with suppress(DatabaseError, InterfaceError):
        connection.close_if_unusable_or_obsolete()
        SheetImport.objects.filter(pk=pending.pk).update(tries=0, retry_at=None)


def _due() -> QuerySet[SheetImport]:
    return SheetImport.objects.filter(
        Q(retry_at=None) | Q(retry_at__lte=timezone.now()), status=ImportStatus.IMPORTING
    )


def _next_import_of_each_account(
    *, except_owners: Iterable[int], count: int, only: int | None
) -> list[SheetImport]:
    """Return the oldest due sheet of each account, at most `count`, starting with the account served least recently."""
    sheets_due = (
        _due() if only is None else SheetImport.objects.filter(pk=only, status=ImportStatus.IMPORTING)
    )
    ids = (
        SheetImport.objects.filter(
            campaign__owner__in=sheets_due.exclude(campaign__owner__in=except_owners).values(
                "campaign__owner"
            )
        )
        .values("campaign__owner")
        .annotate(next=Min("pk", filter=Q(pk__in=sheets_due.values("pk"))), served=Max("read_at"))
        .order_by(F("served").asc(nulls_first=True), "next")
        .values_list("next", flat=True)[:count]
    )
    pending_imports = SheetImport.objects.select_related("campaign").in_bulk(list(ids))
    return [pending_imports[pk] for pk in ids]


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
        add_tags(campaign, chunk.columns, chunk.sizes)
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
        _include_in_scheduled_run(pending)


def _include_in_scheduled_run(pending: SheetImport) -> None:
    """Include the new recipients in a scheduled run. If that fails, keep the run and tell the owner in `message`."""
    try:
        include_added_recipients(
            Campaign.objects.get(pk=pending.campaign_id), uploaded_by=pending.uploaded_by
        )
    except IrisError as error:
        pending.message = f"The scheduled run does not reach these numbers. {error}"
        pending.save(update_fields=["message"])


def _locked(pending: SheetImport) -> Campaign:
    """Lock and return the campaign. Raises _Superseded if the import is not where this process left it."""
    campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=pending.campaign_id)
    as_left = SheetImport.objects.filter(
        pk=pending.pk, status=ImportStatus.IMPORTING, imported=pending.imported, row=pending.row
    )
    if not as_left.exists():
        raise _Superseded
    return campaign


def _wait_for_storage(pending: SheetImport, error: str) -> None:
    """Schedule a retry, perhaps on another machine that has the storage mounted. Give up after MAX_MISSING."""
    now = timezone.now()
    since = pending.missing_since or now
    trouble = f"{platform.node()} cannot read {_path(pending.file)}: {error}"
    log.warning("Import %d waits for its sheet: %s", pending.pk, trouble)
    if now - since >= MAX_MISSING:
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
    """End the import as failed and remove all rows that it has added, so that no part of the sheet remains."""
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
        # Tells the audit triggers not to log the removed rows. The failed import is logged.
        cursor.execute("SELECT set_config('iris.importing', 'yes', true)")
        # No run can have used these recipients yet, so no rows refer to them. Django's delete() would read all of them.
        cursor.execute(
            "DELETE FROM campaigns_recipient WHERE campaign_id = %s AND id > %s", [campaign.pk, pending.after]
        )
        campaign.number_count -= cursor.rowcount
    campaign.save(update_fields=["number_count"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('iris.importing', '', true)")
    pending.status, pending.message, pending.finished_at = ImportStatus.FAILED, message, timezone.now()
    pending.imported = 0
    pending.save(update_fields=["status", "message", "finished_at", "imported", "errors"])
