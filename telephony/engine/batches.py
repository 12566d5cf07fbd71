"""Submit several batches of one trunk at once, if its carrier can work on them at the same time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection

from telephony.carriers.base import ConcurrentCarrier, Result, Submission
from telephony.engine import shutdown
from telephony.engine.submission import Departure, conclude, prepare

log = logging.getLogger(__name__)

LAST_SECONDS = 2.0  # how long a dispatcher waits at its end for batches under way

Store = Callable[[Sequence[Result]], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    submissions: list[Submission]
    future: Future[list[Result]]


class Finished(NamedTuple):
    """The results of some batches, and whether the trunk rests now."""

    results: list[Result]
    rests: bool


class Batches:
    """The batches of one dispatcher whose results its carrier has not returned yet."""

    def __init__(self, carrier: ConcurrentCarrier) -> None:
        self._carrier = carrier
        self._batches: list[_Batch] = []

    def __bool__(self) -> bool:
        return bool(self._batches)

    def room(self) -> int:
        """Return how many more submissions the carrier can work on now."""
        under_way = sum(len(batch.submissions) for batch in self._batches)
        return max(0, self._carrier.max_in_flight() - under_way)

    def start(self, departures: Sequence[Departure]) -> list[Result]:
        """Begin to submit deliveries; return the results that are known at once."""
        refused, submissions = prepare(departures)
        if submissions:
            self._batches.append(_Batch(submissions, _started(self._carrier, submissions)))
        return refused

    def wait(self, seconds: float) -> None:
        """Wait until a batch has its results, at most this long."""
        wait([batch.future for batch in self._batches], timeout=seconds, return_when=FIRST_COMPLETED)

    def collect(self) -> Finished | None:
        """Return the results of the batches that have finished; None if no batch has."""
        finished = [batch for batch in self._batches if batch.future.done()]
        if not finished:
            return None
        self._batches = [batch for batch in self._batches if batch not in finished]
        results: list[Result] = []
        rests = False
        for batch in finished:
            concluded, begins_rest = conclude(self._carrier, batch.submissions, batch.future.result)
            results += concluded
            rests = rests or begins_rest
        return Finished(results, rests)

    def finish(self, store: Store) -> list[Result]:
        """Return the results of the batches that finish soon, and let a thread store those of the others.

        A slow response must not occupy the dispatcher's process. If the process ends before the response, the leases of the
        deliveries expire, as when any process dies. A worker that is stopping waits for all batches.
        """
        until = time.monotonic() + LAST_SECONDS
        results: list[Result] = []
        while self._batches and (shutdown.is_ending() or time.monotonic() < until):
            self.wait(0.1)
            if finished := self.collect():
                results += finished.results
        batches, self._batches = self._batches, []
        if batches:
            name = f"late-results-{self._carrier.alias}"
            threading.Thread(target=self._store_late, args=(batches, store), name=name, daemon=True).start()
        return results

    def _store_late(self, batches: Sequence[_Batch], store: Store) -> None:
        try:
            for batch in batches:
                results, _ = conclude(self._carrier, batch.submissions, batch.future.result)
                store(results)
        except Exception:
            log.exception(
                "Late results of %s could not be stored; their leases will expire", self._carrier.alias
            )
        finally:
            connection.close()


def _started(carrier: ConcurrentCarrier, submissions: list[Submission]) -> Future[list[Result]]:
    try:
        return carrier.start(submissions)
    except Exception as error:
        failed: Future[list[Result]] = Future()
        failed.set_exception(error)
        return failed
