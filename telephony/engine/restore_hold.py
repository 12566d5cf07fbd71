"""After a restored backup nothing leaves until an operator says so (`manage.py after_restore`, docs/restore.md).

A backup does not know who was called or texted since it was made. So the database keeps marks of the place where its
data were written (`RestoreGuard`), which a restore cannot carry along:

* the identifier of the PostgreSQL server and the timeline of its write-ahead log: another server, a recovery to a point
  in time, a standby that took over;
* the oids of the database and of two tables: a restored dump, a copy made with CREATE DATABASE … TEMPLATE;
* the transaction that wrote the anchor's row: a dump of the data alone, restored into tables that are there.

A copy of the server's files that is started as it is has the same marks as the original. Only somebody outside can
tell: every worker remembers in IRIS_HOME how far the database was (`RestoreGuard.beats`).

`is_held` is asked by each claim, after it has locked its trunk, so nothing depends on a tick that comes first.
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

WARN_SECONDS = 60.0  # between two warnings of one process
BY_HAND = "An operator has said so."
NO_GUARD = "The row of telephony_restoreguard is missing."
OLDER = "The database is older than this server has seen it before."
# Why a mark is not what it was, as the operator is told. Those that may be unknown are compared where both are known.
SOMETIMES_UNKNOWN = {
    "system_identifier": "The data are on another PostgreSQL server than before.",
    "timeline": "PostgreSQL was recovered to a point in time, or a standby has taken over.",
}
ALWAYS_KNOWN = {
    "database_oid": "The data are in another database than before.",
    "guard_oid": "The tables were made anew.",
    "delivery_oid": "The table of deliveries was made anew.",
    "anchor_xmin": "The rows were written anew.",
}
MARKS = [*SOMETIMES_UNKNOWN, *ALWAYS_KNOWN]
_LOOK = f"""SELECT g.held_since, g.reason, g.adopted_at, g.beats, {", ".join(f"g.{name}, m.{name}" for name in MARKS)}
              FROM telephony_restoreguard g CROSS JOIN telephony_marks() m"""

_warned_at = -WARN_SECONDS


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing leaves. `since` is None where that has not been written down yet."""

    since: datetime | None
    reason: str


def hold() -> Hold | None:
    """Whether everything is held back at this moment, and why; None while it is not. One statement, some 0.1 ms."""
    with connection.cursor() as cursor:
        cursor.execute(_LOOK)
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
    """`pairs`: of each mark, what is written down and what it is now."""
    reasons = []
    for name, (written, now) in pairs.items():
        if name in ALWAYS_KNOWN and written != now:
            reasons.append(ALWAYS_KNOWN[name])
        elif name in SOMETIMES_UNKNOWN and None not in (written, now) and written != now:
            reasons.append(SOMETIMES_UNKNOWN[name])
    return reasons


def is_held() -> bool:
    """Whether nothing may leave; for whoever claims deliveries, after the trunk's row has been locked."""
    return hold() is not None


def refuse_held() -> None:
    """Raises Unavailable while everything is held: for what is of no use later."""
    if is_held():
        raise Unavailable(
            "This server was restored from a backup and sends nothing until its operator lets it go on. Try again later."
        )


def sentence() -> str:
    """What health checks and `trunk_status` say of it; empty while nothing is held."""
    found = hold()
    if found is None:
        return ""
    since = f" since {found.since:%Y-%m-%d %H:%M} UTC" if found.since else ""
    return f"held after a restore{since}: {found.reason} manage.py after_restore shows what waits."


def look_after() -> bool:
    """Called by each tick before everything else: write down that everything is held, if it is; whether it is."""
    found = hold()
    if found is None:
        RestoreGuard.objects.filter(held_since=None).update(beats=F("beats") + 1)
        return False
    if found.since is None and hold_everything(reason=found.reason):
        log.error("Nothing leaves from now on: %s See docs/restore.md.", found.reason)
    _warn(found)
    return True


def _warn(found: Hold) -> None:
    global _warned_at
    if time.monotonic() - _warned_at >= WARN_SECONDS:
        _warned_at = time.monotonic()
        log.warning(
            "Nothing leaves: held after a restore. %s manage.py after_restore shows what waits.", found.reason
        )


def hold_everything(*, reason: str = BY_HAND) -> bool:
    """Once this returns, no claim hands anything out any more; whether this call wrote it down."""
    if not RestoreGuard.objects.exists():
        adopt("default")
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_restoreguard SET held_since = clock_timestamp(), reason = %s, set_aside_at = NULL
                WHERE held_since IS NULL""",
            [reason[:300]],
        )
        written = bool(cursor.rowcount)
    with (
        transaction.atomic()
    ):  # claims that had looked before have their trunk's row until they are committed
        list(Trunk.objects.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    return written


def note_set_aside() -> None:
    """Write down that everything that was under way has been paused, so that it is not paused again."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_restoreguard SET set_aside_at = clock_timestamp()
                WHERE held_since IS NOT NULL AND set_aside_at IS NULL"""
        )


def must_set_aside() -> bool:
    """Whether what was under way at the time of the backup is still to be paused."""
    return RestoreGuard.objects.filter(held_since__isnull=False, set_aside_at=None).exists()


def release() -> None:
    """Let everything leave again: what is here now is what counts, and these are its marks from now on.

    What was under way at the time of the backup gets the carrier's full time for a report, and then counts as lost.
    """
    lifecycle.expect_reports_anew({alias: get_carrier(alias).report_timeout() for alias in settings.CARRIERS})
    adopt("default", after_restore=True)


def adopt(using: str, *, after_restore: bool = False) -> None:
    """Take the marks of the present place, whatever was written down before."""
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
    """A database whose tables have just been made, or emptied, is where it belongs. Receiver of `post_migrate`."""
    if apps is not None and "restoreguard" not in apps.all_models["telephony"]:
        return  # migrated back to before there was a guard
    if not RestoreGuard.objects.using(using).exists() and not RestoreAnchor.objects.using(using).exists():
        adopt(using)


def newest_claim() -> datetime | None:
    """When the data last saw a delivery leave: what happened later is not in this backup."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT max(claimed_at)
                 FROM (SELECT claimed_at FROM telephony_delivery ORDER BY id DESC LIMIT 20000) latest"""
        )
        found: Sequence[datetime | None] = cursor.fetchone()
        return found[0]
