"""Decide from a trunk's refusals and silences how long the trunk rests, and which calls are retried."""

from __future__ import annotations

import math
import time

from telephony.carriers.errors import Misconfigured, Throttled
from telephony.carriers.refusals import MAX_REFUSALS_IN_A_ROW, Meaning, RefusalsInARow, Rest
from telephony.carriers.sip.causes import Outcome
from telephony.models import Cause

ATTEMPTS = 5  # how often a call is dialled if the trunk has no capacity for it
RETRY_SECONDS = 5.0  # before the second attempt; the n-th retry waits n times as long
YIELD_SECONDS = 1.0  # after a rest, a refused call waits this much longer, so that other calls go first
MAX_RETRY_AFTER_SECONDS = 3600.0  # after a longer Retry-After, iris retries after this time anyway
MAX_COUNTED_CALLS = 10_000  # attempts are counted for the latest calls only


class CircuitBreaker:
    """Counts failures of a trunk. `bool(breaker)` is true while iris doubts the trunk.

    iris doubts the trunk if the latest failure concerned the trunk and not the called person. The trunk then rests, and
    afterwards it is tried with one call at a time.
    """

    def __init__(self) -> None:
        self._rest = Rest()
        self._refusals = RefusalsInARow()
        self._lockout_reason = ""
        self._lockout_reported_at = -math.inf
        # When iris dialled the latest successful call. A call is successful if it reached a phone, or if the response
        # concerned only its number.
        self._last_success_at = -math.inf
        self._password_refusals = 0
        # For each call, by its key: how often it was dialled, and when it was last dialled.
        self._attempts: dict[str, tuple[int, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._rest)

    def on_unanswered(
        self,
        *,
        key: str,
        to: str,
        outcome: Outcome,
        text: str,
        dialled_at: float,
        trunk_responded: bool,
        retry_after: float | None = None,
    ) -> float | None:
        """Count an unanswered call for or against the trunk. Return the seconds until it is retried, None for never.

        `dialled_at` is monotonic. `trunk_responded` says whether the trunk sent any response beyond "100 Trying".
        `retry_after` is the trunk's Retry-After in seconds. It says when the trunk, or a recipient who cannot be reached,
        can be tried again.
        """
        reason = f"Delivery {key}: {text}"
        meaning = outcome.meaning
        if meaning in (Meaning.BUSY, Meaning.TRUNK):
            if meaning is Meaning.TRUNK and self._is_lockout(to=to, outcome=outcome, dialled_at=dialled_at):
                self._begin_lockout(reason, dialled_at=dialled_at)
                return self._delay_after_rest(RETRY_SECONDS)
            if not self._fails_alone(key):
                self.trip(reason, retry_after=retry_after)
            return self._next_attempt(key, dialled_at=dialled_at, retry_after=retry_after)
        if meaning in (Meaning.DOUBTFUL, Meaning.RECIPIENT):
            if self._counts_against_trunk(to=to, outcome=outcome, text=text, dialled_at=dialled_at):
                self.trip(
                    f"{len(self._refusals)} recipients in a row were refused. {reason}",
                    retry_after=retry_after,
                )
                if outcome.did_not_ring:
                    # The response may be true of this recipient, so the number of attempts is limited.
                    if outcome.cause != Cause.REFUSED:
                        return self._next_attempt(key, dialled_at=dialled_at, retry_after=retry_after)
                    return self._delay_after_rest(RETRY_SECONDS)
            elif meaning is Meaning.RECIPIENT:
                self._note_trunk_works(dialled_at=dialled_at)
            else:
                self._rest.end(sent_at=dialled_at)
            if self._is_reachable_later(key, outcome=outcome, retry_after=retry_after):
                return self._next_attempt(key, dialled_at=dialled_at, retry_after=retry_after)
        elif trunk_responded:
            self.note_success(dialled_at=dialled_at)
        elif dialled_at >= self._last_success_at:  # otherwise the missing response concerns only this call
            self.trip(reason)
        self.forget(key)
        return None

    def on_not_dialled(self, *, key: str, text: str, dialled_at: float) -> float | None:
        """Handle a call whose INVITE the stack could not send. Return the seconds until it is retried, None for never."""
        if self._fails_alone(key):
            return self._next_attempt(key, dialled_at=dialled_at)
        self.trip(f"Delivery {key}: {text}")
        # The trunk cannot be reached, so this does not count as an attempt at this call.
        self._note_attempts(key, self._attempts.get(key, (0, 0.0))[0], dialled_at=dialled_at)
        return self._delay_after_rest(RETRY_SECONDS)

    def trip(self, reason: str, *, retry_after: float | None = None) -> None:
        """Let the trunk rest, for at least `retry_after` seconds. `reason` is shown to the operator."""
        seconds = min(retry_after or 0.0, MAX_RETRY_AFTER_SECONDS)
        self._rest.begin(reason, now=time.monotonic(), min_seconds=seconds)

    def note_success(self, *, dialled_at: float) -> None:
        """Note that a call dialled at `dialled_at` has reached a phone."""
        self._refusals.end(sent_at=dialled_at)
        self._note_trunk_works(dialled_at=dialled_at)

    def forget(self, key: str) -> None:
        """Drop the attempts of a call that has ended."""
        self._attempts.pop(key, None)

    def check(self, *, waiting: bool) -> None:
        """Raise Misconfigured or Throttled unless a call may be made now.

        `waiting` says that the trunk has not responded yet to a call in progress.
        """
        if self._lockout_reason:
            # Raise Misconfigured only once. It pauses the trunk. After the operator has ended the pause, the trunk must be
            # tried again.
            reason, self._lockout_reason, self._lockout_reported_at = (
                self._lockout_reason,
                "",
                time.monotonic(),
            )
            text = "The trunk does not accept our user and password."
            raise Misconfigured(f"{text} {reason}", batch_text=text)
        left = self._rest.seconds_left(now=time.monotonic())
        if left > 0:
            raise Throttled(self._rest.reason, retry_after=left, batch_text="The trunk rests.")
        if self and waiting:
            raise Throttled(
                self._rest.reason, retry_after=1.0, batch_text="The trunk is tried with one call first."
            )

    def _note_trunk_works(self, *, dialled_at: float) -> None:
        self._rest.end(sent_at=dialled_at)
        self._last_success_at = max(self._last_success_at, dialled_at)

    def _is_lockout(self, *, to: str, outcome: Outcome, dialled_at: float) -> bool:
        """Return whether the trunk rejects our password for all calls, and not only on the route to one number.

        If every call since the worker's start was rejected, three rejections are enough, even of one number.
        """
        self._password_refusals += 1
        in_row = self._counts_against_trunk(to=to, outcome=outcome, text="", dialled_at=dialled_at)
        return in_row or (
            self._last_success_at == -math.inf
            and self._password_refusals >= MAX_REFUSALS_IN_A_ROW[Meaning.TRUNK]
        )

    def _begin_lockout(self, reason: str, *, dialled_at: float) -> None:
        """Report a rejected password, unless the call was dialled before the last such report."""
        if dialled_at > self._lockout_reported_at:
            self._lockout_reason = reason
            self.trip(reason)

    def _fails_alone(self, key: str) -> bool:
        """Return whether the trunk has accepted calls that were dialled after the last attempt at this one."""
        return key in self._attempts and self._last_success_at > self._attempts[key][1]

    def _is_reachable_later(self, key: str, *, outcome: Outcome, retry_after: float | None) -> bool:
        """Return whether the trunk says when this recipient can be reached, so that one more call is made then."""
        return (
            retry_after is not None
            and retry_after <= MAX_RETRY_AFTER_SECONDS
            and outcome.cause == Cause.NO_ANSWER
            and outcome.did_not_ring
            and key not in self._attempts
        )

    def _next_attempt(self, key: str, *, dialled_at: float, retry_after: float | None = None) -> float | None:
        """Count an attempt. Return the seconds until the next one, at least `retry_after`, None if it was the last.

        `Delivery.attempts` cannot be used: it also counts claims that led to no call because the trunk was resting.
        """
        attempts = self._attempts.get(key, (0, 0.0))[0] + 1
        if attempts >= ATTEMPTS:
            self.forget(key)
            return None
        self._note_attempts(key, attempts, dialled_at=dialled_at)
        wanted = min(retry_after or 0.0, MAX_RETRY_AFTER_SECONDS)
        return self._delay_after_rest(max(RETRY_SECONDS * attempts, wanted))

    def _note_attempts(self, key: str, attempts: int, *, dialled_at: float) -> None:
        self.forget(key)  # insert it anew, so that the dict stays in order of age
        self._attempts[key] = attempts, dialled_at
        if len(self._attempts) > MAX_COUNTED_CALLS:
            del self._attempts[next(iter(self._attempts))]

    def _delay_after_rest(self, seconds: float) -> float:
        """Return a delay that ends after the current rest, so that calls that waited for the end of the rest go first."""
        return max(seconds, self._rest.seconds_left(now=time.monotonic()) + YIELD_SECONDS)

    def _counts_against_trunk(self, *, to: str, outcome: Outcome, text: str, dialled_at: float) -> bool:
        """Count a refusal. Return whether the refusals in a row are blamed on the trunk and not on this call."""
        return self._refusals.count(
            recipient=to,
            meaning=outcome.meaning,
            code=text[:3],
            sent_at=dialled_at,
            now=time.monotonic(),
        )
