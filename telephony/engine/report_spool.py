"""Store a session's delivery reports at once, and apply them afterwards in larger sets.

An SMSC stops sending receipts while a few are unacknowledged, and iris acknowledges only what is stored. Storing reports
takes one short statement. Applying them takes many: statuses, credits, recipients. So one thread stores and acknowledges
them, and another one applies them (`event_writer`). If the process dies in between, the next tick applies them
(`delivery_reports.match_again`).
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from django.db import InterfaceError, OperationalError, close_old_connections, connection

from telephony.carriers.base import CarrierEvent, Done, InboundSms, Result
from telephony.engine import delivery_reports, unmatched_reports
from telephony.engine.unmatched_reports import StoredEvent

log = logging.getLogger(__name__)

SET_SIZE = 1000  # maximum number of reports that one statement stores
# While more reports than this wait to be applied, no others are stored, so that the SMSC slows down instead of filling the
# memory.
MAX_UNAPPLIED = 5000
RETRY_SECONDS = 1.0
# The shortest time between two statements, in seconds. An SMSC that allows ten unacknowledged receipts can still send 1,000
# a second.
MIN_INTERVAL = 0.01

Item = CarrierEvent | InboundSms | Result | StoredEvent


@dataclass(frozen=True, slots=True)
class _Entry:
    """Items and their callback. `reports` are the items if all can be stored before they are applied; otherwise empty."""

    items: Sequence[Item]
    done: Done | None
    reports: Sequence[CarrierEvent]


class ReportSpool:
    """Stores the reports of one trunk, in a thread with its own database connection.

    `forward` gets the stored reports, and all other items with their callbacks, in the order of arrival.
    """

    def __init__(self, alias: str, forward: Callable[[Sequence[Item], Done | None], None]) -> None:
        self._alias = alias
        self._forward = forward
        self._unapplied = 0
        self._changed = threading.Condition()
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"reports-{alias}", daemon=True)
        self._thread.start()

    def put(self, items: Sequence[Item], done: Done | None) -> None:
        """Queue reports for storage. Never blocks. The thread calls `done` once they are stored."""
        reports = [item for item in items if isinstance(item, CarrierEvent) and item.ref and not item.key]
        self._queue.put(_Entry(items, done, reports if len(reports) == len(items) else []))

    def note_applied(self, count: int) -> None:
        """Note that `count` of the stored reports no longer wait."""
        with self._changed:
            self._unapplied -= count
            self._changed.notify()

    def close(self) -> None:
        """Store and forward everything that was queued, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        ended = False
        stored_at = -MIN_INTERVAL
        while not ended:
            entries: list[_Entry] = []
            reports: list[CarrierEvent] = []
            while len(reports) < SET_SIZE:
                try:
                    entry = self._queue.get(block=not entries)
                except queue.Empty:
                    wait = stored_at + MIN_INTERVAL - time.monotonic()
                    if wait <= 0:
                        break
                    time.sleep(wait)
                    continue
                if entry is None:
                    ended = True
                    break
                entries.append(entry)
                reports += entry.reports
            stored_at = time.monotonic()
            self._store(entries, reports)
        connection.close()

    def _store(self, entries: Sequence[_Entry], reports: Sequence[CarrierEvent]) -> None:
        if reports:
            with self._changed:
                self._changed.wait_for(lambda: self._unapplied < MAX_UNAPPLIED)
        stored: list[StoredEvent] | None = []
        while reports:
            try:
                stored = unmatched_reports.spool(self._alias, reports)
            except (OperationalError, InterfaceError):
                log.exception("%d reports of %s wait for the database", len(reports), self._alias)
                time.sleep(RETRY_SECONDS)
                close_old_connections()  # only after an error, because the check is a query
            except Exception:  # the writer finds out which item caused the error
                log.exception(
                    "%d reports of %s cannot be stored before they are applied", len(reports), self._alias
                )
                stored = None
                break
            else:
                break
        if stored:
            with self._changed:
                self._unapplied += len(stored)
            self._forward(stored, None)
        for entry in entries:
            if stored is None or not entry.reports:
                self._forward(entry.items, entry.done)
            elif entry.done is not None:
                try:
                    entry.done(partial(delivery_reports.apply_events, self._alias))
                except Exception:
                    log.exception("%s failed in the callback after its reports were stored", self._alias)
