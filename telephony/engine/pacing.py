"""Keep the pace of a trunk: submit deliveries 1/CPS apart on average, and at most `max_per_second` in any one second.

A claim reserves slots 1/CPS apart in the trunk's row, so a process that dies costs the trunk its slots and nothing else.
One process at a time submits for a trunk that has a pace. If a commit, the carrier or the machine was slow, a delivery
misses its slot. It is then submitted as soon as the limit on the past second allows it (`SlidingSecond`). So the pace
becomes less even, but the trunk sends as much.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from telephony.carriers.validity import Validity
from telephony.engine import circuit_breaker, lifecycle, restore_hold
from telephony.engine.lifecycle import Claimed
from telephony.engine.pace_setting import effective
from telephony.models import PauseCause
from telephony.models.statuses import END, QUEUED

# How far ahead of its slot a delivery is claimed, in seconds. This bridges the gap between two dispatchers, so that no
# slot is wasted, and limits how long an OTP waits behind claimed deliveries.
HORIZON = 0.2
# How old an unclaimed slot of a busy trunk may be and still be used, in seconds: a handover between two processes, or a
# slow claim, must not reduce the pace. A trunk is busy if a delivery was submitted within the last second. The slots
# of an idle trunk restart at the present time, so that new deliveries are not submitted in a burst.
CATCH_UP = 0.5
MAX_AHEAD_SECONDS = 10.0  # maximum time until the next slot; a later slot means that a clock was set back
RING_SECONDS = 120  # if a call has been ringing for longer, it has ended, although no report said so


def max_per_second(cps: float) -> int:
    """Return how many deliveries may be submitted within any period of one second."""
    return int(cps + max(1.0, 0.02 * cps))


class SlidingSecond:
    """Count the deliveries submitted within the past second. Times are monotonic.

    A carrier receives a delivery shortly after its submission has begun. A delivery counts from the latest time at which the
    carrier may have received it: the end of the submission, but at most MAX_SUBMISSION_SECONDS after its beginning.
    """

    MAX_SUBMISSION_SECONDS = 0.01
    # A carrier that submits in a thread of its own sends a batch within this time, while other threads work, too.
    MAX_THREAD_SECONDS = 0.02

    def __init__(self, cps: float) -> None:
        self.cps = cps
        self._limit = max_per_second(cps)
        self._departures: deque[tuple[float, int]] = deque()
        self._count = 0

    def room(self, now: float) -> int:
        """Return how many deliveries may be submitted now."""
        while self._departures and self._departures[0][0] <= now - 1:
            self._count -= self._departures.popleft()[1]
        return max(0, self._limit - self._count)

    def opens_at(self, now: float) -> float:
        """Return when at least one delivery may be submitted; `now` or earlier if that is possible at once."""
        return now if self.room(now) or not self._departures else self._departures[0][0] + 1

    def add(self, count: int, *, begun: float, ended: float | None) -> None:
        """Count a submission. `ended` is None if the carrier's own thread submits it."""
        received = (
            begun + self.MAX_THREAD_SECONDS
            if ended is None
            else min(ended, begun + self.MAX_SUBMISSION_SECONDS)
        )
        self._departures.append((received, count))
        self._count += count

    def count(self, now: float) -> int:
        self.room(now)
        return self._count

    def ages(self, now: float) -> list[tuple[float, int]]:
        """Return the departures of the last second for another process: how many seconds ago, and how many."""
        self.room(now)
        return [(now - moment, count) for moment, count in self._departures]

    def take_over(self, departures: Sequence[tuple[float, int]]) -> None:
        """Count departures of another process, given as (time, count) in order of time."""
        for moment, count in departures:
            self._departures.append((moment, count))
            self._count += count


@dataclass(slots=True)
class Claim:
    """Claimed deliveries and their slots.

    `slots` are monotonic times, and so are those in `closing`, at which their calling hours end. `wait` is the number of
    seconds until the next claim may succeed, None when nothing is due. `pace` is that of the trunk in deliveries per
    second, None if it has no limit.
    """

    deliveries: list[Claimed] = field(default_factory=list)
    valid_until: datetime = datetime.max
    validity: Validity | None = None
    slots: list[float] = field(default_factory=list)
    closing: list[float] = field(default_factory=list)
    wait: float | None = None
    pace: float | None = None


