"""Decide when and how often to retry an SMS that the SMSC cannot accept at the moment."""

from __future__ import annotations

import time
from dataclasses import dataclass

from telephony.carriers.smpp import protocol

BUSY_SECONDS = 5.0  # retry delay after a temporary error of the SMSC
MAX_ATTEMPTS = 5  # after temporary errors, while the SMSC accepts other SMS
# How long an SMS is retried after temporary errors if the SMSC accepts nothing at all.
MAX_RETRY_SECONDS = 3600.0
# The full queue may be the queue of the whole SMSC, or of a single phone that is switched off. The backoff is 0, 5, 10, 20 …
# s, about 25 minutes in total.
MAX_BACKOFF_ATTEMPTS = 12  # of an SMS after a full queue, or throttles that concern it
MAX_PAUSE_SECONDS = 300.0
# If, since an SMS was last throttled, the SMSC has accepted more than this many PDUs for each other throttle, the new
# throttle concerns that SMS and not the pace.
MIN_ACCEPTED_PER_THROTTLED = 10
MAX_THROTTLED_SECONDS = 24 * 3600.0  # how long a throttled SMS is retried if the SMSC throttles all
MAX_COUNTED_SMS = 10_000  # attempts are counted for the latest SMS only


@dataclass(slots=True)
class RetryCount:
    """The failed attempts at one SMS. `since` is the time of the first (monotonic).

    `busy_or_full` counts temporary errors and full queues, `throttled` the first throttle and those that concern this SMS.
    `accepted_before` and `throttled_before` are the trunk's totals at the latest failure. `status` is set once throttles
    or full queues are known to concern only this SMS.
    """

    since: float
    busy_or_full: int = 0
    throttled: int = 0
    accepted_before: int = 0
    throttled_before: int = 0
    status: int | None = None


class RetryCounts:
    """Counts the failed attempts at each SMS.

    `Delivery.attempts` cannot be used: it grows each time the engine claims the delivery, even if the trunk was resting and
    nothing was sent.
    """

    def __init__(self) -> None:
        self._by_key: dict[str, RetryCount] = {}
        self._accepted = 0
        self._throttled = 0

    def note_accepted(self, pdus: int) -> None:
        """Note that the SMSC accepted this number of PDUs."""
        self._accepted += pdus

    def count_busy(self, key: str) -> float | None:
        """Count a temporary error. Return the seconds until the next attempt at this SMS, None if there is none.

        If the SMSC accepts nothing at all, the attempt does not count against this SMS.
        """
        count = self._of(key)
        if not count.busy_or_full or self._accepted > count.accepted_before:
            count.busy_or_full += 1
        count.accepted_before = self._accepted
        ends = count.busy_or_full >= MAX_ATTEMPTS or time.monotonic() - count.since > MAX_RETRY_SECONDS
        return None if ends else BUSY_SECONDS

    def count_queue_full(self, key: str) -> float | None:
        """Count a full queue. Return the seconds until the next attempt at this SMS, None if there is none."""
        count = self._of(key)
        count.busy_or_full += 1
        count.status = protocol.QUEUE_FULL
        return _backoff(count.busy_or_full)

    def count_throttled(self, key: str) -> float | None:
        """Count a throttle. Return the seconds until the next attempt at this SMS, None if there is none.

        If the SMSC repeatedly throttles this SMS while it accepts many others, the throttle concerns this SMS and not
        the pace.
        """
        count = self._of(key)
        others = self._throttled - count.throttled_before
        is_first = not count.throttled
        is_known = count.status == protocol.THROTTLED
        if (
            is_first
            or is_known
            or self._accepted - count.accepted_before > MIN_ACCEPTED_PER_THROTTLED * others
        ):
            count.throttled += 1
        self._throttled += 1
        count.accepted_before, count.throttled_before = self._accepted, self._throttled
        if count.throttled > 2:
            count.status = protocol.THROTTLED
        ends = time.monotonic() - count.since > MAX_THROTTLED_SECONDS
        return None if ends else _backoff(count.throttled)

    def sms_specific_status(self, key: str) -> int | None:
        """Return the status that concerns only this SMS and is no reason to slow down, None if there is none."""
        count = self._by_key.get(key)
        return count.status if count else None

    def forget(self, key: str) -> None:
        """Drop the count of an SMS that was accepted or refused."""
        self._by_key.pop(key, None)

    def _of(self, key: str) -> RetryCount:
        count = self._by_key.pop(key, None) or RetryCount(since=time.monotonic())
        self._by_key[key] = count
        if len(self._by_key) > MAX_COUNTED_SMS:
            del self._by_key[next(iter(self._by_key))]
        return count


def _backoff(times: int) -> float | None:
    """Return the seconds until the next attempt after `times` attempts, or None if no more are made.

    The first retry is immediate.
    """
    if times >= MAX_BACKOFF_ATTEMPTS:
        return None
    return 0.0 if times == 1 else min(MAX_PAUSE_SECONDS, BUSY_SECONDS * 2.0 ** (times - 2))
