"""Run session carriers in the worker process of their trunk: `celery -A iris worker -Q trunk.<alias>`.

Their events come from other threads. One writer per trunk stores them in batches, keeps them while the database is
unavailable, and writes the status of the connection (`Trunk.session`). Such a worker is always one process without children
(Celery's solo pool), because the carrier expects one connection and its calls must outlive every task.
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


def open_carrier(alias: str) -> Carrier:
    """Return the carrier of a trunk. Opens its session if it has one; raises the carrier's error if that fails."""
    carrier = get_carrier(alias)
    if isinstance(carrier, SessionCarrier):
        with _lock:
            if alias not in _open:
                if alias not in _writers:
                    _writers[alias] = EventWriter(alias, carrier)
                writer = _writers[alias]
                try:
                    carrier.open(writer.put)
                except Exception as e:
                    writer.report_error(f"cannot be opened: {e}")
                    raise
                writer.report_error("")
                _open[alias] = carrier
    return carrier


def _queues() -> list[str]:
    """Return the queues that this worker serves."""
    return list(current_app.amqp.queues.consume_from)


def _own_trunks() -> list[str]:
    """Return the trunks whose queues this worker serves."""
    return [name.removeprefix(PREFIX) for name in _queues() if name.startswith(PREFIX)]


def enforce_single_trunk(sender: Any, **kwargs: Any) -> None:
    """Make sure that a worker of a trunk's queue has one process and no other queue.

    Tasks of another queue would wait for the long time slices of the trunk. A queue of an unknown trunk would never
    receive a task, so its name is misspelled; a trunk that keeps no connection has no queue of its own. Raises SystemExit.
    """
    own = _own_trunks()
    unknown = [alias for alias in own if alias not in settings.CARRIERS]
    if unknown:
        raise SystemExit(
            f"No carrier {', '.join(unknown)} is configured. Choose one of: {', '.join(sorted(settings.CARRIERS))}."
        )
    if own and len(_queues()) > 1:
        raise SystemExit(
            f"This worker should serve {', '.join(sorted(_queues()))}, but a worker of a trunk serves only the queue "
            f"of that trunk. Start one for each: celery --app iris worker --queues {PREFIX}{own[0]}."
        )
    idle = [alias for alias in own if not isinstance(get_carrier(alias), SessionCarrier)]
    if idle:
        raise SystemExit(
            f"{', '.join(idle)} keeps no connection and has no queue of its own, so this worker would have nothing to do."
            " Any worker sends for it: celery --app iris worker."
        )
    if own:
        sender.pool_cls, sender.concurrency = "solo", 1


def open_own(**kwargs: Any) -> None:
    """Open the session of a trunk's worker as soon as the worker runs, because the carrier may already have reports."""
    for alias in _own_trunks():
        try:
            open_carrier(alias)
        except Exception:  # the trunk's status shows the error, and each dispatch tries again
            log.exception("The session of %s could not be opened", alias)


def close_all(**kwargs: Any) -> None:
    """Close every open session, and store its last events."""
    with _lock:
        while _open:
            alias, session = _open.popitem()
            try:
                session.close()
            except Exception:
                log.exception("The session of %s could not be closed properly", alias)
        while _writers:
            _writers.popitem()[1].close()


worker_init.connect(enforce_single_trunk, dispatch_uid="telephony.engine.trunk_worker.enforce_single_trunk")
worker_process_init.connect(open_own, dispatch_uid="telephony.engine.trunk_worker.open")
worker_process_shutdown.connect(close_all, dispatch_uid="telephony.engine.trunk_worker")
worker_shutdown.connect(close_all, dispatch_uid="telephony.engine.trunk_worker.solo")
