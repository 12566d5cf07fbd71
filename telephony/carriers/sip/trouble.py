"""What a trunk's refusals and silences mean: how long it rests, and which calls are made again."""

from __future__ import annotations

import math
import time

from telephony.carriers.errors import Misconfigured, Throttled
from telephony.carriers.sip.causes import Outcome

LONGEST_REST_SECONDS = 60.0  # the first rest is a second, each next one twice as long
# How often a call for which the trunk had no room is made, and the seconds before the next time.
ATTEMPTS = 5
AGAIN_SECONDS = 5.0
COUNTED = 10_000  # calls whose attempts are counted, the latest
# So many refusals in a row that may be meant for all calls are: a wrong password, an address that is not allowed, and an
# empty account all look so. But so does a campaign whose numbers are refused one by one, and it must come to its end: for
# so long a trunk that refuses everything is not believed, counted anew when it was not tried for a while.
ROW = 10
UNBELIEVED_SECONDS = 12 * 3600.0
WHILE_SECONDS = 3600.0


class Trouble:
    """True while the trunk's last word was a failure that has nothing to do with the person who was called.

    Then it rests, and afterwards it is tried with one call at a time, so that a night without a trunk costs a few
    recipients their call, and not all of them.
    """

    def __init__(self) -> None:
        self._rest = 0.0
        self._failed_at = -math.inf
        self._until = -math.inf
        self._reason = ""
        self._locked = ""
        self._told_at = -math.inf
        self._attempts: dict[str, int] = {}  # by the key of the call
        self._row = 0
        self._row_dialled_at = -math.inf  # when the first call of the row was dialled
        self._refused_at = -math.inf
        self._unbelieved_since = -math.inf

    def __bool__(self) -> bool:
        return self._rest > 0

    def judge(self, *, key: str, outcome: Outcome, text: str, dialled_at: float, heard: bool) -> float | None:
        """What a call that was not answered says of the trunk. In how many seconds it is made again; None for never.

        `heard`: the trunk has said anything at all on this call, which was dialled at that time (monotonic).
        """
        if outcome.misconfigured:
            self._lock_out(text, dialled_at=dialled_at)
            return AGAIN_SECONDS
        if outcome.again:
            self.failed(text)
            return self._next_attempt(key)
        if outcome.general and self._is_refused_like_others(dialled_at=dialled_at):
            self.failed(text)
            if outcome.uncalled:
                return AGAIN_SECONDS
        elif outcome.general:
            self._end_rest(dialled_at=dialled_at)
        elif heard:
            self.worked(dialled_at=dialled_at)
        else:
            self.failed(text)
        self.forget(key)
        return None

    def failed(self, reason: str) -> None:
        """What fails while it rests already was dialled before, and tells nothing new."""
        now = time.monotonic()
        if now < self._until:
            return
        self._rest = min(max(1.0, 2 * self._rest), LONGEST_REST_SECONDS)
        self._failed_at, self._until, self._reason = now, now + self._rest, reason

    def worked(self, *, dialled_at: float) -> None:
        """A call that was dialled at that time has come to somebody's phone, or to an answer about it."""
        self._end_rest(dialled_at=dialled_at)
        if dialled_at > self._row_dialled_at:
            self._row = 0

    def forget(self, key: str) -> None:
        """This call is over."""
        self._attempts.pop(key, None)

    def check(self, *, waiting: bool) -> None:
        """Raises unless a call may be made. `waiting`: one has been made of which nothing was heard yet."""
        if self._locked:
            # Said once: the trunk is paused by it, and when its operator lets it go on we try again.
            reason, self._locked, self._told_at = self._locked, "", time.monotonic()
            raise Misconfigured(f"The trunk does not accept our user and password: {reason}")
        left = self._until - time.monotonic()
        if left > 0:
            raise Throttled(self._reason, retry_after=left)
        if self and waiting:
            raise Throttled(self._reason, retry_after=1.0)

    def _lock_out(self, reason: str, *, dialled_at: float) -> None:
        """What was dialled before we said so tells nothing new, whenever its refusal comes."""
        if dialled_at > self._told_at:
            self._locked = reason

    def _end_rest(self, *, dialled_at: float) -> None:
        if dialled_at > self._failed_at:
            self._rest, self._until = 0.0, -math.inf

    def _next_attempt(self, key: str) -> float | None:
        """Counted here, since a delivery's own attempts count also what the trunk's rests have put off."""
        attempts = self._attempts.pop(key, 0) + 1
        if attempts >= ATTEMPTS:
            return None
        self._attempts[key] = attempts
        if len(self._attempts) > COUNTED:
            del self._attempts[next(iter(self._attempts))]
        return AGAIN_SECONDS * attempts

    def _is_refused_like_others(self, *, dialled_at: float) -> bool:
        """Count a refusal. Whether it is the trunk's trouble, as those before it in the row, and none of this call."""
        now = time.monotonic()
        if not self._row:
            self._row_dialled_at = dialled_at
        if not self._row or now - self._refused_at > WHILE_SECONDS:
            self._unbelieved_since = now
        self._row += 1
        self._refused_at = now
        return self._row >= ROW and now - self._unbelieved_since < UNBELIEVED_SECONDS
