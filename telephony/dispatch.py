"""From queued to the carrier: claim at the trunk's pace, submit outside any transaction, record.

Nothing here is state: whatever dies, the rows tell the next process what to do.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection, transaction

from telephony import events, lifecycle, sessions
from telephony.carriers.base import Carrier, Later, Rejected, Result, Submission, Unknown
from telephony.carriers.errors import CarrierError, Misconfigured, OutOfFunds, Throttled, Unreachable
from telephony.failpoints import failpoint
from telephony.lifecycle import QUEUED, Claimed
from telephony.models import Cause, Channel
from telephony.scripts import load

log = logging.getLogger(__name__)

# How far ahead of its slot a delivery is claimed, in seconds: it bridges the gap between two dispatchers, so that a
# slot is never wasted, and bounds how long an OTP waits behind what is claimed already.
HORIZON = 0.2
# How late after its slot a delivery may still leave, in seconds: less than one step, so that no second ever has more
# than one too many; but not less than what any system's clock and scheduler are off by.
SHORTEST_TOLERANCE = 0.005
# What has not been submitted so long after its claim, in seconds, is queued again: a stop must not wait for it, and an
# OTP must not queue behind it.
PATIENCE = 1.0
LONGEST_AHEAD = 10.0  # seconds to the next slot; further, a clock was set back
RING_SECONDS = 120  # a call that rang for so long is not ringing any more
RECORD_ATTEMPTS = 5


@dataclass(slots=True)
class Claim:
    """What may leave now. `slots` are monotonic times; `wait` is how long until more may, None when nothing is due."""

    deliveries: list[Claimed] = field(default_factory=list)
    valid_until: datetime = datetime.max
    slots: list[float] = field(default_factory=list)
    wait: float | None = None
    step: float = 0.0  # seconds between two slots; 0 on a trunk without a pace


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
        step=step,
    )


def _last_in_turn(claimed: Sequence[Claimed]) -> int:
    """Whose turn it was last. OTPs overtake, and do not use up their owner's turn among the campaigns."""
    lowest = max(one.priority for one in claimed)
    return next(one.owner_id for one in reversed(claimed) if one.priority == lowest)


def run(alias: str, *, budget: float) -> bool:
    """Claim, submit and record for one trunk until nothing is due or `budget` seconds are over; whether more is due."""
    carrier = sessions.carrier(alias)
    end = time.monotonic() + budget
    while time.monotonic() < end:
        claimed = claim(alias, bearable=carrier.pace(), at_most=carrier.claim_size())
        if claimed.deliveries:
            failpoint("claimed")
            _submit_all(carrier, claimed)
        elif claimed.wait is None:
            return False
        else:
            time.sleep(min(claimed.wait, HORIZON))
    return True


def _submit_all(carrier: Carrier, claim: Claim) -> None:
    """Submit each delivery when its slot comes, as many at once as are due, and record in sets.

    A slot that was missed, because this process or the carrier was slow, is not made up for by a burst: its delivery
    gets a new slot behind all that are taken.
    """
    results: list[Result] = []
    attempts = {one.id: one.attempts for one in claim.deliveries}
    waiting = deque(zip(claim.slots, claim.deliveries, strict=True))
    started_at = recorded_at = time.monotonic()
    taken = 0.0  # seconds that the last submission took: a slow carrier is no reason to lose slots
    rests = False
    while waiting:
        now = time.monotonic()
        if rests or now - started_at > PATIENCE:
            results += [Later(key=str(one.id), seconds=0, text="Its turn did not come") for _, one in waiting]
            break
        if waiting[0][0] > now:
            time.sleep(min(waiting[0][0] - now, HORIZON))
            continue
        tolerance = (
            max(0.9 * claim.step, SHORTEST_TOLERANCE, min(taken, HORIZON)) if claim.step else float("inf")
        )
        missed = [waiting.popleft()[1] for slot, _ in list(waiting) if slot < now - tolerance]
        if missed:
            waiting.extend(zip(_new_slots(carrier.alias, len(missed), step=claim.step), missed, strict=True))
            continue
        due = [waiting.popleft()[1] for slot, _ in list(waiting)[: carrier.batch_size] if slot <= now]
        answered, rests = _submit(carrier, due, valid_until=claim.valid_until)
        results += answered
        failpoint("submitted")
        taken = time.monotonic() - now
        if time.monotonic() - recorded_at > HORIZON:
            _record(carrier, results, attempts)
            results, recorded_at = [], time.monotonic()
    _record(carrier, results, attempts)
    failpoint("recorded")


