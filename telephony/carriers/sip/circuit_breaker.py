"""What a trunk's refusals and silences mean: how long it rests, and which calls are made again."""

from __future__ import annotations

import math
import time

from telephony.carriers.errors import Misconfigured, Throttled
from telephony.carriers.refusals import MAX_REFUSALS_IN_A_ROW, Meaning, RefusalsInARow, Rest
from telephony.carriers.sip.causes import Outcome
from telephony.models import Cause

# How often a call for which the trunk had no room is made, and the seconds before the next time.
ATTEMPTS = 5
AGAIN_SECONDS = 5.0
BEHIND_SECONDS = 1.0  # after a rest, for which a call that was refused lets others go first
COUNTED = 10_000  # calls whose attempts are counted, the latest


class Trouble:
    """True while the trunk's last word was a failure that has nothing to do with the person who was called.

    Then it rests, and afterwards it is tried with one call at a time.
    """

    def __init__(self) -> None:
        self._rest = Rest()
        self._row = RefusalsInARow()
        self._locked = ""
        self._told_at = -math.inf
        self._worked_at = (
            -math.inf
        )  # when the latest call was dialled that came to a phone, or to an answer about it
        self._locked_out = 0  # refusals of our password
        # By the key of the call: how often it was made, and when it was dialled last.
        self._attempts: dict[str, tuple[int, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._rest)

    def judge(
        self, *, key: str, to: str, outcome: Outcome, text: str, dialled_at: float, heard: bool
    ) -> float | None:
        """What a call that was not answered says of the trunk. In how many seconds it is made again; None for never.

        `heard`: the trunk has said anything at all on this call, which was dialled at that time (monotonic).
        """
        reason = f"Delivery {key}: {text}"
        meaning = outcome.meaning
        if meaning in (Meaning.BUSY, Meaning.TRUNK):
            if meaning is Meaning.TRUNK and self._is_lock_out(to=to, outcome=outcome, dialled_at=dialled_at):
                self._lock_out(reason, dialled_at=dialled_at)
                return self._behind(AGAIN_SECONDS)
            if not self._is_of_this_call(key):
                self.failed(reason)
            return self._next_attempt(key, dialled_at=dialled_at)
        if meaning in (Meaning.DOUBTFUL, Meaning.RECIPIENT):
            if self._is_refused_like_others(to=to, outcome=outcome, text=text, dialled_at=dialled_at):
                self.failed(f"{len(self._row)} recipients in a row were refused. {reason}")
                if outcome.uncalled:
                    # What is said of the recipient may be true, so it is not asked for ever.
                    if outcome.cause != Cause.REFUSED:
                        return self._next_attempt(key, dialled_at=dialled_at)
                    return self._behind(AGAIN_SECONDS)
            elif meaning is Meaning.RECIPIENT:
                self._note_works(dialled_at=dialled_at)
            else:
                self._rest.end(sent_at=dialled_at)
        elif heard:
            self.worked(dialled_at=dialled_at)
        elif dialled_at >= self._worked_at:  # else a later call came through: the silence is about this one
            self.failed(reason)
        self.forget(key)
        return None

    def not_dialled(self, *, key: str, text: str, dialled_at: float) -> float | None:
        """The stack would not send the INVITE of a call. In how many seconds it is tried again; None for never."""
        if self._is_of_this_call(key):
            return self._next_attempt(key, dialled_at=dialled_at)
        self.failed(f"Delivery {key}: {text}")
        # No way leads to the trunk: that is no attempt at this call.
        self._note_attempts(key, self._attempts.get(key, (0, 0.0))[0], dialled_at=dialled_at)
        return self._behind(AGAIN_SECONDS)

    def failed(self, reason: str) -> None:
        self._rest.begin(reason, now=time.monotonic())

    def worked(self, *, dialled_at: float) -> None:
        """A call that was dialled at that time has come to somebody's phone."""
        self._row.end(sent_at=dialled_at)
        self._note_works(dialled_at=dialled_at)

    def forget(self, key: str) -> None:
        """This call is over."""
        self._attempts.pop(key, None)

    def check(self, *, waiting: bool) -> None:
        """Raises unless a call may be made. `waiting`: one has been made of which nothing was heard yet."""
        if self._locked:
            # Said once: the trunk is paused by it, and when its operator lets it go on we try again.
            reason, self._locked, self._told_at = self._locked, "", time.monotonic()
            raise Misconfigured(f"The trunk does not accept our user and password. {reason}")
        left = self._rest.seconds_left(now=time.monotonic())
        if left > 0:
            raise Throttled(self._rest.reason, retry_after=left)
        if self and waiting:
            raise Throttled(self._rest.reason, retry_after=1.0)

    def _note_works(self, *, dialled_at: float) -> None:
        self._rest.end(sent_at=dialled_at)
        self._worked_at = max(self._worked_at, dialled_at)

    def _is_lock_out(self, *, to: str, outcome: Outcome, dialled_at: float) -> bool:
        """Whether our password is wrong, and not just asked for by the way to one number.

        While no call has come any further since the worker began, the number of such answers is enough.
        """
        self._locked_out += 1
        in_row = self._is_refused_like_others(to=to, outcome=outcome, text="", dialled_at=dialled_at)
        return in_row or (
            self._worked_at == -math.inf and self._locked_out >= MAX_REFUSALS_IN_A_ROW[Meaning.TRUNK]
        )

    def _lock_out(self, reason: str, *, dialled_at: float) -> None:
        """What was dialled before we said so tells nothing new, whenever its refusal comes."""
        if dialled_at > self._told_at:
            self._locked = reason
            self.failed(reason)

    def _is_of_this_call(self, key: str) -> bool:
        """Whether the trunk took calls that were dialled after the last attempt at this one."""
        return key in self._attempts and self._worked_at > self._attempts[key][1]

    def _next_attempt(self, key: str, *, dialled_at: float) -> float | None:
        """Counted here, since a delivery's own attempts count also what the trunk's rests have put off."""
        attempts = self._attempts.get(key, (0, 0.0))[0] + 1
        if attempts >= ATTEMPTS:
            self.forget(key)
            return None
        self._note_attempts(key, attempts, dialled_at=dialled_at)
        return self._behind(AGAIN_SECONDS * attempts)

    def _note_attempts(self, key: str, attempts: int, *, dialled_at: float) -> None:
        self.forget(key)  # the latest are last
        self._attempts[key] = attempts, dialled_at
        if len(self._attempts) > COUNTED:
            del self._attempts[next(iter(self._attempts))]

    def _behind(self, seconds: float) -> float:
        """Not the same call again as soon as the trunk has rested: what was put off until then goes first."""
        return max(seconds, self._rest.seconds_left(now=time.monotonic()) + BEHIND_SECONDS)

    def _is_refused_like_others(self, *, to: str, outcome: Outcome, text: str, dialled_at: float) -> bool:
        """Count a refusal. Whether it is the trunk's trouble, as those before it in the row, and none of this call."""
        return self._row.count(
            recipient=to,
            meaning=outcome.meaning,
            code=text[:3],
            sent_at=dialled_at,
            now=time.monotonic(),
        )
