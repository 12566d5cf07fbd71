"""The pace of a trunk: its deliveries leave 1/CPS apart on average, and no second ever has more than CPS + max(1, 2 %).

A claim reserves slots 1/CPS apart in the trunk's row, so a process that dies costs the trunk its slots and nothing else.
One process at a time submits for a trunk that has a pace. A delivery whose slot has passed, because a commit, the carrier
or the machine was slow, leaves as soon as the last second has room for it (`SlidingSecond`): lateness costs accuracy,
never progress.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from telephony.engine import lifecycle, restore_hold
from telephony.engine.lifecycle import Claimed
from telephony.models.statuses import END, QUEUED

# How far ahead of its slot a delivery is claimed, in seconds. This bridges the gap between two dispatchers, so that no
# slot is wasted, and bounds how long an OTP waits behind the deliveries that are claimed already.
HORIZON = 0.2
# How far back slots reach that nobody has claimed: a handover between two processes, or a slow claim, must not cost a
# trunk its pace. A trunk that was idle for longer begins anew.
CATCH_UP = 0.25
LONGEST_AHEAD = 10.0  # seconds to the next slot; a slot further away means that a clock was set back
RING_SECONDS = 120  # a call that has been ringing for longer has ended, whatever its status says


def max_per_second(cps: float) -> int:
    """The most deliveries that may leave within one second, wherever that second begins."""
    return int(cps + max(1.0, 0.02 * cps))


class SlidingSecond:
    """The departures of the last second. Times are monotonic.

    A carrier gets a delivery a little after its submission has begun. An entry counts from the latest such moment: the end
    of the submission, but at most `UNCERTAINTY` seconds after its begin.
    """

    UNCERTAINTY = 0.01

    def __init__(self, cps: float) -> None:
        self.cps = cps
        self._limit = max_per_second(cps)
        self._departures: deque[tuple[float, int]] = deque()
        self._count = 0

    def room(self, now: float) -> int:
        """How many deliveries may leave now."""
        while self._departures and self._departures[0][0] <= now - 1:
            self._count -= self._departures.popleft()[1]
        return max(0, self._limit - self._count)

    def opens_at(self, now: float) -> float:
        """When at least one delivery may leave; `now` or earlier if one may leave at once."""
        return now if self.room(now) or not self._departures else self._departures[0][0] + 1

    def add(self, count: int, *, begun: float, ended: float) -> None:
        self._departures.append((min(ended, begun + self.UNCERTAINTY), count))
        self._count += count

    def count(self, now: float) -> int:
        self.room(now)
        return self._count

    def next_slot(self, now: float) -> float:
        """The earliest moment from which somebody who knows nothing of these departures may send one every 1/CPS."""
        earliest, sent = now, 0
        for moment, count in reversed(self._departures):
            sent += count
            earliest = max(earliest, moment + 1 - max(0.0, self._limit - 1 - sent) / self.cps)
        return earliest


@dataclass(slots=True)
class Claim:
    """What may leave now. `slots` are monotonic times; `wait` is how long until more may, None when nothing is due."""

    deliveries: list[Claimed] = field(default_factory=list)
    valid_until: datetime = datetime.max
    slots: list[float] = field(default_factory=list)
    wait: float | None = None


@transaction.atomic
def claim(
    alias: str,
    *,
    horizon: float = HORIZON,
    bearable: float | None = None,
    at_most: int | None = None,
    pace_note: str | None = None,
) -> Claim:
    """Take as many deliveries as the trunk's pace and free channels allow within the horizon, in seconds.

    `bearable` is the pace that the carrier itself keeps at present, in deliveries a second: no more are claimed than it
    sends within the horizon. `at_most` is how many it can have at all. `pace_note` says why the trunk is slower than its
    setting; None leaves the last note.

    The trunk's row is locked, and its next free slot moves by 1/CPS for each claimed delivery: the slots of two claims
    are never closer than that, whichever processes claim.
    """
    config = settings.CARRIERS[alias]
    pace, channels = config.get("CPS"), config.get("CHANNELS")
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id, last_owner_id, next_slot_at, pause_reason, paused_until
                 FROM telephony_trunk WHERE alias = %s FOR NO KEY UPDATE""",
            [alias],
        )
        row = cursor.fetchone()
        if row is None:  # nothing was ever ordered on it
            return Claim()
        trunk_id, last_owner, slot, pause_reason, paused_until = row
        # Asked with the row locked: whoever holds everything back waits for claims that have looked before.
        if restore_hold.is_held():
            return Claim()
        # Asked only now: the lock may have been waited for.
        cursor.execute("SELECT clock_timestamp()")
        now = cursor.fetchone()[0]
        arrival = time.monotonic()
        step = 1 / pace if pace else 0.0
        missed = slot is None or slot < now - timedelta(seconds=CATCH_UP)
        if not pace or missed or slot > now + timedelta(seconds=max(LONGEST_AHEAD, 2 * step)):
            slot = now
        if pause_reason and (paused_until is None or paused_until > now):
            return Claim()
        ahead = (slot - now).total_seconds()
        if pace:
            if ahead >= horizon:
                return Claim(wait=ahead - horizon / 2)
            limit = min(settings.IRIS_CLAIM_SIZE, int((horizon - ahead) * pace) + 1)
        else:
            limit = settings.IRIS_CLAIM_SIZE
        if bearable:
            limit = min(limit, int(HORIZON * bearable) + 1)
        limit = min(limit, at_most or limit)
        call_limit = None
        if channels is not None:
            cursor.execute(
                f"""SELECT count(*) FROM telephony_delivery
                     WHERE trunk_id = %s AND channel = 'call' AND status > {QUEUED} AND status < {END}
                       AND claimed_at > statement_timestamp() - make_interval(secs => %s)""",
                # A call that has never reported is over by then, whatever its status says.
                [trunk_id, settings.IRIS_MAX_AUDIO_SECONDS + RING_SECONDS],
            )
            call_limit = max(0, channels - cursor.fetchone()[0])
        claimed = lifecycle.claim(
            trunk_id=trunk_id, limit=limit, call_limit=call_limit, last_owner=last_owner
        )
        if not claimed:
            return Claim()
        cursor.execute(
            """UPDATE telephony_trunk
                  SET last_owner_id = %(last_owner)s, next_slot_at = %(next_slot)s, pause_reason = '', paused_until = NULL,
                      pace_note = coalesce(%(pace_note)s, pace_note),
                      pace_noted_at = CASE WHEN %(pace_note)s::text IS NULL THEN pace_noted_at ELSE %(now)s END
                WHERE id = %(trunk)s""",
            {
                "last_owner": _last_in_turn(claimed),
                "next_slot": slot + timedelta(seconds=step * len(claimed)),
                "pace_note": pace_note,
                "now": now,
                "trunk": trunk_id,
            },
        )
    first = arrival + ahead
    return Claim(
        deliveries=claimed,
        valid_until=now + timedelta(seconds=settings.IRIS_LEASE_SECONDS),
        slots=[first + step * index for index in range(len(claimed))],
        wait=0.0,
    )


def _last_in_turn(claimed: Sequence[Claimed]) -> int:
    """Whose turn it was last. OTPs overtake, and do not use up their owner's turn among the campaigns."""
    lowest = max(one.priority for one in claimed)
    return next(one.owner_id for one in reversed(claimed) if one.priority == lowest)


def postpone(alias: str, *, seconds: float) -> None:
    """Hand out no slot of this trunk for so many seconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_trunk
                  SET next_slot_at = greatest(next_slot_at, clock_timestamp() + make_interval(secs => %s))
                WHERE alias = %s""",
            [seconds, alias],
        )
