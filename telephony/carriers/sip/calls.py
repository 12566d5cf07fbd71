"""One call: from the INVITE to its last event."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from django.utils import timezone

from telephony.call_scripts import Script, responses_to_keys
from telephony.carriers.base import Accepted, CarrierEvent, Later, Result
from telephony.carriers.sip.causes import NEVER_RANG, Outcome, described, outcome_of
from telephony.carriers.sip.options import SipOptions
from telephony.carriers.sip.playback import NoAudio, Playback
from telephony.carriers.sip.speech_capture import Hearing
from telephony.models import Cause, DeliveryStatus

if TYPE_CHECKING:
    from baresip import Call, StackEvent

log = logging.getLogger(__name__)

DIGITS = 64  # as many as a delivery keeps
# Until the phone rings. A trunk that has not even said "100 Trying" is given up by the stack after 32 s (RFC 3261, timer
# B), so that whoever is still waiting then has been heard, and its silence is that of the phone.
SETUP_SECONDS = 35.0

Report = Callable[[Sequence[CarrierEvent | Result]], object]


class Judge(Protocol):
    """In how many seconds a call that was not answered is made again (`Trouble.judge`); None for never."""

    def __call__(
        self, *, key: str, to: str, outcome: Outcome, text: str, dialled_at: float, heard: bool
    ) -> float | None: ...


class LiveCall:
    """Follows a call that has just been dialled. Every event of it comes through `events`; None asks it to end now.

    Early media is not an answer: only the 200 is. Nothing of the message is sent before.
    """

    def __init__(
        self,
        *,
        key: str,
        to: str,
        attempt: int,
        pcm: bytes,
        options: SipOptions,
        report: Report,
        judge: Judge,
        script: Script = (),
    ) -> None:
        self.events: asyncio.Queue[StackEvent | None] = asyncio.Queue()
        self.dialled_at = time.monotonic()
        self.heard = False  # any word of the trunk on this call
        self.call_id = ""
        self.outcome: Outcome | None = None  # why it was not answered
        self.key = key
        self._to = to
        self._attempt = attempt
        self._pcm = pcm
        self._options = options
        self._report = report
        self._judge = judge
        self._script = script
        self._playback: Playback | None = None
        self._hearing: Hearing | None = None
        self._pressed: list[tuple[float, str]] = []  # when, in seconds of the recording, and which key
        self._accepted = False

    async def live(self, call: Call) -> None:
        """Until the call is over and reported."""
        answered_at = await self._answered(call)
        if answered_at is not None:
            self._tell(DeliveryStatus.ANSWERED)
            await self._talk(call, answered_at)

    async def _answered(self, call: Call) -> float | None:
        """When it was answered; None when it never was, which is then reported."""
        from baresip import Event

        setup_seconds = max(SETUP_SECONDS, self._options.ring_seconds)
        until = time.monotonic() + setup_seconds
        rang = False
        while True:
            try:
                event = await asyncio.wait_for(self.events.get(), max(0.001, until - time.monotonic()))
            except TimeoutError:
                await _hang_up(call)
                if rang:
                    text = f"Not answered in {self._options.ring_seconds:g} s."
                    self._tell(DeliveryStatus.UNANSWERED, cause=Cause.NO_ANSWER, text=text)
                else:
                    self.outcome = NEVER_RANG
                    self._tell_outcome(NEVER_RANG, f"No phone rang within {setup_seconds:g} s.")
                return None
            if event is None:
                await _hang_up(call)
                self._tell(
                    DeliveryStatus.UNANSWERED,
                    cause=Cause.NO_ANSWER,
                    text="Cancelled: the trunk's worker was stopped.",
                )
                return None
            if event.event in (Event.CALL_RINGING, Event.CALL_PROGRESS) and not rang:
                self.heard = rang = True
                until = time.monotonic() + self._options.ring_seconds
                self._tell(DeliveryStatus.RINGING)
            elif event.event is Event.CALL_ESTABLISHED:
                self.heard = True
                return time.monotonic()
            elif event.event is Event.CALL_CLOSED:
                self.outcome = outcome_of(
                    event.text or "",
                    rang=rang,
                    transport=self._options.transport,
                    seconds=time.monotonic() - self.dialled_at,
                )
                self.heard = self.heard or self.outcome.cause != Cause.LOST
                self._tell_outcome(self.outcome, described(event.text or "") or "The trunk did not answer.")
                return None

    def _tell_outcome(self, outcome: Outcome, text: str) -> None:
        seconds = self._judge(
            key=self.key,
            to=self._to,
            outcome=outcome,
            text=text,
            dialled_at=self.dialled_at,
            heard=self.heard,
        )
        if seconds is None:
            self._tell(outcome.status, cause=outcome.cause, text=text)
        else:
            self._report([Later(key=self.key, seconds=seconds, text=text, attempt=self._attempt)])

    async def _talk(self, call: Call, answered_at: float) -> None:
        playback = Playback(call.audio, self._pcm, lead_seconds=self._options.lead_seconds)
        hearing = Hearing(call.audio, self._script, key=self.key, stored=self._tell_answer)
        self._playback, self._hearing = playback, hearing
        text = ""
        try:
            while (pause := playback.feed()) is not None:
                now = playback.seconds()
                hearing.take(now)
                text = await self._listen(min(pause, hearing.pause(now) or pause))
                if text:
                    break
            else:
                hearing.end(playback.seconds())
                text = await self._listen(self._options.tail_seconds)
        except NoAudio as e:
            text = str(e)
        # By the clock, not by the stack's report: a BYE that is answered late does not lengthen the call.
        seconds = time.monotonic() - answered_at
        share = playback.share()
        hearing.end(playback.seconds())
        if playback.starved:
            log.warning(
                "The call of delivery %s was interrupted by silence of ours: this machine is too slow",
                self.key,
            )
        await _hang_up(call)
        await hearing.kept()
        if share == 100:
            self._tell(DeliveryStatus.COMPLETED, seconds=seconds, playback=share, text=text)
        else:
            self._tell(DeliveryStatus.HUNGUP, cause=Cause.CUT_OFF, seconds=seconds, playback=share, text=text)

    async def _listen(self, seconds: float) -> str:
        """Take in what happens for a while; why the call has ended, if it has."""
        from baresip import Event

        until = time.monotonic() + seconds
        while True:
            try:
                event = await asyncio.wait_for(self.events.get(), max(0.001, until - time.monotonic()))
            except TimeoutError:
                return ""
            if event is None:
                return "The trunk's worker was stopped."
            if event.event is Event.CALL_CLOSED:
                return event.text or "Hung up."
            if event.event is Event.CALL_DTMF_START and event.text and len(self._pressed) < DIGITS:
                at = self._playback.seconds() if self._playback is not None else 0.0
                self._pressed.append((at, event.text[0]))
                self._tell(DeliveryStatus.ANSWERED)

    def _tell_answer(self) -> None:
        self._tell(DeliveryStatus.ANSWERED)

    def _tell(
        self,
        status: DeliveryStatus,
        *,
        cause: Cause = Cause.NONE,
        text: str = "",
        seconds: float | None = None,
        playback: int | None = None,
    ) -> None:
        spoken = self._hearing.answers if self._hearing is not None else ()
        event = CarrierEvent(
            key=self.key,
            status=status,
            at=timezone.now(),
            cause=cause,
            text=text,
            seconds=None if seconds is None else round(seconds, 2),
            playback=playback,
            digits="".join(key for _, key in self._pressed),
            answers=(*responses_to_keys(self._script, self._pressed), *spoken),
        )
        if self._accepted:
            self._report([event])
        else:
            self._accepted = True
            self._report([Accepted(key=self.key, ref=self.call_id), event])


async def _hang_up(call: Call) -> None:
    """CANCEL or BYE; what the far end makes of it is the stack's business. Gone already is fine."""
    from baresip import BaresipError

    with contextlib.suppress(BaresipError):
        await call.hangup()
