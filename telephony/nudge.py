"""Celery is only a nudge: a lost one costs at most one tick, so a broker that is down disturbs nobody."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from celery import Task
from django.db import transaction

# Seconds after which a nudge that nobody took is worthless: the next tick has nudged again. So what a worker that was
# away finds in its queue costs it nothing.
EXPIRES = 60


def sent_at(task: Task[Any, Any]) -> datetime | None:
    """When the nudge was sent that this task is running for; None where it was called and not nudged."""
    expires: object = task.request.expires
    if isinstance(expires, str):
        expires = datetime.fromisoformat(expires)
    return expires - timedelta(seconds=EXPIRES) if isinstance(expires, datetime) else None


def nudge(task: Task[Any, Any], *args: Any) -> None:
    """Send a task once the present transaction is committed; failing to is logged, and no error."""
    transaction.on_commit(partial(task.apply_async, args=args, retry=False), robust=True)
