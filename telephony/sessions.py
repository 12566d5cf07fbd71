"""Carriers that keep a connection, inside the worker process of their trunk.

Their events come from threads of their own; one writer per trunk records them in sets, and keeps them while the
database is away.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

from celery.signals import worker_process_shutdown, worker_shutdown
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from telephony import events
from telephony.carriers import Carrier, SessionCarrier, get_carrier
from telephony.carriers.base import CarrierEvent

log = logging.getLogger(__name__)

SET_SIZE = 1000  # events recorded by one transaction
RETRY_SECONDS = 1.0

_lock = threading.Lock()
_open: dict[str, tuple[SessionCarrier, EventWriter]] = {}


def carrier(alias: str) -> Carrier:
    """The carrier of a trunk, connected if it is one that connects."""
    found = get_carrier(alias)
    if isinstance(found, SessionCarrier):
        with _lock:
            if alias not in _open:
                writer = EventWriter(alias)
                found.open(writer.put)
                _open[alias] = (found, writer)
    return found


def close_all(**kwargs: Any) -> None:
    """Let every open session end well, and record what it still has to say."""
    with _lock:
        while _open:
            alias, (session, writer) = _open.popitem()
            try:
                session.close()
            except Exception:
                log.exception("The session of %s did not end well", alias)
            writer.close()


worker_process_shutdown.connect(close_all, dispatch_uid="telephony.sessions")
worker_shutdown.connect(close_all, dispatch_uid="telephony.sessions.solo")


class EventWriter:
    """Records a trunk's events in sets, from a thread of its own with a database connection of its own."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._queue: queue.SimpleQueue[Sequence[CarrierEvent] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"events-{alias}", daemon=True)
        self._thread.start()

    def put(self, events: Sequence[CarrierEvent]) -> None:
        """Never waits, so it may be called from an event loop."""
        self._queue.put(events)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            found: list[CarrierEvent] = []
            while len(found) < SET_SIZE:
                try:
                    more = self._queue.get(block=not found)
                except queue.Empty:
                    break
                if more is None:
                    ended = True
                    break
                found += more
            if found:
                self._record(found)
        connection.close()

    def _record(self, found: list[CarrierEvent]) -> None:
        while True:
            close_old_connections()
            try:
                events.record(self._alias, found)
            except (OperationalError, InterfaceError):
                log.exception("%d events of %s wait for the database", len(found), self._alias)
                time.sleep(RETRY_SECONDS)
            except Exception:
                log.exception("Events of %s that cannot be recorded: %r", self._alias, found)
                return
            else:
                return
