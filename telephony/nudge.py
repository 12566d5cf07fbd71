"""Celery is only a nudge: a lost one costs at most one tick, so a broker that is down disturbs nobody."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import Task
from django.db import transaction


def nudge(task: Task[Any, Any], *args: Any) -> None:
    """Send a task once the present transaction is committed; failing to is logged, and no error."""
    transaction.on_commit(partial(task.apply_async, args=args, retry=False), robust=True)
