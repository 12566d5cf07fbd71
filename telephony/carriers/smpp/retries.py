"""Decide when, and how often, an SMS is retried that the SMSC cannot accept at the moment."""

from __future__ import annotations

import time
from dataclasses import dataclass

from telephony.carriers.smpp import protocol

BUSY_SECONDS = 5.0  # retry delay after a temporary error of the SMSC
MAX_ATTEMPTS = 5  # after temporary errors, while the SMSC accepts other SMS
MAX_RETRY_SECONDS = (
    3600.0  # how long an SMS is retried after temporary errors if the SMSC accepts nothing at all
)
# A full queue may be the SMSC's, or that of one phone which is switched off. The backoff is 0, 5, 10, 20 … s, about 25
# minutes in total.
MAX_QUEUE_FULL_ATTEMPTS = 12
MAX_PAUSE_SECONDS = 300.0
# If the SMSC accepts more than this many SMS for each one it throttles, the throttle concerns this SMS, not the pace.
MIN_ACCEPTED_PER_THROTTLED = 10
MAX_THROTTLED_SECONDS = 24 * 3600.0  # how long a throttled SMS is retried if the SMSC throttles all
MAX_COUNTED_SMS = 10_000  # attempts are counted for the latest SMS only


@dataclass(slots=True)
class RetryCount:
    """The failed attempts at one SMS. `since` is the time of the first (monotonic).

    `accepted` and `throttled` are the trunk's totals at the latest failure. `status` is set once the SMSC's complaints
    are known to concern only this SMS.
    """

    since: float
    times: int = 0
    accepted: int = 0
    throttled: int = 0
    throttled_times: int = 0
    status: int | None = None


class RetryCounts:
    """Counts the failed attempts at each SMS.

    `Delivery.attempts` cannot be used, because it also counts claims that a rest of the trunk has put off.
    """

    def __init__(self) -> None:
        self._by_key: dict[str, RetryCount] = {}
        self._accepted = 0
        self._throttled = 0

    def note_accepted(self, count: int) -> None:
        """Note that the SMSC accepted `count` PDUs."""
        self._accepted += count

    def busy(self, key: str) -> float | None:
        """Count a temporary error. Return the seconds until the next attempt at this SMS, None if there is none.

        If the SMSC accepts nothing at all, the attempt does not count against this SMS.
        """
        trouble = self._of(key)
        if not trouble.times or self._accepted > trouble.accepted:
            trouble.times += 1
        trouble.accepted = self._accepted
        ends = trouble.times >= MAX_ATTEMPTS or time.monotonic() - trouble.since > MAX_RETRY_SECONDS
        return None if ends else BUSY_SECONDS

    def full(self, key: str) -> float | None:
        """Count a full queue. Return the seconds until the next attempt at this SMS, None if there is none."""
        trouble = self._of(key)
        trouble.times += 1
        trouble.status = protocol.QUEUE_FULL
        return _backoff(trouble.times)

    def throttled(self, key: str) -> float | None:
        """Count a throttle. Return the seconds until the next attempt at this SMS, None if there is none.

        If the SMSC repeatedly throttles this SMS while it accepts many others, it means this SMS and not the pace.
        """
        trouble = self._of(key)
        others = self._throttled - trouble.throttled
        is_first = not trouble.throttled_times
        is_known = trouble.status == protocol.THROTTLED
        if is_first or is_known or self._accepted - trouble.accepted > MIN_ACCEPTED_PER_THROTTLED * others:
            trouble.throttled_times += 1
        self._throttled += 1
        trouble.accepted, trouble.throttled = self._accepted, self._throttled
        if trouble.throttled_times > 2:
            trouble.status = protocol.THROTTLED
        ends = time.monotonic() - trouble.since > MAX_THROTTLED_SECONDS
        return None if ends else _backoff(trouble.throttled_times)

    def sms_specific_status(self, key: str) -> int | None:
        """Return the status that concerns only this SMS and is no reason to slow down, None if there is none."""
        trouble = self._by_key.get(key)
        return trouble.status if trouble else None

    def forget(self, key: str) -> None:
        """Drop the count of an SMS that was accepted or refused."""
        self._by_key.pop(key, None)

    def _of(self, key: str) -> RetryCount:
        trouble = self._by_key.pop(key, None) or RetryCount(since=time.monotonic())
        self._by_key[key] = trouble
        if len(self._by_key) > MAX_COUNTED_SMS:
            del self._by_key[next(iter(self._by_key))]
        return trouble


def _backoff(times: int) -> float | None:
    """Return the pause after so many attempts, None if there were enough. The first retry is immediate."""
    if times >= MAX_QUEUE_FULL_ATTEMPTS:
        return None
    return 0.0 if times == 1 else min(MAX_PAUSE_SECONDS, BUSY_SECONDS * 2.0 ** (times - 2))
