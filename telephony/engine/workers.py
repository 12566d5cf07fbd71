"""Find out which workers are alive. Each worker records that it is alive whenever one of its processes begins a task.

This covers workers that serve all trunks. The worker of a single trunk records it in that trunk's row (`Trunk.session_at`).
The rows are those of `telephony.engine.time_slices`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from celery import current_app
from celery.signals import task_prerun, worker_init
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models.functions import Now

from telephony.models import TimeSlice

PREFIX = "worker:"
EVERY = 5.0  # seconds between two records of one process
# Beat sends several tasks a second, and each worker gets some of them. But one task may keep a process busy for a minute.
SILENT = timedelta(seconds=90)
FORGOTTEN = timedelta(days=1)
NAME_LENGTH = 60

_name = ""  # name of this worker's row, which its forked processes inherit; "" if it records nothing
_noted_at = float("-inf")


@dataclass(frozen=True, slots=True)
class LivingWorker:
    name: str
    processes: int


def remember(sender: Any, **kwargs: Any) -> None:
    """Receiver of `worker_init`: store the name of this worker, with the number of its processes."""
    global _name
    if current_app.conf.task_default_queue in current_app.amqp.queues.consume_from:
        # Two workers may have the same name, or be in containers with the same process ids.
        _name = f"{PREFIX}{sender.concurrency}:{os.getpid()}:{str(sender.hostname)[:NAME_LENGTH]}"


def note(**kwargs: Any) -> None:
    """Receiver of `task_prerun`: record that this worker is alive."""
    global _noted_at
    now = time.monotonic()
    if not _name or now - _noted_at < EVERY:
        return
    _noted_at = now
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                """INSERT INTO telephony_turn (name, began_at) VALUES (%s, clock_timestamp())
                   ON CONFLICT (name) DO UPDATE SET began_at = clock_timestamp()""",
                [_name],
            )
            cursor.execute(
                "DELETE FROM telephony_turn WHERE starts_with(name, %s) AND began_at < clock_timestamp()"
                " - make_interval(secs => %s)",
                [PREFIX, FORGOTTEN.total_seconds()],
            )
    except (DatabaseError, InterfaceError):
        _noted_at = float("-inf")  # ignored here, because the task itself will report the error


def living() -> list[LivingWorker]:
    """Return the workers that serve all trunks and began a task within the last minute and a half."""
    names = (
        TimeSlice.objects.filter(name__startswith=PREFIX, began_at__gt=Now() - SILENT)
        .order_by("name")
        .values_list("name", flat=True)
    )
    found = []
    for name in names:
        processes, _, host = name.removeprefix(PREFIX).split(":", 2)
        found.append(LivingWorker(host, int(processes)))
    return found


worker_init.connect(remember, dispatch_uid="telephony.engine.workers.remember")
task_prerun.connect(note, dispatch_uid="telephony.engine.workers.note")
