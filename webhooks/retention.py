"""Delete events that are older than IRIS_KEEP_WEBHOOKS_DAYS, and what belongs to deleted endpoints."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from webhooks.models import Endpoint

CHUNK = 1000  # rows of a statement
MAX_CHUNKS = 200  # of one call; the next call continues
# The row of a deleted endpoint stays this long, so that no transaction that still writes events for it leaves them behind.
KEEP_DELETED = timedelta(days=1)


def prune(*, days: int | None = None) -> int:
    """Delete old events, also those that were never delivered; return how many."""
    before = timezone.now() - timedelta(days=days or settings.IRIS_KEEP_WEBHOOKS_DAYS)
    removed = 0
    for _ in range(MAX_CHUNKS):
        # Ids rise with time, so only the first rows are read.
        chunk = _remove(
            f"""SELECT id FROM (SELECT id, created_at FROM webhooks_outboxmessage ORDER BY id LIMIT {CHUNK}) AS first
                 WHERE created_at < %s""",
            [before],
        )
        removed += chunk
        if chunk < CHUNK:
            break
    return removed + _remove_deleted_endpoints()


def _remove_deleted_endpoints() -> int:
    removed = 0
    deleted = Endpoint.objects.filter(deleted_at__isnull=False)
    for pk in list(deleted.values_list("pk", flat=True)):
        for _ in range(MAX_CHUNKS):
            chunk = _remove(
                f"SELECT id FROM webhooks_outboxmessage WHERE endpoint_id = %s LIMIT {CHUNK}", [pk]
            )
            removed += chunk
            if chunk < CHUNK:
                break
    deleted.filter(deleted_at__lt=timezone.now() - KEEP_DELETED).delete()
    return removed


def _remove(ids: str, parameters: list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM webhooks_outboxmessage WHERE id IN ({ids})", parameters)
        return int(cursor.rowcount)
