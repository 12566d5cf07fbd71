"""Carriers that keep a connection, inside the worker process of their trunk: `celery -A iris worker -Q trunk.<alias>`.

Their events come from threads of their own; one writer per trunk records them in sets, keeps them while the database is
away, and writes down how the connection is (`Trunk.session`). Such a worker is one process without children (Celery's
solo pool), whatever it is told: one connection is what the carrier expects, and its calls must outlive every task.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery import current_app
from celery.signals import (
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
)
from django.conf import settings

from telephony.carriers import Carrier, SessionCarrier, get_carrier
from telephony.engine.event_writer import EventWriter
from telephony.engine.trunk_queues import PREFIX

log = logging.getLogger(__name__)

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
                    writer.report_error(f"cannot be opened: {e}")
                    raise
                writer.report_error("")
                _open[alias] = found
    return found


def _queues() -> list[str]:
    """Those that this worker serves."""
    return list(current_app.amqp.queues.consume_from)


def _own() -> list[str]:
    """The trunks whose queues this worker serves."""
    return [name.removeprefix(PREFIX) for name in _queues() if name.startswith(PREFIX)]


def enforce_single_trunk(sender: Any, **kwargs: Any) -> None:
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
            f"trunk and no other. Start one for each: celery --app iris worker --queues {PREFIX}{own[0]}."
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


worker_init.connect(enforce_single_trunk, dispatch_uid="telephony.engine.trunk_worker.enforce_single_trunk")
worker_process_init.connect(open_own, dispatch_uid="telephony.engine.trunk_worker.open")
worker_process_shutdown.connect(close_all, dispatch_uid="telephony.engine.trunk_worker")
worker_shutdown.connect(close_all, dispatch_uid="telephony.engine.trunk_worker.solo")