def is_paused(reason: str, until: datetime | None, *, now: datetime) -> bool:
    """Return whether a trunk with these `pause_reason` and `paused_until` submits nothing now."""
    return bool(reason) and (until is None or until > now)


def count_busy_channels(trunk_id: int) -> int:
    """Return how many channels of a trunk its calls occupy."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT count(*) FROM telephony_delivery
                 WHERE trunk_id = %s AND channel = 'call' AND status > {QUEUED} AND status < {END}
                   AND claimed_at > statement_timestamp() - make_interval(secs => %s)""",
            # A call that was claimed earlier has ended, even if the carrier has never reported its end.
            [trunk_id, settings.IRIS_MAX_AUDIO_SECONDS + RING_SECONDS],
        )
        return int(cursor.fetchone()[0])


@transaction.atomic
def claim(
    alias: str,
    *,
    horizon: float = HORIZON,
    carrier_rate: float | None = None,
    max_count: int | None = None,
    pace_note: str | None = None,
    is_busy: bool = False,
) -> Claim:
    """Claim as many deliveries as the trunk's pace and free channels allow within the next `horizon` seconds.

    `carrier_rate` is how many deliveries per second the carrier accepts at present; a claim takes no more than the carrier
    accepts within HORIZON. `max_count` limits the claim. `pace_note` says why the trunk is slower than its CPS setting;
    None keeps the last note. With `is_busy`, slots of the last `CATCH_UP` seconds are used, too.

    The trunk's row is locked, and its next free slot moves by 1/CPS for each claimed delivery, so slots are never closer
    than that, whichever processes claim.
    """
    channels = settings.CARRIERS[alias].get("CHANNELS")
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id, last_owner_id, next_slot_at, pause_reason, paused_until, cps, probe_at, pause_cause, probes
                 FROM telephony_trunk WHERE alias = %s FOR NO KEY UPDATE""",
            [alias],
        )
        row = cursor.fetchone()
        if row is None:  # the trunk never had a delivery
            return Claim()
        trunk_id, last_owner, slot, pause_reason, paused_until, override, *probing = row
        pace = effective(alias, override)
        # Checked with the row locked: `hold_everything` waits for these locks, so that no claim misses the hold.
        if restore_hold.is_held():
            return Claim()
        validity = Validity.begin(settings.IRIS_LEASE_SECONDS)
        # Read the time only now, because the statement may have waited for the lock.
        cursor.execute("SELECT clock_timestamp()")
        now = cursor.fetchone()[0]
        arrival = time.monotonic()
        step = 1 / pace if pace else 0.0
        earliest = now - timedelta(seconds=CATCH_UP if is_busy else 0)
        if not pace or slot is None or slot > now + timedelta(seconds=max(MAX_AHEAD_SECONDS, 2 * step)):
            slot = now
        slot = max(slot, earliest)
        paused = is_paused(pause_reason, paused_until, now=now)
        probe = _due_probe(*probing, now=now) if paused and paused_until is None else None
        if paused and probe is None:
            return Claim()
        ahead = (slot - now).total_seconds()
        if pace:
            if ahead >= horizon:
                return Claim(wait=ahead - horizon / 2)
            limit = min(settings.IRIS_CLAIM_SIZE, int((horizon - ahead) * pace) + 1)
        else:
            limit = settings.IRIS_CLAIM_SIZE
        if carrier_rate:
            limit = min(limit, int(HORIZON * carrier_rate) + 1)
        limit = 1 if probe else min(limit, max_count or limit)
        call_limit = None
        if channels is not None:
            call_limit = max(0, channels - count_busy_channels(trunk_id))
        claimed = lifecycle.claim(
            trunk_id=trunk_id,
            limit=limit,
            call_limit=call_limit,
            last_owner=last_owner,
            for_twins=alias == settings.TWIN_TRUNK,
        )
        if not claimed:
            return Claim()
        cursor.execute(
            """UPDATE telephony_trunk
                  SET last_owner_id = %(last_owner)s, next_slot_at = %(next_slot)s, claimed = claimed + %(count)s,
                      rests = CASE WHEN %(works)s THEN 0 ELSE rests END,
                      failing_since = CASE WHEN %(works)s THEN NULL ELSE failing_since END,
                      pause_reason = CASE WHEN %(probes)s THEN pause_reason ELSE '' END,
                      pause_cause = CASE WHEN %(probes)s THEN pause_cause ELSE '' END,
                      paused_at = CASE WHEN %(probes)s THEN paused_at END, paused_until = NULL,
                      probe_at = %(next_probe)s, canary = %(canary)s,
                      probes = CASE WHEN %(probes)s THEN least(probes + 1, 30000) ELSE 0 END,
                      pace_note = coalesce(%(pace_note)s, pace_note),
                      pace_noted_at = CASE WHEN %(pace_note)s::text IS NULL THEN pace_noted_at ELSE %(now)s END
                WHERE id = %(trunk)s""",
            {
                "last_owner": _last_owner_in_round(claimed),
                "next_slot": slot + timedelta(seconds=step * len(claimed)),
                "pace_note": pace_note,
                "now": now,
                "trunk": trunk_id,
                "count": len(claimed),
                "works": circuit_breaker.take_working(alias),
                "probes": probe is not None,
                "next_probe": probe.next_at(now) if probe else None,
                "canary": claimed[0].id if probe else None,
            },
        )
    first = arrival + ahead
    return Claim(
        deliveries=claimed,
        valid_until=now + timedelta(seconds=settings.IRIS_LEASE_SECONDS),
        validity=validity,
        slots=[first + step * index for index in range(len(claimed))],
        closing=[
            math.inf if one.not_after is None else arrival + (one.not_after - now).total_seconds()
            for one in claimed
        ],
        wait=0.0,
        pace=pace,
    )


def _due_probe(
    probe_at: datetime | None, cause: str, count: int, *, now: datetime
) -> circuit_breaker.Probe | None:
    """Return the probe of a paused trunk if a canary is due."""
    if probe_at is None or probe_at > now or cause not in circuit_breaker.PROBE_SECONDS:
        return None
    return circuit_breaker.Probe(PauseCause(cause), count)


def _last_owner_in_round(claimed: Sequence[Claimed]) -> int:
    """Return the owner after whom the next round begins. OTPs do not count, so their owner keeps its place in the round."""
    lowest = max(delivery.priority for delivery in claimed)
    return next(delivery.owner_id for delivery in reversed(claimed) if delivery.priority == lowest)


def store_departures(alias: str, ages: Sequence[tuple[float, int]]) -> None:
    """Store the departures of the last second in the trunk's row, for the next process that submits for this trunk."""
    if not ages:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_trunk
                  SET last_departures = (
                      SELECT jsonb_agg(
                                 jsonb_build_array(extract(epoch FROM clock_timestamp()) - age, count) ORDER BY age DESC
                             )
                        FROM unnest(%s::float8[], %s::int[]) AS departure (age, count))
                WHERE alias = %s""",
            [[age for age, _ in ages], [count for _, count in ages], alias],
        )


def stored_departures(alias: str) -> list[tuple[float, int]]:
    """Return the departures that the last process stored, as (monotonic time, count) in order of time.

    Because the queries take some time, departures may appear later than they were, but never earlier.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT last_departures, extract(epoch FROM clock_timestamp())::float8
                 FROM telephony_trunk WHERE alias = %s AND last_departures IS NOT NULL""",
            [alias],
        )
        row = cursor.fetchone()
    arrival = time.monotonic()
    if row is None:
        return []
    departures, now = row
    # A departure that seems to lie in the future means that the database's clock was set back.
    return [(arrival - max(0.0, now - moment), count) for moment, count in json.loads(departures)]
