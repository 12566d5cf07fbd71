"""From queued to the carrier: claim at the trunk's pace, submit outside any transaction, record.

Nothing here is state: whatever dies, the rows tell the next process what to do.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from telephony import events, pacing, sessions
from telephony.carriers.base import Carrier, Later, Rejected, Result, Submission, Unknown
from telephony.carriers.errors import CarrierError, Misconfigured, OutOfFunds, Throttled, Unreachable
from telephony.failpoints import failpoint
from telephony.lifecycle import Claimed
from telephony.models import Cause, Channel
from telephony.pacing import HORIZON
from telephony.scripts import load

log = logging.getLogger(__name__)

# How late after its slot a delivery may still leave: this share of a step, so that no second ever has more than one
# too many. But not less than these seconds, which a claim takes and a system's clock and scheduler are off by: where
# the steps are shorter, a second may have 2 % too many.
STEP_TOLERANCE, SHORTEST_TOLERANCE = 0.9, 0.018
# What has not been submitted so long after its claim, in seconds, is queued again: a stop must not wait for it, and an
# OTP must not queue behind it.
PATIENCE = 1.0
RECORD_ATTEMPTS = 5


def run(alias: str, *, budget: float) -> bool:
    """Claim, submit and record for one trunk until nothing is due or `budget` seconds are over; whether more is due."""
    return Dispatcher(sessions.carrier(alias)).run(until=time.monotonic() + budget)


@dataclass(frozen=True, slots=True)
class Departure:
    """A delivery that this process has claimed, and when it leaves. `slot` and `claimed_at` are monotonic."""

    slot: float
    delivery: Claimed
    valid_until: datetime
    claimed_at: float


class Dispatcher:
    """One process at work on one trunk. What it has claimed leaves within the horizon."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        cps = settings.CARRIERS[carrier.alias].get("CPS")
        self.step = 1 / cps if cps else 0.0  # seconds between two slots
        self.departures: deque[Departure] = deque()
        self.results: list[Result] = []
        self.attempts: dict[int, int] = {}  # of what is claimed and not recorded yet, by id
        self.recorded_at = time.monotonic()
        self.claims_at = 0.0  # when it is worth while to claim again before all have left
        self.rate: float | None = None  # deliveries a second that the carrier can take, as seen last

    def run(self, *, until: float) -> bool:
        """Whether more is due when time is over."""
        try:
            return self._run(until)
        finally:
            # Also when the database has gone: what was submitted is recorded, what was not is queued again.
            self._give_back(self._pop(lambda _: True), text="The dispatcher was interrupted")
            self._record()

    def _run(self, until: float) -> bool:
        while True:
            if self.departures:
                if self._runs_low() and not _is_over(until):
                    self._claim()
                self._submit_due()
                if time.monotonic() - self.recorded_at > HORIZON:
                    self._record()
            elif self.results:
                self._record()
            elif _is_over(until):
                return True
            else:
                wait = self._claim()
                if wait is None:
                    return False
                time.sleep(min(wait, HORIZON))

    def _runs_low(self) -> bool:
        """A paced trunk claims while there still is something to submit: no slot passes unused meanwhile."""
        now = time.monotonic()
        return bool(self.step) and now >= self.claims_at and self.departures[-1].slot - now < HORIZON / 2

    def _claim(self) -> float | None:
        """Seconds until more may be claimed; None when nothing is due."""
        paces = [pace for pace in (self.carrier.pace(), self.rate) if pace]
        most = self.carrier.claim_size()
        if self.rate is None:  # how slow the carrier is will be seen
            most = min(most or self.carrier.batch_size, self.carrier.batch_size)
        if most is not None:
            most -= len(self.departures)
            if most <= 0:
                return 0.0
        claim = pacing.claim(self.carrier.alias, bearable=min(paces, default=None), at_most=most)
        now = time.monotonic()
        if not claim.deliveries:
            self.claims_at = now + HORIZON / 2
            return claim.wait
        self.departures += [
            Departure(slot, delivery, claim.valid_until, now)
            for slot, delivery in zip(claim.slots, claim.deliveries, strict=True)
        ]
        self.attempts |= {delivery.id: delivery.attempts for delivery in claim.deliveries}
        failpoint("claimed")
        return 0.0

    def _submit_due(self) -> None:
        """Submit what is due, as much as the carrier takes at once, or wait for the next slot.

        A slot that was missed, because this process or the carrier was slow, is not made up for by a burst: its
        delivery gets a new slot behind all that are taken.
        """
        now = time.monotonic()
        self._give_back(self._pop(lambda one: one.claimed_at < now - PATIENCE), text="Its slot did not come")
        if not self.departures:
            return
        if self.departures[0].slot > now:
            time.sleep(min(self.departures[0].slot - now, HORIZON))
            return
        if self.step:
            tolerance = max(STEP_TOLERANCE * self.step, SHORTEST_TOLERANCE)
            if missed := sum(one.slot < now - tolerance for one in self.departures):
                for slot in pacing.new_slots(self.carrier.alias, missed, step=self.step):
                    self.departures.append(replace(self.departures.popleft(), slot=slot))
                return
        due = self._pop(lambda one: one.slot <= now, at_most=self.carrier.batch_size)
        if due:
            self._submit(due)

    def _submit(self, due: Sequence[Departure]) -> None:
        begun = time.monotonic()
        results, rests = submit(self.carrier, due)
        self.results += results
        failpoint("submitted")
        self.rate = self.carrier.batch_size / max(1e-6, time.monotonic() - begun)
        if rests:
            self._give_back(self._pop(lambda _: True), text="The trunk rests")

    def _pop(self, is_meant: Callable[[Departure], bool], *, at_most: int | None = None) -> list[Departure]:
        """Take the first departures away for as long as they are meant."""
        popped: list[Departure] = []
        while self.departures and is_meant(self.departures[0]) and len(popped) != at_most:
            popped.append(self.departures.popleft())
        return popped

    def _give_back(self, departures: Sequence[Departure], *, text: str) -> None:
        """What surely was not submitted is queued again."""
        self.results += [Later(key=str(one.delivery.id), seconds=0, text=text) for one in departures]

    def _record(self) -> None:
        """Record, also if the database is away for a moment: what is not recorded has to be asked for, or is lost."""
        results, self.results = self.results, []
        self.recorded_at = time.monotonic()
        if not results:
            return
        attempts = {int(result.key): self.attempts.pop(int(result.key)) for result in results}
        for attempt in range(1, RECORD_ATTEMPTS + 1):
            try:
                events.record_results(self.carrier, results, attempts=attempts)
                break
            except (OperationalError, InterfaceError):
                if attempt == RECORD_ATTEMPTS or connection.in_atomic_block:
                    raise
                log.warning(
                    "The answers of %s to %d deliveries wait for the database",
                    self.carrier.alias,
                    len(results),
                )
                time.sleep(1)
                close_old_connections()
        failpoint("recorded")


