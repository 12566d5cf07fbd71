"""From queued to the carrier: claim at the trunk's pace, submit outside any transaction, record.

Nothing here is state: whatever dies, the rows tell the next process what to do.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from telephony.carriers.base import Carrier, Later, Result
from telephony.engine import delivery_reports, pacing, shutdown, trunk_worker
from telephony.engine.database_thread import DatabaseThread, done_now
from telephony.engine.failpoints import failpoint
from telephony.engine.lifecycle import Claimed, stopped_among
from telephony.engine.pace_meter import Activity, PaceMeter, meter_of
from telephony.engine.pacing import CATCH_UP, HORIZON, Claim, SlidingSecond
from telephony.engine.submission import submit

log = logging.getLogger(__name__)

T = TypeVar("T")

# Deliveries of a paced trunk leave in batches at most so often, in seconds: 2 % of a second, which is what any second may
# have too many. Each departure apart would cost a fast trunk several times the work.
BATCH_SECONDS = 0.02
# What has not been submitted so long after its claim, in seconds, is queued again: a stop must not wait for it, and an
# OTP must not queue behind it.
MAX_CLAIM_AGE = 1.0
# The longest that a claim reaches beyond the horizon, in seconds, because claims, records and submissions take long.
MAX_LEAD = 0.3
RECORD_ATTEMPTS = 5


def run(alias: str, *, budget: float, goes_on: Callable[[], bool] = lambda: False) -> bool:
    """Claim, submit and record for one trunk until nothing is due or `budget` seconds are over; whether more is due.

    When they are over, `goes_on` says whether there are as many again, since nobody else needs this process.
    """
    turn = Turn(budget=budget, goes_on=goes_on)
    return Dispatcher(trunk_worker.carrier(alias)).run(turn)


class Turn:
    """How long a dispatcher may go on claiming."""

    def __init__(self, *, budget: float, goes_on: Callable[[], bool]) -> None:
        self._budget = budget
        self._goes_on = goes_on
        self._until = time.monotonic() + budget
        self._is_over = False

    def is_over(self) -> bool:
        """Once it is over, it stays so."""
        if not self._is_over and time.monotonic() >= self._until:
            self._is_over = not self._goes_on()
            self._until = time.monotonic() + self._budget
        return self._is_over or shutdown.is_ending()


@dataclass(frozen=True, slots=True)
class Departure:
    """A delivery that this process has claimed, and when it leaves. `slot` and `claimed_at` are monotonic."""

    slot: float
    delivery: Claimed
    valid_until: datetime
    claimed_at: float


class Dispatcher:
    """One process at work on one trunk. What it has claimed leaves within the horizon, or as soon as it can afterwards.

    Where the trunk has a pace, claims and records have a thread of their own, so that a slow database delays no departure.
    """

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        cps = settings.CARRIERS[carrier.alias].get("CPS")
        self.last_second: SlidingSecond | None = SlidingSecond(cps) if cps else None
        self.meter: PaceMeter = meter_of(carrier.alias, cps)
        self.departures: deque[Departure] = deque()
        self.results: list[Result] = []
        self.attempts: dict[int, int] = {}  # of what is claimed and not recorded yet, by id
        self.recorded_at = time.monotonic()
        self.submitted_at = 0.0
        self.claims_at = 0.0  # when it is worth while to claim again before all have left
        self.rate: float | None = None  # deliveries a second that the carrier can take, as seen last
        self.database: DatabaseThread | None = None
        self.claiming: Future[Claim] | None = None
        self.recording: Future[None] | None = None
        self.checking: Future[set[int]] | None = None
        self.checked_at = 0.0

    def run(self, turn: Turn) -> bool:
        """Whether more is due when time is over."""
        try:
            if self.last_second is None:
                return self._run(turn)
            with DatabaseThread(name=f"claims-{self.carrier.alias}") as self.database:
                return self._run(turn)
        finally:
            # Also when the database has gone: what was submitted is recorded, what was not is queued again.
            self.database = None
            if self.claiming is not None and self.claiming.exception() is None:
                self._take_claim()
            self._give_back(self._pop(lambda _: True), text="The dispatcher was interrupted")
            self._record()
            self._hand_over()

    def _run(self, turn: Turn) -> bool:
        while True:
            self._look_back()
            if self.departures:
                if self._runs_low() and not turn.is_over():
                    self._start_claim()
                self._start_check()
                self._submit_due()
                if time.monotonic() - self.recorded_at > HORIZON:
                    self._start_record()
            elif self.claiming is not None:
                wait([self.claiming])
            elif self.recording is not None:
                wait([self.recording])
            elif self.results:
                self._start_record()
            elif turn.is_over():
                return True
            else:
                pause = self._claim()
                if pause is None:
                    self.meter.nothing_due()
                    return False
                time.sleep(min(pause, HORIZON))

    def _look_back(self) -> None:
        """Take what the database's thread has done meanwhile; raises what it raised."""
        if self.recording is not None and self.recording.done():
            recording, self.recording = self.recording, None
            recording.result()
        if self.claiming is not None and self.claiming.done():
            self._take_claim()
        if self.checking is not None and self.checking.done():
            checking, self.checking = self.checking, None
            self._drop(checking.result())

    def _start_check(self) -> None:
        """Have the claimed deliveries of a paced trunk checked for a stop, so that whoever stops them waits less."""
        now = time.monotonic()
        if self.database is not None and self.checking is None and now - self.checked_at > HORIZON / 2:
            self.checked_at = now
            ids = [one.delivery.id for one in self.departures]
            self.checking = self.database.start(partial(stopped_among, ids))

    def _drop(self, stopped: set[int]) -> None:
        """Submit nothing of what was stopped after it was claimed; recorded at once, it ends `terminated`."""
        dropped = [one for one in self.departures if one.delivery.id in stopped]
        if dropped:
            self.departures = deque(one for one in self.departures if one.delivery.id not in stopped)
            self._give_back(dropped, text="It was stopped")
            self._start_record()

    @property
    def _lead(self) -> float:
        """Seconds for which this process may be busy before it submits again."""
        return min(self.meter.longest_pause(), MAX_LEAD)

    def _runs_low(self) -> bool:
        """A paced trunk claims while there still is something to submit, so that no slot passes unused meanwhile.

        While what is claimed leaves late already, more of it would only be given back.
        """
        now = time.monotonic()
        return (
            self.last_second is not None
            and self.claiming is None
            and now >= self.claims_at
            and self.departures[-1].slot - now < self._lead + HORIZON / 2
            and self.departures[0].slot > now - CATCH_UP
        )

    def _start_claim(self) -> None:
        """Have the next deliveries claimed, unless the carrier has as many as it can take."""
        paces = [pace for pace in (self.carrier.pace(), self.rate) if pace]
        most = self.carrier.claim_size()
        if self.rate is None:  # how slow the carrier is will be seen
            most = min(most or self.carrier.batch_size, self.carrier.batch_size)
        if most is not None:
            most -= len(self.departures)
            if most <= 0:
                return
        claim = partial(
            pacing.claim,
            self.carrier.alias,
            horizon=HORIZON + (self._lead if self.last_second else 0.0),
            bearable=min(paces, default=None),
            at_most=most,
            pace_note=self.meter.note(carrier_pace=self.carrier.pace()),
        )
        self.claiming = self._do(Activity.CLAIM, claim)

    def _take_claim(self) -> float | None:
        """Take over what was claimed: seconds until more may be claimed, None when nothing is due."""
        if self.claiming is None:
            return 0.0
        claiming, self.claiming = self.claiming, None
        claim, now = claiming.result(), time.monotonic()
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

    def _claim(self) -> float | None:
        """Claim and wait for it: seconds until more may be claimed, None when nothing is due."""
        self._start_claim()
        return self._take_claim()

    def _do(self, activity: Activity, job: Callable[[], T]) -> Future[T]:
        """Have this done by the database's thread, if there is one."""

        def timed() -> T:
            with self.meter.spends(activity):
                return job()

        return done_now(timed) if self.database is None else self.database.start(timed)

    def _submit_due(self) -> None:
        """Submit what is due, as much as the carrier takes at once and the last second has room for, or wait for it."""
        now = time.monotonic()
        self._give_back(
            self._pop(lambda one: one.claimed_at < now - MAX_CLAIM_AGE), text="Its slot did not come"
        )
        if not self.departures:
            return
        leaves_at, room = self.departures[0].slot, self.carrier.batch_size
        if self.last_second is not None:
            leaves_at = max(leaves_at, self.submitted_at + BATCH_SECONDS, self.last_second.opens_at(now))
            room = min(room, self.last_second.room(now))
        if leaves_at > now:
            self._sleep_until(min(leaves_at, now + HORIZON / 4))
            return
        due = self._pop(lambda one: one.slot <= now, at_most=room)
        if due:
            self._submit(due)

    def _sleep_until(self, moment: float) -> None:
        time.sleep(max(0.0, moment - time.monotonic()))
        self.meter.woke(late=time.monotonic() - moment)

    def _submit(self, due: Sequence[Departure]) -> None:
        begun = self.submitted_at = time.monotonic()
        with self.meter.spends(Activity.SUBMIT):
            results, rests = submit(self.carrier, due)
        ended = time.monotonic()
        self.results += results
        failpoint("submitted")
        if self.last_second is not None:
            self.last_second.add(len(due), begun=begun, ended=ended)
        self.meter.submitted(len(due))
        self.rate = self.carrier.batch_size / max(1e-6, ended - begun)
        if rests:
            self._give_back(self._pop(lambda _: True), text="The trunk rests")
            self.meter.nothing_due()

    def _pop(self, is_meant: Callable[[Departure], bool], *, at_most: int | None = None) -> list[Departure]:
        """Take the first departures away for as long as they are meant."""
        popped: list[Departure] = []
        while self.departures and is_meant(self.departures[0]) and len(popped) != at_most:
            popped.append(self.departures.popleft())
        return popped

    def _give_back(self, departures: Sequence[Departure], *, text: str) -> None:
        """What surely was not submitted is queued again."""
        self.results += [Later(key=str(one.delivery.id), seconds=0, text=text) for one in departures]

    def _start_record(self) -> None:
        """Have the results recorded, those before them first."""
        if self.recording is None:
            self.recorded_at = time.monotonic()
            results, self.results = self.results, []
            if results:
                attempts = {int(result.key): self.attempts.pop(int(result.key)) for result in results}
                self.recording = self._do(
                    Activity.RECORD, partial(record, self.carrier, results, attempts=attempts)
                )

    def _record(self) -> None:
        """Record all results, and wait for it."""
        while self.recording is not None or self.results:
            recording, self.recording = self.recording, None
            if recording is not None:
                recording.result()
            self._start_record()

    def _hand_over(self) -> None:
        """Tell the next dispatcher, which does not know the last second, from when on it may follow its slots.

        A process that is killed does not; then a second may have as many too many as this one was late by.
        """
        if self.last_second is None:
            return
        now = time.monotonic()
        wait = self.last_second.next_slot(now) - now
        # What left on time needs no word, since the next slot is in the trunk's row.
        if wait > BATCH_SECONDS + 1 / self.last_second.cps:
            pacing.postpone(self.carrier.alias, seconds=wait)


def record(carrier: Carrier, results: Sequence[Result], *, attempts: dict[int, int]) -> None:
    """Record, also if the database is away for a moment: what is not recorded has to be asked for, or is lost."""
    for attempt in range(1, RECORD_ATTEMPTS + 1):
        try:
            delivery_reports.record_results(carrier, results, attempts=attempts)
            break
        except (OperationalError, InterfaceError):
            if attempt == RECORD_ATTEMPTS or connection.in_atomic_block:
                raise
            log.warning(
                "The answers of %s to %d deliveries wait for the database", carrier.alias, len(results)
            )
            time.sleep(1)
            close_old_connections()
    failpoint("recorded")
