"""Send due messages to their endpoints.

One process at a time sends (`webhooks.tasks`). Threads of two lanes send the requests: many for endpoints whose last
response was quick and a success, and few for all others. So slow, dead and new endpoints delay only each other. In both
lanes, an endpoint has only some requests in flight.

Calls and SMS go first: the threads have a low priority, and while the processors are needed (`webhooks.holds`), only
MAX_WHILE_YIELDING messages a second are sent.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC

from django.conf import settings
from django.utils import timezone

from iris import outbound
from webhooks import attempts, holds, outbox, signing
from webhooks.attempts import Claimed, Result

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 15.0  # of one attempt, from the look-up of the name to the end of the response
MAX_RESPONSE_BYTES = 64 * 1024  # more is not read
NICENESS = 10
UNLIMITED = 1_000_000_000
MAX_WHILE_YIELDING = 50  # messages of one call, which the tick makes every second
IDLE_SECONDS = 0.2  # between two looks for further messages while requests are in flight
GATHER_SECONDS = 0.05  # how long results are gathered, so that many are recorded in one transaction
# A thread does not begin an attempt that could outlast its lease.
SPARE_SECONDS = attempts.LEASE_SECONDS - TIMEOUT_SECONDS - 5


class _Lane:
    """Threads for trusted endpoints, or for the others."""

    def __init__(
        self, done: queue.SimpleQueue[_Done], *, trusted: bool, threads: int, per_endpoint: int
    ) -> None:
        self.trusted, self.threads, self.per_endpoint = trusted, threads, per_endpoint
        self.in_flight: Counter[int] = Counter()
        self._done = done
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="webhooks", initializer=_lower_priority)

    def fill(self, allowed: int) -> int:
        """Claim up to `allowed` messages for the free threads; return how many there were."""
        free = self.threads - self.in_flight.total()
        # While most threads are busy, wait for more of them, so that a statement claims several messages.
        if free * 4 < self.threads or not allowed:
            return 0
        claimed = attempts.claim(
            trusted=self.trusted, most=min(free, allowed), per_endpoint=self.per_endpoint, busy=self.in_flight
        )
        until = time.monotonic() + SPARE_SECONDS
        for message in claimed:
            self.in_flight[message.endpoint_id] += 1
            self._pool.submit(self._send, message, until)
        return len(claimed)

    def finish(self, message: Claimed) -> None:
        """Note that a request is no longer in flight."""
        self.in_flight[message.endpoint_id] -= 1
        if not self.in_flight[message.endpoint_id]:
            del self.in_flight[message.endpoint_id]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _send(self, message: Claimed, until: float) -> None:
        result = None
        try:
            if time.monotonic() < until:
                result = send(message)
        finally:
            self._done.put((self, message, result))


_Done = tuple[_Lane, Claimed, Result | None]


def send_due(*, budget: float) -> bool:
    """Send due messages for about `budget` seconds, and wait for the responses. Return whether to go on with others at once.

    If the process dies, the messages in flight are due again at the end of their leases.
    """
    if holds.is_held():
        return False
    done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
    lanes = (
        _Lane(done, trusted=True, threads=96, per_endpoint=24),
        _Lane(done, trusted=False, threads=6, per_endpoint=1),
    )
    must_yield = holds.must_yield()
    left = MAX_WHILE_YIELDING if must_yield else UNLIMITED
    end = time.monotonic() + budget
    try:
        while True:
            found = 0
            for lane in lanes if time.monotonic() < end else ():
                claimed = lane.fill(left)
                left -= claimed
                found += claimed
            if not any(lane.in_flight for lane in lanes):
                break
            attempts.record(_finished(done, lanes, wait=GATHER_SECONDS if found else IDLE_SECONDS))
    finally:
        for lane in lanes:
            lane.close()
    return not must_yield and outbox.has_due()


def send(message: Claimed) -> Result:
    """Make one attempt. Any response of 200 to 299 is a success. A redirect is a failure: it is not followed."""
    at, began = timezone.now(), time.monotonic()
    code, error = None, ""
    try:
        signed = signing.headers(
            webhook_id=message.webhook_id, body=message.body, secrets=message.secrets, now=at.astimezone(UTC)
        )
        code = outbound.request(
            "POST",
            message.url,
            deadline=outbound.Deadline(TIMEOUT_SECONDS),
            max_bytes=MAX_RESPONSE_BYTES,
            cut=True,
            body=message.body.encode(),
            headers={"User-Agent": "iris", "Content-Type": "application/json", **signed},
            private=settings.IRIS_WEBHOOKS_TO_PRIVATE,
        ).status
    except outbound.OutboundError as refused:
        error = f"{refused.message[:1].upper()}{refused.message[1:]}."
    except Exception:  # the other messages must still be sent
        log.exception("The webhook %s could not be sent", message.webhook_id)
        error = "This server could not send it."
    return Result(message=message, at=at, seconds=time.monotonic() - began, code=code, error=error[:200])


def _finished(done: queue.SimpleQueue[_Done], lanes: Sequence[_Lane], *, wait: float) -> list[Result]:
    """Return the results that arrive within `wait` seconds, and soon after the first one."""
    results: list[Result] = []
    end = time.monotonic() + wait
    with suppress(queue.Empty):
        while any(lane.in_flight for lane in lanes):
            lane, message, result = done.get(timeout=max(end - time.monotonic(), 0.001))
            lane.finish(message)
            if result is not None:
                results.append(result)
            if len(results) == 1:
                end = min(end, time.monotonic() + GATHER_SECONDS)
    return results


def _lower_priority() -> None:
    # In Linux each thread has a priority of its own.
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