def _record(carrier: Carrier, results: Sequence[Result], attempts: Mapping[int, int]) -> None:
    """Record, also if the database is away for a moment: what is not recorded has to be asked for, or is lost."""
    for attempt in range(RECORD_ATTEMPTS):
        try:
            events.record_results(carrier, results, attempts=attempts)
        except (OperationalError, InterfaceError):
            if attempt == RECORD_ATTEMPTS - 1 or connection.in_atomic_block:
                raise
            log.warning(
                "The answers of %s to %d deliveries wait for the database", carrier.alias, len(results)
            )
            time.sleep(1)
            close_old_connections()
        else:
            return


def _new_slots(alias: str, count: int, *, step: float) -> list[float]:
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


def _submit(
    carrier: Carrier, claimed: Sequence[Claimed], *, valid_until: datetime
) -> tuple[list[Result], bool]:
    """One result for each, and whether the trunk must rest now.

    A number that cannot exist, or a call with nothing to say, never troubles a carrier.
    """
    results: list[Result] = [rejected for delivery in claimed if (rejected := _refusal(delivery))]
    batch = [
        Submission(
            key=str(delivery.id),
            channel=Channel(delivery.channel),
            to=delivery.to,
            caller=delivery.caller,
            text=delivery.text,
            audio_name=delivery.audio_name,
            audio_seconds=delivery.audio_seconds,
            attempt=delivery.attempts,
            owner_id=delivery.owner_id,
            valid_until=valid_until,
            script=load(delivery.script),
        )
        for delivery in claimed
        if not _refusal(delivery)
    ]
    if not batch:
        return results, False
    try:
        answered = carrier.submit(batch)
    except (Misconfigured, OutOfFunds) as e:
        pause_trunk(carrier.alias, reason=str(e))
        return results + [Later(key=one.key, seconds=0, text=str(e)) for one in batch], True
    except Throttled as e:
        pause_trunk(carrier.alias, reason=str(e), seconds=e.retry_after)
        return results + [Later(key=one.key, seconds=e.retry_after, text=str(e)) for one in batch], True
    except (Unreachable, CarrierError) as e:
        pause_trunk(carrier.alias, reason=str(e), seconds=5)
        return results + [Later(key=one.key, seconds=5, text=str(e)) for one in batch], True
    except Exception as e:
        log.exception("Carrier %s failed in submit; %d deliveries are unknown now", carrier.alias, len(batch))
        return results + [Unknown(key=one.key, text=repr(e)) for one in batch], False
    missing = {one.key for one in batch} - {result.key for result in answered}
    return results + answered + [Unknown(key=key, text="The carrier did not say.") for key in missing], False


def _refusal(delivery: Claimed) -> Rejected | None:
    if delivery.opted_out:
        return Rejected(
            key=str(delivery.id), cause=Cause.OPTED_OUT, text="This person wants no more of these."
        )
    if not delivery.to:
        return Rejected(key=str(delivery.id), cause=Cause.INVALID, text="This is no valid phone number.")
    if delivery.channel == Channel.CALL and not delivery.audio_name:
        return Rejected(
            key=str(delivery.id), cause=Cause.REFUSED, text="The message has nothing that can be said."
        )
    return None


def pause_trunk(alias: str, *, reason: str, seconds: float | None = None) -> None:
    """Let a trunk rest: for `seconds`, or until its operator has cleared the reason."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_trunk
                  SET pause_reason = %(reason)s, last_error = %(reason)s, last_error_at = statement_timestamp(),
                      paused_until = statement_timestamp() + make_interval(secs => %(seconds)s::float8)
                WHERE alias = %(alias)s""",
            {"reason": reason[:200] or "resting", "seconds": seconds, "alias": alias},
        )
