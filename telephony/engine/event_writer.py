"""Records what a trunk's carrier reports, from a thread of its own, while the trunk's worker keeps the connection."""

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

from telephony.carriers import SessionCarrier, get_carrier
from telephony.carriers.base import CarrierEvent, Done, InboundSms, Result
from telephony.engine import delivery_reports, lifecycle
from telephony.engine.locks import lock_for_good
from telephony.engine.trunk_queues import STATUS_SECONDS, STOPPED, wake
from telephony.models import FINAL, Trunk

log = logging.getLogger(__name__)

SET_SIZE = 1000  # events recorded by one transaction
RETRY_SECONDS = 1.0
NUDGE_SECONDS = 0.25

Item = CarrierEvent | InboundSms | Result


class EventWriter:
    """Records what a trunk has to say in sets, from a thread of its own with a database connection of its own."""

    def __init__(self, alias: str, session: SessionCarrier | None = None) -> None:
        self._alias = alias
        self._session = session
        self._opened = time.monotonic()
        self._opened_at: datetime | None = None  # by the database's clock, once it was there
        self._locked_in: object = None  # the database connection that holds this trunk's lock
        self._buried = False
        self._gather = session.gather_seconds if session is not None else 0.0
        self._trouble = ""
        self._status = ""
        self._status_at = 0.0
        self._nudged_at = 0.0
        self._queue: queue.SimpleQueue[tuple[Sequence[Item], Done | None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"events-{alias}", daemon=True)
        self._thread.start()

    def put(self, items: Sequence[Item], done: Done | None = None) -> None:
        """Never waits, so it may be called from an event loop. `done` is called from our thread."""
        self._queue.put((items, done))

    def report_error(self, trouble: str) -> None:
        """What keeps the session from being opened, "" once it is: written down now, and seen as a sign of life."""
        self._trouble = trouble
        self.put([])

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            found: list[Item] = []
            dones: list[Done] = []
            until: float | None = None  # and then what has come is recorded
            while len(found) < SET_SIZE:
                wait = STATUS_SECONDS if until is None else until - time.monotonic()
                try:
                    more = self._queue.get(block=wait > 0, timeout=max(wait, 0))
                except queue.Empty:
                    break
                if more is None:
                    ended = True
                    break
                found += more[0]
                if more[1] is not None:
                    dones.append(more[1])
                if until is None:
                    until = time.monotonic() + self._gather
            self._record(found)
            for done in dones:
                try:
                    done(partial(delivery_reports.record, self._alias))
                except Exception:
                    log.exception("%s was not told that its events are recorded", self._alias)
            self._write_status(STOPPED if ended else None)
        connection.close()

    def _record(self, found: Sequence[Item]) -> None:
        """Try until the database has it, or has refused it for good: then one by one, to lose only what is bad."""
        while found:
            close_old_connections()
            try:
                delivery_reports.record_all(get_carrier(self._alias), found)
            except (OperationalError, InterfaceError):
                log.exception("%d events of %s wait for the database", len(found), self._alias)
                time.sleep(RETRY_SECONDS)
            except Exception:
                if len(found) > 1:
                    for one in found:
                        self._record([one])
                else:
                    log.exception("An event of %s that cannot be recorded: %r", self._alias, found[0])
                return
            else:
                break
        if any(isinstance(item, CarrierEvent) and item.status >= FINAL for item in found):
            self._nudge()

    def _nudge(self) -> None:
        """Where channels are limited, one that has become free is used at once, and not at the next tick."""
        now = time.monotonic()
        if settings.CARRIERS.get(self._alias, {}).get("CHANNELS") and now - self._nudged_at > NUDGE_SECONDS:
            self._nudged_at = now
            try:
                wake(self._alias)
            except (DatabaseError, InterfaceError) as e:  # the next tick wakes it
                log.warning("%s could not be woken: %s", self._alias, e)

    def _hold(self) -> None:
        """Hold the lock of whoever serves this trunk; once we do, what the last one left under way is lost.

        The lock is free the moment its process is gone, or the database connection in which it was taken: so it is taken
        again in the next connection. A worker that is being stopped holds it until its last calls are recorded.
        """
        if self._session is None or not self._session.dies_with_worker:
            return
        self._opened_at = self._opened_at or _database_time(self._opened)
        connection.ensure_connection()
        if self._locked_in is not connection.connection:
            if not lock_for_good(f"session:{self._alias}"):
                return
            self._locked_in = connection.connection
        if self._buried:
            return
        lost = lifecycle.lose_orphans(self._alias, claimed_before=self._opened_at)
        self._buried = True
        if lost:
            log.warning("%s: %d deliveries died with the trunk's last worker", self._alias, lost)

    def _write_status(self, status: str | None) -> None:
        """Where the operator sees it (`manage.py trunk_status`), with the time, which shows that we live."""
        if self._session is None:
            return
        now = time.monotonic()
        status = (status or self._trouble or self._session.status())[:200]
        if status == self._status and now - self._status_at < STATUS_SECONDS:
            return
        self._status, self._status_at = status, now
        try:
            close_old_connections()
            self._hold()
            Trunk.objects.update_or_create(
                alias=self._alias, defaults={"session": status, "session_at": Now()}
            )
        except (DatabaseError, InterfaceError) as e:  # the next one will be written
            log.warning("%s: the status of the session could not be written: %s", self._alias, e)


def _database_time(moment: float) -> datetime:
    """When a monotonic moment of the past was by the database's clock: then or earlier, however slowly it answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now - timedelta(seconds=time.monotonic() - moment)
