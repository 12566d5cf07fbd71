"""Detect stalled work: tasks record their progress, and `stalled` reports work without recent progress.

The rows are those of `telephony.engine.time_slices`: a task begins its time slice and notes progress within it.
"""

from __future__ import annotations

import time
from zlib import crc32

from django.db import connection

# Work is named by its lock. The limits, in seconds, are generous: a batch of speech and the reading of a very large sheet
# take long on a busy machine.
FILL, FILL_MORE, BACKGROUND = "fill", "fill:more", "background"
MAX_SILENCE_SECONDS = {FILL: 120.0, FILL_MORE: 120.0, BACKGROUND: 600.0}
PROBLEMS = {
    FILL: "the calls and SMS of campaigns are not being queued",
    FILL_MORE: "the second process that prepares calls and SMS is stuck",
    BACKGROUND: "sheets are not being imported, and speech for scheduled runs is not being prepared",
}
OPTIONAL_HELPERS = {
    FILL_MORE: FILL
}  # optional second process → the work that it helps with, which continues without it
WAITING = "waiting:"

NOTE_SECONDS = 1.0  # between two notes of one process

_noted_at: dict[str, float] = {}


def note_progress(name: str) -> None:
    """Record that this work makes progress. Frequent calls cost one statement per second."""
    now = time.monotonic()
    if now - _noted_at.get(name, -NOTE_SECONDS) < NOTE_SECONDS:
        return
    _noted_at[name] = now
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO telephony_turn (name, began_at, got_on_at)
               VALUES (%s, clock_timestamp(), clock_timestamp())
               ON CONFLICT (name) DO UPDATE SET got_on_at = clock_timestamp()""",
            [name],
        )


def note_waiting(name: str, *, waits: bool) -> None:
    """Record since when there has been work to do, or that there is no work. Each tick calls this."""
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
    """Return a message for each kind of work that waits but has made no recent progress."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT name, extract(epoch FROM clock_timestamp() - greatest(began_at, got_on_at))::float8
                 FROM telephony_turn WHERE name = ANY(%s)""",
            [[*MAX_SILENCE_SECONDS, *(WAITING + name for name in MAX_SILENCE_SECONDS)]],
        )
        silent: dict[str, float] = dict(cursor.fetchall())
        cursor.execute(
            """SELECT DISTINCT classid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
        )
        held = {classid for (classid,) in cursor.fetchall()}
    sentences = []
    for name, limit in MAX_SILENCE_SECONDS.items():
        waits = silent.get(WAITING + OPTIONAL_HELPERS.get(name, name))
        if waits is None:
            continue
        is_busy = _class_of(name) in held
        # The time since the last progress, or since work began to wait, whichever is shorter.
        seconds = min(waits, silent.get(name, waits))
        if seconds > limit and (is_busy or name not in OPTIONAL_HELPERS):
            sentences.append(f"No progress for {seconds / 60:.0f} minutes: {PROBLEMS[name]}.")
    return sentences


def _class_of(name: str) -> int:
    """Return the first key of a lock (`iris.locks`) as pg_locks shows it: unsigned."""
    return (crc32(name.encode()) - 2**31) % 2**32
