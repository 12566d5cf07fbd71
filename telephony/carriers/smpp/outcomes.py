"""What the SMSC's answers come to: the result of each SMS, and whether the trunk rests."""

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
from telephony.carriers.smpp.message import UNANSWERED, Message
from telephony.carriers.smpp.pace import Pace
from telephony.carriers.smpp.protocol import Status, name_of, status_of
from telephony.carriers.smpp.receipts import Ids
from telephony.carriers.smpp.retries import BUSY_SECONDS, Troubles
from telephony.models import Cause

TOO_FAST = "The SMSC wants it slower."
BEHIND_SECONDS = 1.0  # after a rest, for which an SMS that was refused lets others go first
PROBE_GRACE_SECONDS = 10.0  # beside what an answer may take, until a trial counts as unanswered


class Outcomes:
    """Written by the thread of the link; `check`, `is_on_trial` and `begin_trial` are for the thread that submits."""

    def __init__(self, options: Mapping[str, Any], *, ids: Ids, pace: Pace) -> None:
        self._options = options
        self._ids = ids
        self._pace = pace
        self._troubles = Troubles()
        self._refusals = RefusalsInARow()
        self._busy = RefusalsInARow()
        self._rest = Rest()
        self._fault = ""  # what the operator has to mend
        self._faulted_at = -math.inf
        self._why = ""  # nothing is sent at present
        self._tried_at = -math.inf

    @property
    def hold(self) -> float:
        """Seconds in which nothing is to be sent."""
        return max(0.0, self._pace.held_until - time.monotonic())

    @property
    def is_on_trial(self) -> bool:
        """Whether only one SMS at a time is sent, since the SMSC refused what it was sent before."""
        return bool(self._rest)

    def check(self) -> None:
        """Raises what says why nothing can be submitted now."""
        if self._fault:
            fault, self._fault = self._fault, ""
            self._faulted_at = time.monotonic()
            raise Misconfigured(fault)
        if hold := self.hold:
            raise Throttled(self._why or TOO_FAST, retry_after=hold)
        answer_seconds = self._options["answer_seconds"] + PROBE_GRACE_SECONDS
        if self.is_on_trial and time.monotonic() - self._tried_at < answer_seconds:
            raise Throttled(self._rest.reason, retry_after=1.0)

    def begin_trial(self) -> None:
        """The one SMS that is tried is on its way."""
        self._tried_at = time.monotonic()

    def prepare(self, message: Message, *, to: str) -> None:
        """Complete a message that is about to be sent."""
        message.to = to
        message.own_complaint = self._troubles.own_complaint(message.key)

    def heard(self, meanings: Counter[Meaning]) -> None:
        """What the answers to PDUs meant, and how often: the pace follows them."""
        now = time.monotonic()
        self._troubles.took(meanings[Meaning.TAKEN])
        if meanings[Meaning.TAKEN]:
            self._pace.took(meanings[Meaning.TAKEN], now=now)
        if meanings[Meaning.TOO_FAST]:
            self._why = TOO_FAST
            self._pace.complained(now=now)

    def result(self, message: Message) -> Result:
        """What the answers to a message's parts make of it."""
        self._tried_at = -math.inf
        result = self._result(message)
        if isinstance(result, Accepted | Rejected):
            self._troubles.forget(message.key)
        return result

    def unwritten(self, message: Message) -> Result:
        """What becomes of a message that surely has not left, or whose cancel_sm came too fast."""
        self._tried_at = -math.inf
        text = "The SMSC had no room for it yet."
        seconds = self.hold
        if message.recall_status is not None:
            text = (
                f"The SMSC may have it, and could not take it back: it said {name_of(message.recall_status)}."
            )
            pause = self._troubles.throttled(message.key)
            if pause is None:
                return Unknown(key=message.key, text=text)
            seconds = max(seconds, pause)
        return Later(key=message.key, seconds=seconds, text=text, attempt=message.attempt)

    def _result(self, message: Message) -> Result:
        key, total = message.key, len(message.pdus)
        if message.taken:
            self._rest.end(sent_at=message.written_at)
            self._refusals.end(sent_at=message.written_at)
            self._busy.end(sent_at=message.written_at)
        if message.taken == total:
            refs = [self._ids.of_answer(raw) for raw in message.ids]
            parts = tuple(refs) if total > 1 else ()
            return Accepted(key=key, ref=refs[0], parts=parts, completes=not self._options["receipts"])
        if message.is_left:
            code = message.recall_status or UNANSWERED
            said = "nothing" if code == UNANSWERED else name_of(code)
            return Unknown(key=key, text=f"The SMSC may have it, and could not take it back: it said {said}.")
        answered = [code for code in message.statuses if code is not None and code > 0]
        if len(answered) + message.taken < total:
            return Unknown(key=key, text=f"The SMSC did not answer; it has {message.taken} of {total} parts.")
        code, status, text = answered[0], status_of(answered[0]), name_of(answered[0])
        if message.recall and protocol.CANNOT_REPLACE in answered:
            return Unknown(key=key, text=f"The SMSC may have it, and could not replace it: it said {text}.")
        if message.taken:
            text = f"{text}; the SMSC has {message.taken} of {total} parts"
        pause = self._pause(message, code, status, reason=f"Delivery {key}: {text}")
        if pause is None or (message.taken and status.meaning in (Meaning.DOUBTFUL, Meaning.RECIPIENT)):
            return Rejected(key=key, cause=status.cause, text=text)
        if message.taken:  # sent again, they would see a part of it twice
            return Unknown(key=key, text=text)
        return Later(key=key, seconds=max(pause, self.hold), text=text, attempt=message.attempt)

    def _pause(self, message: Message, code: int, status: Status, *, reason: str) -> float | None:
        """Seconds until a message that was not taken is tried again; None when it never is."""
        key, meaning = message.key, status.meaning
        if meaning is Meaning.TOO_FAST:
            if self.hold:
                self._why = f"{TOO_FAST} {reason}"
            return self._troubles.full(key) if code == protocol.QUEUE_FULL else self._troubles.throttled(key)
        now = time.monotonic()
        row = self._busy if meaning is Meaning.BUSY else self._refusals
        if row is self._refusals:
            self._busy.end(sent_at=math.inf)
        is_of_trunk = row.count(
            recipient=message.to,
            meaning=meaning,
            code=code,
            sent_at=message.written_at,
            now=now,
        )
        if meaning is Meaning.BUSY:
            if is_of_trunk:
                self._rest_for(BUSY_SECONDS, f"The SMSC has trouble. {reason}")
            return self._troubles.busy(key)
        if meaning is Meaning.TRUNK:
            if not is_of_trunk:
                return self._troubles.busy(key)
            if message.written_at > self._faulted_at:  # else that fault was told of already
                self._fault = f"The SMSC refuses what is configured. {reason}"
                self._rest.begin(self._fault, now=now)
            return max(BUSY_SECONDS, self._rest.seconds_left(now=now) + BEHIND_SECONDS)
        if not is_of_trunk:
            self._rest.end(sent_at=message.written_at)
            return None
        self._rest.begin(f"{len(row)} recipients in a row were refused. {reason}", now=now)
        self._rest_for(self._rest.seconds_left(now=now), self._rest.reason)
        # What is said of the recipient may be true, so it is not asked for ever.
        pause = BUSY_SECONDS if status.cause == Cause.REFUSED else self._troubles.busy(key)
        return None if pause is None else max(pause, self.hold + BEHIND_SECONDS)

    def _rest_for(self, seconds: float, why: str) -> None:
        self._why = why
        self._pace.rest(seconds, now=time.monotonic())