def _is_over(until: float) -> bool:
    return time.monotonic() >= until or sessions.is_ending()


def submit(carrier: Carrier, departures: Sequence[Departure]) -> tuple[list[Result], bool]:
    """One result for each, and whether the trunk must rest now.

    A number that cannot exist, or a call with nothing to say, never troubles a carrier.
    """
    results: list[Result] = []
    batch: list[Submission] = []
    for one in departures:
        if refused := _refusal(one.delivery):
            results.append(refused)
        else:
            batch.append(_submission(one.delivery, valid_until=one.valid_until))
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


def _submission(delivery: Claimed, *, valid_until: datetime) -> Submission:
    return Submission(
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
    try:
        _pause(alias, reason=reason, seconds=seconds)
    except (OperationalError, InterfaceError) as e:  # the next submission will say the same
        log.warning("The trunk %s could not be paused: %s", alias, e)


def _pause(alias: str, *, reason: str, seconds: float | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_trunk
                  SET pause_reason = %(reason)s, last_error = %(reason)s, last_error_at = statement_timestamp(),
                      paused_until = statement_timestamp() + make_interval(secs => %(seconds)s::float8)
                WHERE alias = %(alias)s""",
            {"reason": reason[:200] or "resting", "seconds": seconds, "alias": alias},
        )
