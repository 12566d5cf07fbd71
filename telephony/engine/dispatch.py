"""Claim queued deliveries at the trunk's pace, submit them outside any transaction, and store the results.

All state is in the database: if a process dies, the rows tell the next process what to do.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import TypeVar

from telephony.carriers.base import Carrier, ConcurrentCarrier, Later, Result
from telephony.engine import pacing, trunk_worker
from telephony.engine.batches import Batches
from telephony.engine.database_thread import DatabaseThread, done_now
from telephony.engine.failpoints import failpoint
from telephony.engine.pace_meter import Activity, PaceMeter, meter_of
from telephony.engine.pace_setting import pace_of
from telephony.engine.pacing import CATCH_UP, HORIZON, Claim, SlidingSecond
from telephony.engine.results_store import store
from telephony.engine.submission import Departure, submit, withdrawal
from telephony.engine.time_budget import TimeBudget
from telephony.engine.withdrawals import WithdrawalCheck

T = TypeVar("T")

# The shortest time between two batches of a paced trunk, in seconds: the 2 % by which a second may exceed the pace.
# If a fast trunk submitted each delivery separately, it would need several times the processor time.
BATCH_SECONDS = 0.02
# A delivery that is still not submitted this many seconds after its claim is queued again, so that a stop does not wait
# for it and an OTP does not queue behind it.
MAX_CLAIM_AGE = 1.0
# How far a claim may reach beyond the horizon, in seconds, to bridge slow claims, results and submissions.
MAX_LEAD = 0.3


def run(alias: str, *, budget: float, may_continue: Callable[[], bool] = lambda: False) -> bool:
    """Dispatch one trunk until nothing is due or `budget` seconds have passed; return whether more deliveries are due.

    After `budget` seconds, `may_continue` decides whether the dispatcher gets another `budget` seconds.
    """
    return Dispatcher(trunk_worker.open_carrier(alias)).run(
        TimeBudget(budget=budget, may_continue=may_continue)
    )


class Dispatcher:
    """Dispatch one trunk in one process: submit claimed deliveries within the horizon, or as soon as possible afterwards.

    If the trunk has a pace, a separate thread claims deliveries and stores results, so that a slow database does not delay
    submissions.
    """

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        self.cps, self.pace_has_changed = pace_of(carrier.alias), False
        self.last_second: SlidingSecond | None = SlidingSecond(self.cps) if self.cps else None
        self.meter: PaceMeter = meter_of(carrier.alias, self.cps)
        self.departures: deque[Departure] = deque()
        self.results: list[Result] = []
        self.attempts: dict[int, int] = {}  # by id, of claimed deliveries whose results are not stored yet
        self.stored_at = time.monotonic()
        self.submitted_at = 0.0
        self.next_claim_at = 0.0  # earliest time of the next claim, after a claim that found nothing due
        self.rate: float | None = None  # deliveries per second that the carrier accepted in the last batch
        # The batches under way, if the carrier can work on several.
        self.batches: Batches | None = None
        if isinstance(carrier, ConcurrentCarrier):
            carrier.prepare()  # before the first claim gives out slots
            self.batches = Batches(carrier)
        self.database: DatabaseThread | None = None
        self.claiming: Future[Claim] | None = None
        self.storing: Future[None] | None = None
        self.withdrawals = WithdrawalCheck()

    def run(self, time_budget: TimeBudget) -> bool:
        """Dispatch until nothing is due or the time is over; return whether more deliveries are due."""
        try:
            if self.last_second is None:
                return self._run(time_budget)
            self.last_second.take_over(pacing.stored_departures(self.carrier.alias))
            with DatabaseThread(name=f"claims-{self.carrier.alias}") as self.database:
                return self._run(time_budget)
        finally:
            # Also after a database error: store the results, and queue deliveries again that were not submitted.
            self.database = None
            if self.claiming is not None and self.claiming.exception() is None:
                self._take_claim()
            self._give_back(self._pop(lambda _: True), text="The dispatcher was interrupted")
            if self.batches:
                self.results += self.batches.finish(partial(store, self.carrier, attempts=self.attempts))
            self._store_results()
            self._hand_over()

    def _run(self, time_budget: TimeBudget) -> bool:
        while True:
            self._collect_finished_jobs()
            if self.departures:
                if self._should_claim_ahead() and not self._ends(time_budget):
                    self._start_claim()
                self.withdrawals.start(self.departures, self.database)
                self._drop_withdrawn()
                self._submit_due()
                if time.monotonic() - self.stored_at > HORIZON:
                    self._start_storing()
            elif self.claiming is not None:
                wait([self.claiming])
            elif self.storing is not None:
                wait([self.storing])
            elif self.results:
                self._start_storing()
            elif self._ends(time_budget):
                return True
            elif self._waits_for_room():
                continue
            else:
                pause = self._claim()
                if pause is None and self.batches:
                    self.batches.wait(HORIZON / 2)
                elif pause is None:
                    self.meter.nothing_due()
                    return False
                else:
                    time.sleep(min(pause, HORIZON))

    def _ends(self, time_budget: TimeBudget) -> bool:
        """Return whether this dispatcher should end: its time is over, or the next one must keep another pace."""
        return self.pace_has_changed or time_budget.is_over()

    def _collect_finished_jobs(self) -> None:
        """Take the results of finished batches and database jobs; raise the errors of the database."""
        if self.batches and (finished := self.batches.collect()):
            self.results += finished.results
            failpoint("submitted")
            if finished.rests:
                self._rest()
        if self.storing is not None and self.storing.done():
            storing, self.storing = self.storing, None
            storing.result()
        if self.claiming is not None and self.claiming.done():
            self._take_claim()
        self._drop_withdrawn()

    def _drop_withdrawn(self) -> None:
        """Remove claimed deliveries that must no longer be submitted, and store their results at once.

        Stopped deliveries return to the queue, so they end `terminated`.
        """
        withdrawn = self.withdrawals.collect()
        dropped = [one for one in self.departures if one.delivery.id in withdrawn]
        if dropped:
            self.departures = deque(one for one in self.departures if one.delivery.id not in withdrawn)
            self.results += [withdrawal(one.delivery.id, withdrawn[one.delivery.id]) for one in dropped]
            self._start_storing()

    @property
    def _lead(self) -> float:
        """Return for how many seconds this process may be busy before it submits again."""
        return min(self.meter.longest_pause(), MAX_LEAD)

    def _should_claim_ahead(self) -> bool:
        """Return whether a paced trunk should claim more before all departures are submitted, so that no slot is missed.

        While departures are already late, the trunk does not claim, because it would only return the new deliveries to the
        queue.
        """
        now = time.monotonic()
        return (
            self.last_second is not None
            and self.claiming is None
            and now >= self.next_claim_at
            and self.departures[-1].slot - now < self._lead + HORIZON / 2
            and self.departures[0].slot > now - CATCH_UP
        )

    def _start_claim(self) -> None:
        """Start a claim of further deliveries, unless the carrier already has as many as it can take."""
        rates = [rate for rate in (self.carrier.pace(), self.rate) if rate]
        max_count = self.carrier.claim_size()
        if self.batches is not None:
            max_count = min(max_count or self.batches.room(), self.batches.room())
        elif self.rate is None:  # not known yet: the first batch measures it
            max_count = min(max_count or self.carrier.batch_size, self.carrier.batch_size)
        if max_count is not None:
            max_count -= len(self.departures)
            if max_count <= 0:
                return
        claim = partial(
            pacing.claim,
            self.carrier.alias,
            horizon=HORIZON + (self._lead if self.last_second else 0.0),
            carrier_rate=min(rates, default=None),
            max_count=max_count,
            pace_note=self.meter.note(carrier_pace=self.carrier.pace()),
            is_busy=self.last_second is not None and self.last_second.count(time.monotonic()) > 0,
        )
        self.claiming = self._do(Activity.CLAIM, claim)

    def _take_claim(self) -> float | None:
        """Add claimed deliveries to the departures; return seconds until the next claim, None when nothing is due."""
        if self.claiming is None:
            return 0.0
        claiming, self.claiming = self.claiming, None
        claim, now = claiming.result(), time.monotonic()
        if not claim.deliveries:
            self.next_claim_at = now + HORIZON / 2
            return claim.wait
        departures = [
            Departure(slot, delivery, claim.valid_until, now, closes_at, claim.validity)
            for slot, delivery, closes_at in zip(claim.slots, claim.deliveries, claim.closing, strict=True)
        ]
        self.attempts |= {delivery.id: delivery.attempts for delivery in claim.deliveries}
        if claim.pace != self.cps:
            self.pace_has_changed = True
            self._give_back(departures, text="The pace has changed")
        else:
            self.departures += departures
        failpoint("claimed")
        return 0.0

    def _claim(self) -> float | None:
        """Claim deliveries and wait for the claim; return seconds until the next claim, None when nothing is due."""
        self._start_claim()
        return self._take_claim()

    def _do(self, activity: Activity, job: Callable[[], T]) -> Future[T]:
        """Run a job in the database thread, or in this thread if there is none; return its future."""

        def timed() -> T:
            with self.meter.spends(activity):
                return job()

        return done_now(timed) if self.database is None else self.database.start(timed)

    def _submit_due(self) -> None:
        """Submit due deliveries, or wait until one is due.

        Submits at most one batch of the carrier, and only as many deliveries as the pace allows after those of the past
        second.
        """
        now = time.monotonic()
        self._give_back(
            self._pop(lambda departure: departure.claimed_at < now - MAX_CLAIM_AGE),
            text="It was not submitted in time after its claim",
        )
        if not self.departures:
            return
        if not self.withdrawals.is_fresh(self.departures[0]):
            self.withdrawals.wait()
            return
        leaves_at, room = self.departures[0].slot, self.carrier.batch_size
        if self.last_second is not None:
            leaves_at = max(leaves_at, self.submitted_at + BATCH_SECONDS, self.last_second.opens_at(now))
            room = min(room, self.last_second.room(now))
        if leaves_at > now:
            self._sleep_until(min(leaves_at, now + HORIZON / 4))
            return
        if self.batches is not None:
            if self._waits_for_room():
                return
            room = min(room, self.batches.room())
        due = self._pop(lambda departure: departure.slot <= now, max_count=room)
        if due:
            self._submit(due)

    def _sleep_until(self, moment: float) -> None:
        time.sleep(max(0.0, moment - time.monotonic()))
        self.meter.woke(late=time.monotonic() - moment)

    def _submit(self, due: Sequence[Departure]) -> None:
        self.submitted_at = time.monotonic()
        if self.batches is not None:
            self.results += self.batches.start(due)
            self._note_departure(len(due), begun=time.monotonic(), ended=None)
            return
        with self.meter.spends(Activity.SUBMIT):
            results, rests, begun = submit(self.carrier, due)
        ended = time.monotonic()
        self.results += results
        failpoint("submitted")
        self._note_departure(len(due), begun=begun, ended=ended)
        self.rate = self.carrier.batch_size / max(1e-6, ended - begun)
        if rests:
            self._rest()

    def _note_departure(self, count: int, *, begun: float, ended: float | None) -> None:
        if self.last_second is not None:
            self.last_second.add(count, begun=begun, ended=ended)
        self.meter.submitted(count)

    def _rest(self) -> None:
        self._give_back(self._pop(lambda _: True), text="The trunk rests")
        self.meter.nothing_due()

    def _waits_for_room(self) -> bool:
        """Return whether the carrier can take no more submissions now; if so, wait a moment for a response."""
        if not self.batches or self.batches.room():
            return False
        with self.meter.spends(Activity.SUBMIT):
            self.batches.wait(HORIZON / 4)
        return True

    def _pop(self, holds: Callable[[Departure], bool], *, max_count: int | None = None) -> list[Departure]:
        """Remove departures from the front of the queue while the condition holds; return them."""
        popped: list[Departure] = []
        while self.departures and holds(self.departures[0]) and len(popped) != max_count:
            popped.append(self.departures.popleft())
        return popped

    def _give_back(self, departures: Sequence[Departure], *, text: str) -> None:
        """Return deliveries to the queue. They must not have been submitted."""
        self.results += [
            Later(key=str(departure.delivery.id), seconds=0, text=text) for departure in departures
        ]

    def _start_storing(self) -> None:
        """Start storing the results, unless earlier results are still being stored."""
        if self.storing is None:
            self.stored_at = time.monotonic()
            results, self.results = self.results, []
            if results:
                attempts = {int(result.key): self.attempts.pop(int(result.key)) for result in results}
                self.storing = self._do(
                    Activity.STORE, partial(store, self.carrier, results, attempts=attempts)
                )

    def _store_results(self) -> None:
        """Store all results, and wait until they are stored."""
        while self.storing is not None or self.results:
            storing, self.storing = self.storing, None
            if storing is not None:
                storing.result()
            self._start_storing()

    def _hand_over(self) -> None:
        """Store the departures of the last second, so that the next dispatcher counts them, too.

        A killed process cannot do this. Then one second may exceed the limit, by the number of late deliveries.
        """
        if self.last_second is not None:
            pacing.store_departures(self.carrier.alias, self.last_second.ages(time.monotonic()))
