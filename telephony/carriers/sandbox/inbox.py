"""The sandbox's inbox: the calls and SMS that would have reached phones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from django.db.models import QuerySet

from telephony.carriers.sandbox.fates import Fate
from telephony.models import Channel, SandboxMessage

MAX_WAIT_SECONDS = 20
POLL_SECONDS = 0.25
# How many requests of one process may wait at once. Each of them occupies a thread of the web server.
MAX_WAITING = 2
_places = threading.BoundedSemaphore(MAX_WAITING)

Found = TypeVar("Found", bound=Sequence[object])


def visible(owner_id: int | None) -> QuerySet[SandboxMessage]:
    """Return what the inbox of one account has, or that of all accounts."""
    rows = SandboxMessage.objects.filter(hidden=False)
    return rows if owner_id is None else rows.filter(owner_id=owner_id)


def hide(owner_id: int | None) -> None:
    """Empty the inbox of one account, or of all."""
    visible(owner_id).update(hidden=True)


def wait_until(find: Callable[[], Found], *, seconds: float) -> Found:
    """Return what `find` finds as soon as it finds something, or nothing after these seconds, at most MAX_WAIT_SECONDS.

    If MAX_WAITING others wait already, return at once: the web server needs its threads.
    """
    found = find()
    if found or not _places.acquire(blocking=False):
        return found
    try:
        end = time.monotonic() + min(seconds, MAX_WAIT_SECONDS)
        while not found and (left := end - time.monotonic()) > 0:
            time.sleep(min(POLL_SECONDS, left))
            found = find()
        return found
    finally:
        _places.release()


def status_of(row: SandboxMessage, now: datetime) -> str:
    """Return what the phone would show by now, even if no report was sent."""
    if row.end_at and now >= row.end_at:
        if row.channel == Channel.CALL:
            return {Fate.BUSY: "busy", Fate.NO_ANSWER: "unanswered", Fate.HANGS_UP: "hungup"}.get(
                Fate(row.fate), "completed"
            )
        return "delivered"
    if row.answer_at and now >= row.answer_at:
        return "answered"
    if row.ring_at and now >= row.ring_at:
        return "ringing"
    return "accepted"
