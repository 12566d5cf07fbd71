"""Hold all deliveries after a restored backup until the operator releases them (`manage.py after_restore`, docs/restore.md).

A backup does not know which recipients were called or texted after it was made. So the database stores identifiers of the
place where its data were written, called *marks* (`RestoreGuard`). A restore changes at least one of them:

* the identifier of the PostgreSQL server and the timeline of its write-ahead log change on another server, after a
  recovery to a point in time, and when a standby takes over;
* the oids of the database and of two tables change in a restored dump and in a copy by CREATE DATABASE … TEMPLATE;
* the transaction that wrote the anchor's row changes when a data-only dump is restored into existing tables.

A copy of the server's files has the same marks as the original. To detect it, every worker stores in IRIS_HOME the last
value that it saw of the counter `RestoreGuard.beats`.

Each claim calls `is_held` after it has locked its trunk, so the hold does not depend on a tick that runs first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import F

from iris.errors import Unavailable
from telephony.carriers import get_carrier
from telephony.engine import lifecycle, restore_witness
from telephony.models import RestoreAnchor, RestoreGuard, Trunk

log = logging.getLogger(__name__)

WARN_SECONDS = 60.0  # seconds between two warnings of one process
BY_HAND = "An operator has requested it."
NO_GUARD = "The row of telephony_restoreguard is missing."
OLDER = "This server has seen a newer state of the database."
# Messages to the operator when an identifier has changed. Identifiers that may be unknown are compared only if both values
# are known.
SOMETIMES_UNKNOWN = {
    "system_identifier": "The data are on a different PostgreSQL server.",
    "timeline": "PostgreSQL was recovered to a point in time, or a standby has taken over.",
}
ALWAYS_KNOWN = {
    "database_oid": "The data are in a different database.",
    "guard_oid": "The tables were created again.",
    "delivery_oid": "The table of deliveries was created again.",
    "anchor_xmin": "The rows were inserted again.",
}
MARKS = [*SOMETIMES_UNKNOWN, *ALWAYS_KNOWN]
_MARKS_QUERY = f"""SELECT g.held_since, g.reason, g.adopted_at, g.beats, {", ".join(f"g.{name}, m.{name}" for name in MARKS)}
              FROM telephony_restoreguard g CROSS JOIN telephony_marks() m"""

_warned_at = -WARN_SECONDS


@dataclass(frozen=True, slots=True)
class Hold:
    """All deliveries are held. `since` is None if the hold is not stored yet."""

    since: datetime | None
    reason: str


def hold() -> Hold | None:
    """Return the present hold; None if deliveries may be submitted. Takes one statement, about 0.1 ms."""
    with connection.cursor() as cursor:
        cursor.execute(_MARKS_QUERY)
        row = cursor.fetchone()
    if row is None:
        return Hold(None, NO_GUARD)
    since, reason, adopted_at, beats, *marks = row
    if since is not None:
        return Hold(since, reason)
    pairs = dict(zip(MARKS, zip(marks[::2], marks[1::2], strict=True), strict=True))
    reasons = _changes(pairs)
    if not reasons and restore_witness.has_seen_more(
        place=(pairs["system_identifier"][1], pairs["database_oid"][1]), adopted_at=adopted_at, beats=beats
    ):
        reasons = [OLDER]
    return Hold(None, " ".join(reasons)) if reasons else None


def _changes(pairs: dict[str, tuple[int | None, int | None]]) -> list[str]:
    """Return a message for each mark that has changed. `pairs` has the stored and the present value of each mark."""
    reasons = []
    for name, (written, now) in pairs.items():
        if name in ALWAYS_KNOWN and written != now:
            reasons.append(ALWAYS_KNOWN[name])
        elif name in SOMETIMES_UNKNOWN and None not in (written, now) and written != now:
            reasons.append(SOMETIMES_UNKNOWN[name])
    return reasons


def is_held() -> bool:
    """Return whether all deliveries are held. Claims call it after they have locked the trunk's row."""
    return hold() is not None


def refuse_held() -> None:
    """Raise Unavailable while deliveries are held.

    This is for requests whose result would be useless after the hold, such as OTPs.
    """
    if is_held():
        raise Unavailable(
            "This server was restored from a backup and sends nothing until its operator allows it. Try again later.",
            code="restore_hold",
        )


