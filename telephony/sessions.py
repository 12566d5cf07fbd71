"""Carriers that keep a connection, inside the worker process of their trunk: `celery -A iris worker -Q trunk.<alias>`.

Their events come from threads of their own; one writer per trunk records them in sets, keeps them while the database is
away, and writes down how the connection is (`Trunk.session`). Such a worker is one process without children (Celery's
solo pool), whatever it is told: one connection is what the carrier expects, and its calls must outlive every task.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from celery.signals import (
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
)
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection
from django.db.models.functions import Now

from telephony import events, lifecycle
from telephony.carriers import Carrier, SessionCarrier, get_carrier
from telephony.carriers.base import CarrierEvent, InboundSms, Result
from telephony.locks import lock_for_good
from telephony.models import FINAL, Trunk

log = logging.getLogger(__name__)

SET_SIZE = 1000  # events recorded by one transaction
RETRY_SECONDS = 1.0
NUDGE_SECONDS = 0.25
TRUNK_QUEUE = "trunk."  # and the trunk's alias
STATUS_SECONDS = 5.0  # between two times that a writer writes down how its connection is, unless that changes
SILENT = timedelta(seconds=3 * STATUS_SECONDS)  # a worker that has written nothing for so long is gone
STOPPED = "stopped"  # the last that a worker writes

_lock = threading.Lock()
_open: dict[str, SessionCarrier] = {}
_writers: dict[str, EventWriter] = {}


def carrier(alias: str) -> Carrier:
    """The carrier of a trunk, connected if it is one that connects."""
    found = get_carrier(alias)
    if isinstance(found, SessionCarrier):
        with _lock:
            if alias not in _open:
                if alias not in _writers:
                    _writers[alias] = EventWriter(alias, found)
                writer = _writers[alias]
                try:
                    found.open(writer.put)
                except Exception as e:
                    writer.lament(f"cannot be opened: {e}")
                    raise
                writer.lament("")
                _open[alias] = found
    return found


def is_served(alias: str) -> bool:
    """Whether somebody would take a nudge of this trunk: any worker, or the trunk's own, if it lives.

    For the queue of one that does not, nudges would pile up in the broker until it does.
    """
    if not isinstance(get_carrier(alias), SessionCarrier):
        return True
    live = Trunk.objects.filter(alias=alias, session_at__gt=Now() - SILENT)
    return live.exclude(session=STOPPED).exists()


def _queues() -> list[str]:
    """Those that this worker serves."""
    return list(current_app.amqp.queues.consume_from)


def _own() -> list[str]:
    """The trunks whose queues this worker serves."""
    return [name.removeprefix(TRUNK_QUEUE) for name in _queues() if name.startswith(TRUNK_QUEUE)]


def be_alone(sender: Any, **kwargs: Any) -> None:
    """Give a worker of a trunk's queue one process, and no other queue: what is in that would wait for its long turns.

    A queue of no trunk would never get anything: that is a misspelling.
    """
    own = _own()
    unknown = [alias for alias in own if alias not in settings.CARRIERS]
    if unknown:
        raise SystemExit(
            f"No carrier {', '.join(unknown)} is configured; there are {', '.join(sorted(settings.CARRIERS))}."
        )
    if own and len(_queues()) > 1:
        raise SystemExit(
            f"This worker was told to serve {', '.join(sorted(_queues()))}; a worker of a trunk serves the queue of that "
            f"trunk and no other. Start one for each: celery --app iris worker --queues {TRUNK_QUEUE}{own[0]}."
        )
    if own:
        sender.pool_cls, sender.concurrency = "solo", 1


def open_own(**kwargs: Any) -> None:
    """A worker of a trunk's own queue connects as soon as it runs: reports may be waiting there for us."""
    for alias in _own():
        try:
            carrier(alias)
        except Exception:  # a dispatch will try again, and say so where it is seen
            log.exception("The session of %s could not be opened", alias)


def close_all(**kwargs: Any) -> None:
    """Let every open session end well, and record what it still has to say."""
    with _lock:
        while _open:
            alias, session = _open.popitem()
            try:
                session.close()
            except Exception:
                log.exception("The session of %s did not end well", alias)
        while _writers:
            _writers.popitem()[1].close()


worker_init.connect(be_alone, dispatch_uid="telephony.sessions.alone")
worker_process_init.connect(open_own, dispatch_uid="telephony.sessions.open")
worker_process_shutdown.connect(close_all, dispatch_uid="telephony.sessions")
worker_shutdown.connect(close_all, dispatch_uid="telephony.sessions.solo")


Item = CarrierEvent | InboundSms | Result
Done = Callable[[], object]


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

    def lament(self, trouble: str) -> None:
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
                    done()
                except Exception:
                    log.exception("%s was not told that its events are recorded", self._alias)
            self._write_status(STOPPED if ended else None)
        connection.close()

    def _record(self, found: Sequence[Item]) -> None:
        """Try until the database has it, or has refused it for good: then one by one, to lose only what is bad."""
        while found:
            close_old_connections()
            try:
                events.record_all(get_carrier(self._alias), found)
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
        from telephony import tasks

        now = time.monotonic()
        if settings.CARRIERS.get(self._alias, {}).get("CHANNELS") and now - self._nudged_at > NUDGE_SECONDS:
            self._nudged_at = now
            try:
                tasks.wake(self._alias)
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
