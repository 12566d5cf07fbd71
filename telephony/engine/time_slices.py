"""Limit how long a task may keep its worker process: its time slice.

A worker has few processes, and tasks get a process in the order of their nudges. If more tasks have work than there are
processes, each gets a short time slice. It is so short that any other task (a tick, the dispatch of an OTP) waits for about
a second at most.

A task that is not done at the end of its time slice nudges itself, and every tick nudges it, too. Nudges sent before the
last time slice began are dropped; otherwise they would multiply.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.conf import settings
from django.db import connection

from iris.locks import locked
from telephony.carriers import SessionCarrier, get_carrier
from telephony.engine.pace_setting import effective, pace_of
from telephony.models.statuses import END, QUEUED

MAX_WAIT_SECONDS = 1.0  # maximum time that a nudged task should wait for a process
MIN_SECONDS = 0.2
# The time slice of a trunk with its own worker. It is long, because nothing is submitted between two time slices. It ends
# at once when the worker is stopped.
SESSION_SECONDS = 60.0
# How long a time slice may become while no other task needs the process. A long time slice avoids handovers, which cost a
# paced trunk some slots.
MAX_SECONDS = 60.0
# A nudge is dropped only if the last time slice began less than this many seconds ago. Otherwise a process with a slow clock
# could never start the task with its nudges.
NUDGE_CHECK_SECONDS = 10.0
FILLERS = 2  # processes that fill runs: one continues while the other waits for long speech
# Number of processes that import sheets or speak messages for scheduled runs. That work has no time limit.
BACKGROUND = 1


@contextmanager
def acquire(name: str, *, sent_at: datetime | None, count: int = 1) -> Iterator[bool]:
    """Begin a time slice: hold one of `count` locks of this name inside the context.

    Yield False if all locks are taken, or if a time slice has begun since the nudge was sent.
    """
    with locked(name, count=count) as acquired:
        yield acquired and _begin(name, sent_at)


def _begin(name: str, sent_at: datetime | None) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO telephony_turn AS t (name, began_at) VALUES (%(name)s, clock_timestamp())
               ON CONFLICT (name) DO UPDATE SET began_at = clock_timestamp()
                WHERE %(sent_at)s::timestamptz IS NULL OR t.began_at <= %(sent_at)s
                   OR t.began_at < clock_timestamp() - make_interval(secs => %(check)s)
               RETURNING true""",
            {"name": name, "sent_at": sent_at, "check": NUDGE_CHECK_SECONDS},
        )
        return cursor.fetchone() is not None


def seconds(alias: str = "") -> float:
    """Return the length of a time slice that begins now, in seconds.

    It is SESSION_SECONDS for a trunk with its own worker. For all others it is settings.IRIS_TASK_SECONDS, or shorter if
    other tasks wait.
    """
    if alias and isinstance(get_carrier(alias), SessionCarrier):
        return SESSION_SECONDS
    longest = float(settings.IRIS_TASK_SECONDS)
    excess = _excess_tasks()
    if excess <= 0:
        return longest
    return min(longest, max(MIN_SECONDS, MAX_WAIT_SECONDS * _processes() / excess))


def may_continue(*, since: float) -> bool:
    """Return whether a time slice that began at `since` (monotonic) may be extended: no other task needs its process."""
    return time.monotonic() - since < MAX_SECONDS and _excess_tasks() <= 0


def _processes() -> int:
    return max(1, settings.IRIS_WORKER_CONCURRENCY - BACKGROUND)


def _excess_tasks() -> int:
    """Return how many more busy tasks than processes there are. One process is kept for other tasks."""
    return 1 + _busy_tasks() - _processes()


def dispatchers(alias: str) -> int:
    """Return how many processes may dispatch a trunk at the same time.

    It is one if the trunk has a pace, because that process keeps the pace.
    """
    return _dispatchers(pace_of(alias))


def _dispatchers(pace: float | None) -> int:
    return 1 if pace else int(settings.IRIS_DISPATCHERS_PER_TRUNK)


def _busy_tasks() -> int:
    """Return how many tasks have work at present: the tasks of trunks, and one that fills runs."""
    aliases = _aliases()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT t.alias, t.cps,
                       EXISTS (SELECT FROM telephony_delivery d WHERE d.trunk_id = t.id AND d.status = {QUEUED}),
                       EXISTS (SELECT FROM telephony_delivery d
                                WHERE d.trunk_id = t.id AND d.status > {QUEUED} AND d.status < {END})
                  FROM telephony_trunk t WHERE t.alias = ANY(%s)""",
            [aliases],
        )
        return 1 + sum(
            _dispatchers(effective(alias, cps)) * bool(has_queued)
            + bool(has_in_flight and get_carrier(alias).polls)
            for alias, cps, has_queued, has_in_flight in cursor.fetchall()
        )


def are_processors_needed() -> bool:
    """Return whether a trunk without a pace has queued deliveries: they are submitted as fast as the processors allow."""
    unpaced = [alias for alias in _aliases() if not pace_of(alias)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT EXISTS (SELECT FROM telephony_trunk t WHERE t.alias = ANY(%s) AND EXISTS (
                    SELECT FROM telephony_delivery d WHERE d.trunk_id = t.id AND d.status = {QUEUED}
                       AND d.not_before <= statement_timestamp()))""",
            [unpaced],
        )
        return bool(cursor.fetchone()[0])


def _aliases() -> list[str]:
    """Return the trunks without a worker of their own. Each trunk with a session has its own worker."""
    return [alias for alias in settings.CARRIERS if not isinstance(get_carrier(alias), SessionCarrier)]


def processes_needed() -> int:
    """Return how many processes are needed so that no task gets a short time slice even when all trunks are busy.

    The trunk of test twins does not count: tests can wait.
    """
    aliases = [alias for alias in _aliases() if alias != settings.TWIN_TRUNK]
    return FILLERS + BACKGROUND + sum(dispatchers(alias) + get_carrier(alias).polls for alias in aliases)