def describe_hold() -> str:
    """Describe the hold for health checks and `trunk_status`; return an empty string if there is none."""
    current = hold()
    if current is None:
        return ""
    since = f" since {current.since:%Y-%m-%d %H:%M} UTC" if current.since else ""
    return f"held after a restore{since}: {current.reason} manage.py after_restore shows what waits."


def update_guard() -> bool:
    """Store a new hold, or increment `beats` if there is none; return whether deliveries are held.

    Each tick calls this function first.
    """
    current = hold()
    if current is None:
        RestoreGuard.objects.filter(held_since=None).update(beats=F("beats") + 1)
        return False
    if current.since is None and hold_everything(reason=current.reason):
        log.error("All deliveries are held from now on: %s See docs/restore.md.", current.reason)
    _warn(current)
    return True


def _warn(current: Hold) -> None:
    global _warned_at
    if time.monotonic() - _warned_at >= WARN_SECONDS:
        _warned_at = time.monotonic()
        log.warning(
            "All deliveries are held after a restore. %s manage.py after_restore shows what waits.",
            current.reason,
        )


def hold_everything(*, reason: str = BY_HAND) -> bool:
    """Hold all deliveries; return whether this call began the hold. No claim returns deliveries after this call."""
    if not RestoreGuard.objects.exists():
        adopt("default")
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_restoreguard SET held_since = clock_timestamp(), reason = %s, set_aside_at = NULL
                WHERE held_since IS NULL""",
            [reason[:300]],
        )
        written = bool(cursor.rowcount)
    # Claims that did not see the hold keep their trunk's row locked until they commit: wait for them.
    with transaction.atomic():
        list(Trunk.objects.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    return written


def note_runs_paused() -> None:
    """Store the fact that the runs of the backup have been paused, so that they are not paused again."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_restoreguard SET set_aside_at = clock_timestamp()
                WHERE held_since IS NOT NULL AND set_aside_at IS NULL"""
        )


def must_pause_runs() -> bool:
    """Return whether the runs that were live in the backup still have to be paused."""
    return RestoreGuard.objects.filter(held_since__isnull=False, set_aside_at=None).exists()


def release() -> None:
    """Release the hold and store the present marks.

    Deliveries that were in flight in the backup get the carrier's full report timeout again, and then end as lost.
    """
    lifecycle.restart_report_timeouts(
        {alias: get_carrier(alias).report_timeout() for alias in settings.CARRIERS}
    )
    adopt("default", after_restore=True)


def adopt(using: str, *, after_restore: bool = False) -> None:
    """Store the present marks, and end any hold."""
    columns = ", ".join(MARKS)
    restored_at = "clock_timestamp()" if after_restore else "NULL"
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(
            "INSERT INTO telephony_restoreanchor SELECT WHERE NOT EXISTS (SELECT FROM telephony_restoreanchor)"
        )
        cursor.execute(
            f"""INSERT INTO telephony_restoreguard AS g
                       (id, adopted_at, beats, held_since, reason, set_aside_at, restored_at, {columns})
                SELECT 1, clock_timestamp(), 0, NULL, '', NULL, {restored_at}, {columns} FROM telephony_marks()
                ON CONFLICT (id) DO UPDATE
                   SET (adopted_at, held_since, reason, set_aside_at, restored_at, {columns})
                     = (excluded.adopted_at, NULL, '', NULL, excluded.restored_at,
                        {", ".join(f"excluded.{name}" for name in MARKS)})"""
        )


def adopt_new(using: str = "default", apps: Any = None, **_: Any) -> None:
    """Store the marks of a database whose tables were just created or emptied. Receiver of `post_migrate`."""
    if apps is not None and "restoreguard" not in apps.all_models["telephony"]:
        return  # migrated back to a release without the guard
    if not RestoreGuard.objects.using(using).exists() and not RestoreAnchor.objects.using(using).exists():
        adopt(using)


def newest_claim() -> datetime | None:
    """Return the time of the newest claim in the database, None if there is no claim. The backup was made about then."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT max(claimed_at)
                 FROM (SELECT claimed_at FROM telephony_delivery ORDER BY id DESC LIMIT 20000) latest"""
        )
        row: Sequence[datetime | None] = cursor.fetchone()
        return row[0]
