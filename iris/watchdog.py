"""Tell the supervisor of a worker or of beat that this process is not stuck.

systemd restarts a service that has not sent `WATCHDOG=1` for WatchdogSec. The healthcheck of a container looks at the age
of IRIS_ALIVE_FILE. Web processes need neither: gunicorn replaces a worker that hangs, and `/health/live` shows the rest.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from celery import bootsteps
from celery.worker import state
from django.conf import settings

EVERY = 5.0  # seconds between two reports
# Seconds without a turn of the main loop. The worker of a trunk makes no turn during a task, which takes up to a minute.
MAX_SILENCE = 120.0
# Seconds after which a task counts as stuck. The longest ones read large sheets, one at a time (IRIS_SHEET_MAX_SECONDS).
MAX_TASK_SECONDS = 1800.0

logger = logging.getLogger(__name__)

_reported_at = float("-inf")


def is_watched() -> bool:
    """Return whether anybody reads our reports."""
    return bool(settings.IRIS_ALIVE_FILE or os.environ.get("NOTIFY_SOCKET"))


def report() -> None:
    """Report that this process is not stuck. Frequent calls cost one report per EVERY seconds."""
    global _reported_at
    now = time.monotonic()
    if now - _reported_at < EVERY:
        return
    _reported_at = now
    try:
        if settings.IRIS_ALIVE_FILE:
            Path(settings.IRIS_ALIVE_FILE).touch()
        if address := os.environ.get("NOTIFY_SOCKET"):
            _notify(address, b"WATCHDOG=1")
    except OSError as error:  # such as a full disk: the process itself works
        logger.warning("The report that this process is alive failed: %s", error)


def _notify(address: str, message: bytes) -> None:
    """Send a message to systemd. An address that begins with @ is in the abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(1)
        sock.sendto(message, "\0" + address[1:] if address.startswith("@") else address)


class WorkerWatchdog(bootsteps.StartStopStep):
    """Report that the worker is alive for as long as its main loop turns and not all its processes are stuck.

    The main loop only notes each turn, and a thread reports it: while Redis is away, the worker waits for it outside of the
    main loop, and a restart would not help.
    """

    requires = ("celery.worker.components:Timer",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        self._turned_at = time.monotonic()
        super().__init__(worker, **kwargs)

    def include_if(self, worker: Any) -> bool:
        return is_watched()

    def start(self, worker: Any) -> None:
        worker.timer.call_repeatedly(EVERY, self.note_turn, (worker,))
        threading.Thread(target=self._run, args=(worker,), name="watchdog", daemon=True).start()

    def note_turn(self, worker: Any) -> None:
        """Note that the main loop turns. It does so even if all processes of the worker are stuck, so look at these, too."""
        now = time.time()
        stuck = [each for each in state.active_requests if now - (each.time_start or now) > MAX_TASK_SECONDS]
        if len(stuck) < worker.concurrency:
            self._turned_at = time.monotonic()

    def is_alive(self, worker: Any) -> bool:
        consumer = worker.consumer
        if consumer is None or consumer.connection is None or consumer.blueprint.state != bootsteps.RUN:  # type: ignore[attr-defined]
            return True  # it starts, waits for Redis, or stops, and each of these has its own limit
        return time.monotonic() - self._turned_at < MAX_SILENCE

    def _run(self, worker: Any) -> None:
        while True:
            if self.is_alive(worker):
                report()
            time.sleep(EVERY)
