"""Follow one call from its INVITE to its last event."""

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
from telephony.carriers.sip.causes import NEVER_RANG, Outcome, describe, outcome_of
from telephony.carriers.sip.options import SipOptions
from telephony.carriers.sip.playback import NoAudio, Playback
from telephony.carriers.sip.speech_capture import SpeechCapture
from telephony.models import Cause, DeliveryStatus

if TYPE_CHECKING:
    from baresip import Call, StackEvent

log = logging.getLogger(__name__)

MAX_DIGITS = 64  # the length of Delivery.digits
# Timeout until the phone rings. The stack itself gives up after 32 s if the trunk has not even sent "100 Trying" (RFC
# 3261, timer B). So a call that reaches this timeout was received by the trunk, and only the phone did not ring.
SETUP_SECONDS = 35.0

Report = Callable[[Sequence[CarrierEvent | Result]], object]


class UnansweredHandler(Protocol):
    """Return the seconds until an unanswered call is retried, None for never. See `CircuitBreaker.on_unanswered`."""

    def __call__(
        self, *, key: str, to: str, outcome: Outcome, text: str, dialled_at: float, trunk_responded: bool
    ) -> float | None: ...


class LiveCall:
    """Follows a call that has just been dialled. The stack's events arrive in `events`; None means: hang up now.

    Only a 200 counts as answered; early media does not. The message is sent only after the 200.
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
        on_unanswered: UnansweredHandler,
        script: Script = (),
    ) -> None:
        self.events: asyncio.Queue[StackEvent | None] = asyncio.Queue()
        self.dialled_at = time.monotonic()
        self.trunk_responded = False  # whether the trunk sent any response beyond "100 Trying"
        self.call_id = ""
        self.outcome: Outcome | None = None  # set if the call was not answered
        self.key = key
        self._to = to
        self._attempt = attempt
        self._pcm = pcm
        self._options = options
        self._report = report
        self._on_unanswered = on_unanswered
        self._script = script
        self._playback: Playback | None = None
        self._speech_capture: SpeechCapture | None = None
        self._pressed: list[tuple[float, str]] = []  # second of the recording, and key
        self._accepted = False

    async def follow(self, call: Call) -> None:
        """Follow the call until it has ended and its last event is reported."""
        answered_at = await self._wait_for_answer(call)
        if answered_at is not None:
            self._report_status(DeliveryStatus.ANSWERED)
            await self._play(call, answered_at)

    async def _wait_for_answer(self, call: Call) -> float | None:
        """Wait for the pickup. Return its time (monotonic), or report the outcome and return None if there was none."""
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
                    self._report_status(DeliveryStatus.UNANSWERED, cause=Cause.NO_ANSWER, text=text)
                else:
                    self.outcome = NEVER_RANG
                    self._report_unanswered(NEVER_RANG, f"No phone rang within {setup_seconds:g} s.")
                return None
            if event is None:
                await _hang_up(call)
                self._report_status(
                    DeliveryStatus.UNANSWERED,
                    cause=Cause.NO_ANSWER,
                    text="Cancelled: the trunk's worker was stopped.",
                )
                return None
            if event.event in (Event.CALL_RINGING, Event.CALL_PROGRESS) and not rang:
                self.trunk_responded = rang = True
                until = time.monotonic() + self._options.ring_seconds
                self._report_status(DeliveryStatus.RINGING)
            elif event.event is Event.CALL_ESTABLISHED:
                self.trunk_responded = True
                return time.monotonic()
            elif event.event is Event.CALL_CLOSED:
                self.outcome = outcome_of(
                    event.text or "",
                    rang=rang,
                    transport=self._options.transport,
                    seconds=time.monotonic() - self.dialled_at,
                )
                self.trunk_responded = self.trunk_responded or self.outcome.cause != Cause.LOST
                self._report_unanswered(
                    self.outcome, describe(event.text or "") or "The trunk did not answer."
                )
                return None

    def _report_unanswered(self, outcome: Outcome, text: str) -> None:
        seconds = self._on_unanswered(
            key=self.key,
            to=self._to,
            outcome=outcome,
            text=text,
            dialled_at=self.dialled_at,
            trunk_responded=self.trunk_responded,
        )
        if seconds is None:
            self._report_status(outcome.status, cause=outcome.cause, text=text)
        else:
            self._report([Later(key=self.key, seconds=seconds, text=text, attempt=self._attempt)])

    async def _play(self, call: Call, answered_at: float) -> None:
        playback = Playback(call.audio, self._pcm, lead_seconds=self._options.lead_seconds)
        speech_capture = SpeechCapture(
            call.audio, self._script, key=self.key, on_stored=self._report_response
        )
        self._playback, self._speech_capture = playback, speech_capture
        text = ""
        try:
            while (pause := playback.feed()) is not None:
                now = playback.seconds()
                speech_capture.read_until(now)
                text = await self._wait(min(pause, speech_capture.pause(now) or pause))
                if text:
                    break
            else:
                speech_capture.end(playback.seconds())
                text = await self._wait(self._options.tail_seconds)
        except NoAudio as e:
            text = str(e)
        # Use our clock, not the stack's report of the end: a late response to our BYE must not lengthen the call.
        seconds = time.monotonic() - answered_at
        share = playback.share()
        speech_capture.end(playback.seconds())
        if playback.underruns:
            log.warning(
                "The audio of delivery %s was interrupted by silence: this machine is too slow",
                self.key,
            )
        await _hang_up(call)
        await speech_capture.wait_until_stored()
        if share == 100:
            self._report_status(DeliveryStatus.COMPLETED, seconds=seconds, playback=share, text=text)
        else:
            self._report_status(
                DeliveryStatus.HUNGUP, cause=Cause.CUT_OFF, seconds=seconds, playback=share, text=text
            )

    async def _wait(self, seconds: float) -> str:
        """Process events for `seconds`. Return why the call has ended, or "" if it goes on."""
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
            if event.event is Event.CALL_DTMF_START and event.text and len(self._pressed) < MAX_DIGITS:
                at = self._playback.seconds() if self._playback is not None else 0.0
                self._pressed.append((at, event.text[0]))
                self._report_status(DeliveryStatus.ANSWERED)

    def _report_response(self) -> None:
        self._report_status(DeliveryStatus.ANSWERED)

    def _report_status(
        self,
        status: DeliveryStatus,
        *,
        cause: Cause = Cause.NONE,
        text: str = "",
        seconds: float | None = None,
        playback: int | None = None,
    ) -> None:
        spoken = self._speech_capture.answers if self._speech_capture is not None else ()
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
    """Send CANCEL or BYE. The stack handles the response. A call that has already ended is ignored."""
    from baresip import BaresipError

    with contextlib.suppress(BaresipError):
        await call.hangup()
