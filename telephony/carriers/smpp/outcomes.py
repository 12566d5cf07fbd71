"""Turn the SMSC's responses into the result of each SMS, and decide whether the trunk rests.

A trunk that rests sends nothing for some seconds.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from telephony.carriers.base import Accepted, Later, Rejected, Result, Unknown
from telephony.carriers.errors import Misconfigured, Throttled
from telephony.carriers.refusals import Meaning, RefusalsInARow, Rest
from telephony.carriers.smpp import protocol
from telephony.carriers.smpp.message import UNANSWERED, OutgoingSms
from telephony.carriers.smpp.pace import Pace
from telephony.carriers.smpp.protocol import Status, name_of, status_of
from telephony.carriers.smpp.receipts import MessageIdFormat
from telephony.carriers.smpp.retries import BUSY_SECONDS, RetryCounts
from telephony.models import Cause

TOO_FAST = "The SMSC asks for a slower pace."
YIELD_SECONDS = 1.0  # after a rest, a refused SMS waits this much longer, so that other SMS go first
# If a trial SMS has no result this long after answer_seconds, the next trial may begin.
TRIAL_GRACE_SECONDS = 10.0


class Outcomes:
    """Determines the result of each SMS, and remembers what the responses show about the trunk.

    It remembers refusals in a row, rests and trials.

    The link's thread updates it. `check`, `is_on_trial` and `begin_trial` are called from the thread that submits.
    """

    def __init__(self, options: Mapping[str, Any], *, ids: MessageIdFormat, pace: Pace) -> None:
        self._options = options
        self._ids = ids
        self._pace = pace
        self._retries = RetryCounts()
        self._refusals = RefusalsInARow()
        self._busy_refusals = RefusalsInARow()
        self._rest = Rest()
        self._misconfiguration = ""  # the reason that the operator has to correct
        self._misconfiguration_reported_at = -math.inf
        self._hold_reason = ""  # why sending is suspended
        self._trial_began_at = -math.inf

    @property
    def seconds_held(self) -> float:
        """Return the seconds for which sending is still suspended, 0 if it is not."""
        return max(0.0, self._pace.held_until - time.monotonic())

    @property
    def is_on_trial(self) -> bool:
        """Whether only one SMS at a time is sent, because the SMSC refused the previous ones."""
        return bool(self._rest)

    def check(self) -> None:
        """Raise Misconfigured or Throttled unless an SMS may be submitted now."""
        if self._misconfiguration:
            fault, self._misconfiguration = self._misconfiguration, ""
            self._misconfiguration_reported_at = time.monotonic()
            raise Misconfigured(fault)
        if seconds := self.seconds_held:
            raise Throttled(self._hold_reason or TOO_FAST, retry_after=seconds)
        trial_seconds = self._options["answer_seconds"] + TRIAL_GRACE_SECONDS
        if self.is_on_trial and time.monotonic() - self._trial_began_at < trial_seconds:
            raise Throttled(self._rest.reason, retry_after=1.0)

    def begin_trial(self) -> None:
        """Note that the SMS of the trial is being sent."""
        self._trial_began_at = time.monotonic()

    def prepare(self, message: OutgoingSms, *, to: str) -> None:
        """Before a message is sent, add to it what iris knows about its recipient and its earlier attempts."""
        message.to = to
        message.sms_specific_status = self._retries.sms_specific_status(message.key)

    def note_responses(self, meanings: Counter[Meaning]) -> None:
        """Count submit responses by their meaning, and adapt the pace."""
        now = time.monotonic()
        self._retries.note_accepted(meanings[Meaning.TAKEN])
        if meanings[Meaning.TAKEN]:
            self._pace.note_accepted(meanings[Meaning.TAKEN], now=now)
        if meanings[Meaning.TOO_FAST]:
            self._hold_reason = TOO_FAST
            self._pace.note_throttled(now=now)

    def result(self, message: OutgoingSms) -> Result:
        """Return the result of a message from the responses to its parts."""
        self._trial_began_at = -math.inf
        result = self._result(message)
        if isinstance(result, Accepted | Rejected):
            self._retries.forget(message.key)
        return result

    def unwritten(self, message: OutgoingSms) -> Result:
        """Return the result of a message that was certainly not written, or whose cancel_sm was throttled."""
        self._trial_began_at = -math.inf
        text = "It was not sent yet. The window was full, or the connection ended."
        seconds = self.seconds_held
        if message.cancel_status is not None:
            text = _not_cancelled(message.cancel_status)
            pause = self._retries.count_throttled(message.key)
            if pause is None:
                return Unknown(key=message.key, text=text)
            seconds = max(seconds, pause)
        return Later(key=message.key, seconds=seconds, text=text, attempt=message.attempt)

    def _result(self, message: OutgoingSms) -> Result:
        key, total = message.key, len(message.pdus)
        if message.accepted_parts:
            self._rest.end(sent_at=message.written_at)
            self._refusals.end(sent_at=message.written_at)
            self._busy_refusals.end(sent_at=message.written_at)
        if message.accepted_parts == total:
            refs = [self._ids.from_response(raw) for raw in message.ids]
            parts = tuple(refs) if total > 1 else ()
            return Accepted(key=key, ref=refs[0], parts=parts, completes=not self._options["receipts"])
        if message.is_withheld:
            return Unknown(key=key, text=_not_cancelled(message.cancel_status or UNANSWERED))
        answered = [code for code in message.statuses if code is not None and code > 0]
        if len(answered) + message.accepted_parts < total:
            text = "The SMSC did not respond."
            if total > 1:
                text = f"The SMSC did not respond to every part. It accepted {message.accepted_parts} of {total}."
            return Unknown(key=key, text=text)
        code, status, text = answered[0], status_of(answered[0]), name_of(answered[0])
        if message.cancel and protocol.INVALID_REPLACE_FLAG in answered:
            return Unknown(
                key=key,
                text=f"The SMSC may have this SMS from an earlier attempt. Response to the replacement: {text}.",
            )
        if message.accepted_parts:
            text = f"{text}; the SMSC has accepted {message.accepted_parts} of {total} parts"
        pause = self._count_refusal(message, code, status, reason=f"Delivery {key}: {text}")
        if pause is None or (
            message.accepted_parts and status.meaning in (Meaning.DOUBTFUL, Meaning.RECIPIENT)
        ):
            return Rejected(key=key, cause=status.cause, text=text)
        if message.accepted_parts:  # a resend would deliver the accepted parts twice
            return Unknown(key=key, text=text)
        return Later(key=key, seconds=max(pause, self.seconds_held), text=text, attempt=message.attempt)

    def _count_refusal(self, message: OutgoingSms, code: int, status: Status, *, reason: str) -> float | None:
        """Count a refusal, and begin a rest if the refusals now count against the trunk.

        Returns the seconds until the message is retried, None if it is not.
        """
        key, meaning = message.key, status.meaning
        if meaning is Meaning.TOO_FAST:
            if self.seconds_held:
                self._hold_reason = f"{TOO_FAST} {reason}"
            return (
                self._retries.count_queue_full(key)
                if code == protocol.QUEUE_FULL
                else self._retries.count_throttled(key)
            )
        now = time.monotonic()
        in_a_row = self._busy_refusals if meaning is Meaning.BUSY else self._refusals
        if in_a_row is self._refusals:
            self._busy_refusals.end(sent_at=math.inf)
        # All refusals of one approved sender count as one: a wrong sender must not stop the trunk.
        about_sender = message.sender and code == protocol.INVALID_SOURCE
        counts_against_trunk = in_a_row.count(
            recipient=message.sender if about_sender else message.to,
            meaning=meaning,
            code=code,
            sent_at=message.written_at,
            now=now,
        )
        if meaning is Meaning.BUSY:
            if counts_against_trunk:
                self._rest_for(BUSY_SECONDS, f"The SMSC cannot accept messages at present. {reason}")
            return self._retries.count_busy(key)
        if meaning is Meaning.TRUNK:
            if not counts_against_trunk:
                return self._retries.count_busy(key)
            # A message that was written earlier reports a refusal that was reported already.
            if message.written_at > self._misconfiguration_reported_at:
                self._misconfiguration = f"The SMSC refuses the configured login. {reason}"
                self._rest.begin(self._misconfiguration, now=now)
            return max(BUSY_SECONDS, self._rest.seconds_left(now=now) + YIELD_SECONDS)
        if not counts_against_trunk:
            self._rest.end(sent_at=message.written_at)
            return None
        self._rest.begin(f"{len(in_a_row)} recipients in a row were refused. {reason}", now=now)
        self._rest_for(self._rest.seconds_left(now=now), self._rest.reason)
        # A code that says why this recipient fails (such as an invalid number) may be right, so attempts at this SMS are
        # counted. A general refusal is retried without counting them.
        pause = BUSY_SECONDS if status.cause == Cause.REFUSED else self._retries.count_busy(key)
        return None if pause is None else max(pause, self.seconds_held + YIELD_SECONDS)

    def _rest_for(self, seconds: float, why: str) -> None:
        self._hold_reason = why
        self._pace.rest(seconds, now=time.monotonic())


def _not_cancelled(status: int) -> str:
    """Describe a resend that was held back, by the status of the response to its cancel_sm."""
    response = "none" if status == UNANSWERED else name_of(status)
    return (
        "The SMSC may have this SMS from an earlier attempt, so it was not sent again. Response to the cancellation: "
        f"{response}."
    )
