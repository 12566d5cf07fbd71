"""Whether a trunk that has failed should be tried again by now."""

from __future__ import annotations

import time

from telephony.carriers.errors import Misconfigured, Throttled

LONGEST_REST_SECONDS = 60.0  # the first rest is a second, each next one twice as long


class Trouble:
    """True while the trunk's last word was a failure that has nothing to do with the person who was called.

    Then it rests, and afterwards it is tried with one call at a time, so that a night without a trunk costs a few
    recipients their call, and not all of them.
    """

    def __init__(self) -> None:
        self._rest = 0.0
        self._failed_at = 0.0
        self._until = 0.0
        self._reason = ""
        self._locked = ""

    def __bool__(self) -> bool:
        return self._rest > 0

    def failed(self, reason: str) -> None:
        """What fails while it rests already was dialled before, and tells nothing new."""
        now = time.monotonic()
        if now < self._until:
            return
        self._rest = min(max(1.0, 2 * self._rest), LONGEST_REST_SECONDS)
        self._failed_at, self._until, self._reason = now, now + self._rest, reason

    def locked_out(self, reason: str) -> None:
        self._locked = reason

    def worked(self, *, dialled_at: float) -> None:
        if dialled_at > self._failed_at:
            self._rest = self._until = 0.0

    def check(self, *, waiting: bool) -> None:
        """Raises unless a call may be made. `waiting`: one has been made of which nothing was heard yet."""
        if self._locked:
            # Said once: the trunk is paused by it, and when its operator lets it go on we try again.
            reason, self._locked = self._locked, ""
            raise Misconfigured(f"The trunk does not accept our user and password: {reason}")
        left = self._until - time.monotonic()
        if left > 0:
            raise Throttled(self._reason, retry_after=left)
        if self and waiting:
            raise Throttled(self._reason, retry_after=1.0)
