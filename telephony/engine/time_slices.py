"""How long a task may keep its process: a turn.

A worker has few processes, and its tasks take them in the order in which they were nudged. So where more tasks go on and
on than there are processes for them, each takes turns so short that whatever else was nudged (a tick, the dispatch
of an OTP) waits for about a second at most.

A task that is not done at the end of its turn nudges itself, and every tick nudges it, too. All of that is for one turn:
a nudge that was sent before the last turn began has had it. Otherwise nudges would become ever more, each with turns.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.conf import settings
from django.db import connection

from telephony.carriers import SessionCarrier, get_carrier
from telephony.engine.locks import locked
from telephony.models.statuses import END, QUEUED

LONGEST_WAIT = 1.0  # seconds for which what was nudged waits for a process
SHORTEST = 0.2
# Of a trunk that has a worker to itself, which ends its turn at once when it is told to stop: between two turns, a
# moment passes in which nothing is submitted.
SESSION = 60.0
# Of any other task whose process nobody else needs: a handover costs a trunk with a pace some of its slots.
LONGEST = 60.0
# A turn that began longer ago, in seconds, spends no nudges: a sender whose clock is far behind is heard all the same.
SPENT_FOR = 10.0
FILLERS = 2  # processes that fill runs: one goes on while the other is busy with long speech
# One process at most has a sheet to import or speaks for scheduled runs; that may take as long as it takes.
BACKGROUND = 1


@contextmanager
def turn(name: str, *, sent_at: datetime | None, count: int = 1) -> Iterator[bool]:
    """Hold one of `count` locks of this name while inside; False when all are taken, or the nudge has had its turn."""
    with locked(name, count=count) as ours:
        yield ours and _begin(name, sent_at)


def _begin(name: str, sent_at: datetime | None) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO telephony_turn AS t (name, began_at) VALUES (%(name)s, clock_timestamp())
               ON CONFLICT (name) DO UPDATE SET began_at = clock_timestamp()
                WHERE %(sent_at)s::timestamptz IS NULL OR t.began_at <= %(sent_at)s
                   OR t.began_at < clock_timestamp() - make_interval(secs => %(spent_for)s)
               RETURNING true""",
            {"name": name, "sent_at": sent_at, "spent_for": SPENT_FOR},
        )
        return cursor.fetchone() is not None


def seconds(alias: str = "") -> float:
    """The length of a turn that begins now, of this trunk's: settings.IRIS_TASK_SECONDS, or less where others wait."""
    if alias and isinstance(get_carrier(alias), SessionCarrier):
        return SESSION
    longest = float(settings.IRIS_TASK_SECONDS)
    too_many = _waiting()
    if too_many <= 0:
        return longest
    return min(longest, max(SHORTEST, LONGEST_WAIT * _processes() / too_many))


def may_go_on(*, since: float) -> bool:
    """Whether a turn that began then (monotonic) may go on: no other task needs its process."""
    return time.monotonic() - since < LONGEST and _waiting() <= 0


def _processes() -> int:
    return max(1, settings.IRIS_WORKER_CONCURRENCY - BACKGROUND)


def _waiting() -> int:
    """How many tasks have to wait, if one process is to be free again and again."""
    return 1 + _wanted() - _processes()


def dispatchers(alias: str) -> int:
    """How many processes submit for a trunk at the same time: one where it has a pace, which that process keeps."""
    return 1 if settings.CARRIERS[alias].get("CPS") else int(settings.IRIS_DISPATCHERS_PER_TRUNK)


def _wanted() -> int:
    """How many tasks have something to do at present: those of trunks, and one that fills."""
    aliases = _aliases()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT t.alias,
                       EXISTS (SELECT FROM telephony_delivery d WHERE d.trunk_id = t.id AND d.status = {QUEUED}),
                       EXISTS (SELECT FROM telephony_delivery d
                                WHERE d.trunk_id = t.id AND d.status > {QUEUED} AND d.status < {END})
                  FROM telephony_trunk t WHERE t.alias = ANY(%s)""",
            [aliases],
        )
        return 1 + sum(
            dispatchers(alias) * bool(has_queued) + bool(has_in_flight and get_carrier(alias).polls)
            for alias, has_queued, has_in_flight in cursor.fetchall()
        )


def _aliases() -> list[str]:
    """The trunks that all workers serve; a trunk that keeps a session has a worker of its own."""
    return [alias for alias in settings.CARRIERS if not isinstance(get_carrier(alias), SessionCarrier)]


def processes_wanted() -> int:
    """How many processes have something to do when all trunks have, so that none takes short turns."""
    return FILLERS + BACKGROUND + sum(dispatchers(alias) + get_carrier(alias).polls for alias in _aliases())
