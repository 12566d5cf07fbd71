"""Nudge workers through Celery. A lost nudge costs at most one tick, so a broker that is down stops nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from celery import Task
from django.db import transaction
from django.utils.module_loading import import_string

# Seconds after which a waiting nudge is dropped. Nothing is lost, because each tick sends a new one. Without this limit, a
# worker that was down for an hour would start with an hour of old nudges.
EXPIRES = 60


def sent_at(task: Task[Any, Any]) -> datetime | None:
    """Return when the nudge was sent that started this task; None if the task was called directly."""
    expires: object = task.request.expires
    if isinstance(expires, str):
        expires = datetime.fromisoformat(expires)
    return expires - timedelta(seconds=EXPIRES) if isinstance(expires, datetime) else None


def nudge(name: str, *args: Any) -> None:
    """Send the task with this dotted name (`telephony.tasks.dispatch`) after the present transaction has committed.

    The caller gives the name, so that it need not import `tasks`. Errors of the broker are logged and not raised.
    """
    transaction.on_commit(partial(_send, name, args), robust=True)


def _send(name: str, args: tuple[Any, ...]) -> None:
    import_string(name).apply_async(args=args, retry=False)
