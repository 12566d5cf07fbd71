"""The pace of a trunk: whoever claims, and however many do, its slots are never closer than 1/CPS.

Nothing here is state: the next free slot of a trunk is in its row.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from telephony import lifecycle
from telephony.lifecycle import QUEUED, Claimed

# How far ahead of its slot a delivery is claimed, in seconds: it bridges the gap between two dispatchers, so that a
# slot is never wasted, and bounds how long an OTP waits behind what is claimed already.
HORIZON = 0.2
LONGEST_AHEAD = 10.0  # seconds to the next slot; further, a clock was set back
RING_SECONDS = 120  # a call that rang for so long is not ringing any more


@dataclass(slots=True)
class Claim:
    """What may leave now. `slots` are monotonic times; `wait` is how long until more may, None when nothing is due."""

    deliveries: list[Claimed] = field(default_factory=list)
    valid_until: datetime = datetime.max
    slots: list[float] = field(default_factory=list)
    wait: float | None = None


@transaction.atomic
def claim(alias: str, *, bearable: float | None = None, at_most: int | None = None) -> Claim:
    """Take as many deliveries as the trunk's pace and free channels allow within the horizon.

    `bearable` is the pace that the carrier itself keeps at present, in deliveries a second: no more are claimed than it
    sends within the horizon. `at_most` is how many it can have at all.

    The trunk's row is locked, and its next free slot moves by 1/CPS for each claimed delivery: whoever claims, and
    however many do, the slots are never closer than that.
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
        # Asked only now: the lock may have been waited for.
        cursor.execute("SELECT clock_timestamp()")
        now = cursor.fetchone()[0]
        arrival = time.monotonic()
        step = 1 / pace if pace else 0.0
        if slot is None or slot < now or slot > now + timedelta(seconds=max(LONGEST_AHEAD, 2 * step)):
            slot = now
        if pause_reason and (paused_until is None or paused_until > now):
            return Claim()
        ahead = (slot - now).total_seconds()
        if pace:
            if ahead >= HORIZON:
                return Claim(wait=ahead - HORIZON / 2)
            limit = min(settings.IRIS_CLAIM_SIZE, int((HORIZON - ahead) * pace) + 1)
        else:
            limit = settings.IRIS_CLAIM_SIZE
        if bearable:
            limit = min(limit, int(HORIZON * bearable) + 1)
        limit = min(limit, at_most or limit)
        call_limit = None
        if channels is not None:
            cursor.execute(
                f"""SELECT count(*) FROM telephony_delivery
                     WHERE trunk_id = %s AND channel = 'call' AND status > {QUEUED} AND status < {lifecycle.END}
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
            """UPDATE telephony_trunk SET last_owner_id = %s, next_slot_at = %s, pause_reason = '', paused_until = NULL
                WHERE id = %s""",
            [_last_in_turn(claimed), slot + timedelta(seconds=step * len(claimed)), trunk_id],
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


def new_slots(alias: str, count: int, *, step: float) -> list[float]:
    """The trunk's next free slots, as monotonic times."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_trunk
                  SET next_slot_at = greatest(next_slot_at, clock_timestamp()) + make_interval(secs => %s)
                WHERE alias = %s RETURNING extract(epoch FROM next_slot_at - clock_timestamp())""",
            [step * count, alias],
        )
        first = time.monotonic() + float(cursor.fetchone()[0]) - step * count
    return [first + step * index for index in range(count)]
