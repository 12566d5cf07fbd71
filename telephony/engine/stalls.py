"""Work that stands still: whoever does it says that it gets on, and `stalled` finds where nobody has said so lately.

The rows are those of `telephony.engine.time_slices`: a task begins its turn, and gets on within it.
"""

from __future__ import annotations

import time
from zlib import crc32

from django.db import connection

# Work by the name of its lock, and what is wrong when it stands still. Seconds without progress that are no reason to
# worry: a chunk of speech, and reading a very large sheet, take long on a busy machine.
FILL, FILL_MORE, BACKGROUND = "fill", "fill:more", "background"
SILENT = {FILL: 120.0, FILL_MORE: 120.0, BACKGROUND: 600.0}
WHAT = {
    FILL: "the calls and SMS of campaigns are not being prepared",
    FILL_MORE: "the second process that prepares calls and SMS stands still",
    BACKGROUND: "sheets are not being imported, nor scheduled calls spoken ahead of their time",
}
HELPERS = {FILL_MORE: FILL}  # what another one does as well: by itself, it need not run at all
WAITING = "waiting:"

EVERY = 1.0  # seconds between two notes of one process

_noted: dict[str, float] = {}


def got_on(name: str) -> None:
    """Note that this work gets on; called often, it costs a statement a second."""
    now = time.monotonic()
    if now - _noted.get(name, -EVERY) < EVERY:
        return
    _noted[name] = now
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO telephony_turn (name, began_at, got_on_at)
               VALUES (%s, clock_timestamp(), clock_timestamp())
               ON CONFLICT (name) DO UPDATE SET got_on_at = clock_timestamp()""",
            [name],
        )


def note_waiting(name: str, *, waits: bool) -> None:
    """Note since when there has been something to do, or that there is nothing. Each tick says so."""
    with connection.cursor() as cursor:
        if waits:
            cursor.execute(
                """INSERT INTO telephony_turn (name, began_at) VALUES (%s, clock_timestamp())
                   ON CONFLICT (name) DO NOTHING""",
                [WAITING + name],
            )
        else:
            cursor.execute("DELETE FROM telephony_turn WHERE name = %s", [WAITING + name])


def stalled() -> list[str]:
    """A sentence for each kind of work that has not got on for a while, although there is something to do."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT name, extract(epoch FROM clock_timestamp() - greatest(began_at, got_on_at))::float8
                 FROM telephony_turn WHERE name = ANY(%s)""",
            [[*SILENT, *(WAITING + name for name in SILENT)]],
        )
        silent: dict[str, float] = dict(cursor.fetchall())
        cursor.execute(
            """SELECT DISTINCT classid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
        )
        held = {classid for (classid,) in cursor.fetchall()}
    found = []
    for name, limit in SILENT.items():
        waits = silent.get(WAITING + HELPERS.get(name, name))
        if waits is None:
            continue
        is_busy = _class_of(name) in held
        # Since when nobody got on, or since when somebody should have.
        seconds = min(waits, silent.get(name, waits))
        if seconds > limit and (is_busy or name not in HELPERS):
            found.append(f"No progress for {seconds / 60:.0f} minutes: {WHAT[name]}.")
    return found


def _class_of(name: str) -> int:
    """How pg_locks shows a lock of `telephony.engine.locks`: its first key, without a sign."""
    return (crc32(name.encode()) - 2**31) % 2**32
