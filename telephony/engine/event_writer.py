"""Store a session carrier's events in a separate thread, so that the database never delays the connection."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection
from django.db.models.functions import Now

from iris.locks import lock_for_session
from telephony.carriers import SessionCarrier, get_carrier
from telephony.carriers.base import CarrierEvent, Done, InboundSms, Result
from telephony.engine import delivery_reports, lifecycle
from telephony.engine.report_spool import Item, ReportSpool
from telephony.engine.trunk_queues import STATUS_SECONDS, STOPPED, wake
from telephony.engine.unmatched_reports import StoredEvent
from telephony.models import FINAL, Trunk

log = logging.getLogger(__name__)

SET_SIZE = 1000  # maximum number of events that one transaction stores
RETRY_SECONDS = 1.0
NUDGE_SECONDS = 0.25
GATHER_STEP = 0.02  # seconds


class EventWriter:
    """Store the events of a trunk in batches, in a thread with its own database connection."""

    def __init__(self, alias: str, session: SessionCarrier | None = None) -> None:
        self._alias = alias
        self._session = session
        self._opened = time.monotonic()
        self._opened_at: datetime | None = None  # by the database's clock, once it is known
        self._locked_in: object = None  # the database connection that holds this trunk's lock
        self._orphans_are_lost = False
        self._gather = session.gather_seconds if session is not None else 0.0
        self._error = ""
        self._status = ""
        self._status_at = 0.0
        self._nudged_at = 0.0
        self._queue: queue.SimpleQueue[tuple[Sequence[Item], Done | None] | None] = queue.SimpleQueue()
        self._spool = ReportSpool(alias, lambda items, done: self._queue.put((items, done)))
        self._thread = threading.Thread(target=self._run, name=f"events-{alias}", daemon=True)
        self._thread.start()

    def put(self, items: Sequence[CarrierEvent | InboundSms | Result], done: Done | None = None) -> None:
        """Queue items for storage. Never blocks, so event loops may call it.

        A thread calls `done` once these items, and all earlier items with a callback, are stored. Reports are applied soon
        after that (`report_spool`).
        """
        if done is None:
            self._queue.put((items, None))
        else:
            self._spool.put(items, done)

    def report_error(self, error: str) -> None:
        """Show in the trunk's status why the session cannot be opened. Pass an empty string when it is open.

        The status is written at once, with the time, which shows that the worker is alive.
        """
        self._error = error
        self.put([])

    def close(self) -> None:
        """Store everything that was queued, write the last status, and end the threads."""
        self._spool.close()
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            items, callbacks, ended = self._gathered()
            self._store(items)
            self._spool.note_applied(sum(isinstance(item, StoredEvent) for item in items))
            for done in callbacks:
                try:
                    done(partial(delivery_reports.apply_events, self._alias))
                except Exception:
                    log.exception("%s failed in the callback after its events were stored", self._alias)
            self._write_status(STOPPED if ended else None)
        connection.close()

    def _gathered(self) -> tuple[list[Item], list[Done], bool]:
        """Wait for items; return them, their callbacks, and whether no others will come.

        Items without a callback wait `gather_seconds` for others. Meanwhile the thread checks the queue only every
        GATHER_STEP seconds, because waking up for each item would slow down the threads that produce the items.
        """
        items: list[Item] = []
        callbacks: list[Done] = []
        until: float | None = None  # the latest time at which this set must be stored
        while len(items) < SET_SIZE:
            try:
                entry = self._queue.get(block=until is None, timeout=STATUS_SECONDS)
            except queue.Empty:
                now = time.monotonic()
                if until is None or callbacks or now >= until:
                    break
                time.sleep(min(GATHER_STEP, until - now))
                continue
            if entry is None:
                return items, callbacks, True
            items += entry[0]
            if entry[1] is not None:
                callbacks.append(entry[1])
            if until is None:
                until = time.monotonic() + self._gather
        return items, callbacks, False

    def _store(self, items: Sequence[Item]) -> None:
        """Store the items. Retries while the database is unavailable; stores them one by one after any other error.

        If a single item cannot be stored, it is logged and dropped.
        """
        while items:
            close_old_connections()
            try:
                delivery_reports.apply_all(get_carrier(self._alias), items)
            except (OperationalError, InterfaceError):
                log.exception("%d events of %s wait for the database", len(items), self._alias)
                time.sleep(RETRY_SECONDS)
            except Exception:
                if len(items) > 1:
                    for item in items:
                        self._store([item])
                else:
                    log.exception("An event of %s cannot be stored and is dropped: %r", self._alias, items[0])
                return
            else:
                break
        if any(isinstance(item, CarrierEvent) and item.status >= FINAL for item in items):
            self._nudge()  # stored reports concern SMS, which occupy no channel

    def _nudge(self) -> None:
        """Nudge the dispatcher of a trunk with limited channels, so that a freed channel is used before the next tick."""
        now = time.monotonic()
        if settings.CARRIERS.get(self._alias, {}).get("CHANNELS") and now - self._nudged_at > NUDGE_SECONDS:
            self._nudged_at = now
            try:
                wake(self._alias)
            except (DatabaseError, InterfaceError) as e:  # the next tick nudges it
                log.warning(
                    "The dispatcher of trunk %s could not be notified of a free channel: %s", self._alias, e
                )

    def _hold_lock(self) -> None:
        """Hold the lock of the worker that serves this trunk.

        Once this worker holds the lock, end the previous worker's deliveries as lost.

        PostgreSQL releases the lock when the process or its database connection ends, so each new connection takes it
        again. A worker that is stopping holds it until its last calls are stored.
        """
        if self._session is None or not self._session.dies_with_worker:
            return
        self._opened_at = self._opened_at or _database_time(self._opened)
        connection.ensure_connection()
        if self._locked_in is not connection.connection:
            if not lock_for_session(f"session:{self._alias}"):
                return
            self._locked_in = connection.connection
        if self._orphans_are_lost:
            return
        lost = lifecycle.lose_orphans(self._alias, claimed_before=self._opened_at)
        self._orphans_are_lost = True
        if lost:
            log.warning("%s: %d deliveries ended as lost with the trunk's previous worker", self._alias, lost)

    def _write_status(self, status: str | None) -> None:
        """Write the session's status for `manage.py trunk_status`, with the time, which shows that this worker is alive."""
        if self._session is None:
            return
        now = time.monotonic()
        status = (status or self._error or self._session.status())[:200]
        if status == self._status and now - self._status_at < STATUS_SECONDS:
            return
        self._status, self._status_at = status, now
        try:
            close_old_connections()
            self._hold_lock()
            Trunk.objects.update_or_create(
                alias=self._alias, defaults={"session": status, "session_at": Now()}
            )
        except (DatabaseError, InterfaceError) as e:  # retried after STATUS_SECONDS
            log.warning("%s: the status of the session could not be written: %s", self._alias, e)


def _database_time(moment: float) -> datetime:
    """Convert a past monotonic time to the database's clock.

    The result is never later than the true time: if the database responds slowly, it is earlier.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now - timedelta(seconds=time.monotonic() - moment)
