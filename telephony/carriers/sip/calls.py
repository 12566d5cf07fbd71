"""Follow one call from its INVITE to its last event."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from django.utils import timezone

from telephony.call_scripts import Script, heard_percent, responses_to_keys, speech_windows
from telephony.carriers.base import Accepted, CarrierEvent, Later, Result
from telephony.carriers.refusals import Meaning
from telephony.carriers.sip import redirects, sentences
from telephony.carriers.sip.answered import result_of
from telephony.carriers.sip.causes import REFUSED, Outcome, outcome_of, outcome_of_timeout
from telephony.carriers.sip.options import SipOptions
from telephony.carriers.sip.playback import HELD_SECONDS, READY_SECONDS, NoAudio, Playback
from telephony.carriers.sip.signalling import CallSignalling
from telephony.carriers.sip.speech_capture import SpeechCapture
from telephony.carriers.sip.transmission import CallTransmission
from telephony.models import Cause, DeliveryStatus

if TYPE_CHECKING:
    from baresip import Call, StackEvent

log = logging.getLogger(__name__)

MAX_DIGITS = 64  # the length of Delivery.digits
# Timeout until the phone rings. The stack itself gives up after 32 s if the trunk has not even sent "100 Trying" (RFC
# 3261, timer B). So a call that reaches this timeout was received by the trunk, and only the phone did not ring.
SETUP_SECONDS = 35.0
FAR_END = "far end"  # who ended the call
# How long the stack takes to replace its audio buffer after it has reported a renegotiation.
RENEGOTIATION_SECONDS = 0.02

Report = Callable[[Sequence[CarrierEvent | Result]], object]


class UnansweredHandler(Protocol):
    """Return the seconds until an unanswered call is retried, None for never. See `CircuitBreaker.on_unanswered`."""

    def __call__(
        self,
        *,
        key: str,
        to: str,
        outcome: Outcome,
        text: str,
        dialled_at: float,
        trunk_responded: bool,
        retry_after: float | None = None,
    ) -> float | None: ...


class LiveCall:
    """Follows a call that has just been dialled. The stack's events arrive in `events`; None is the request to hang up.

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
        signalling: Callable[[str], CallSignalling] = lambda call_id: CallSignalling(),
        transmission: Callable[[str], CallTransmission] = lambda call_id: CallTransmission(),
        redial: Callable[[str], Awaitable[Call]] | None = None,
    ) -> None:
        self.events: asyncio.Queue[StackEvent | None] = asyncio.Queue()
        self.dialled_at = time.monotonic()
        self.trunk_responded = False  # whether the trunk sent any response beyond "100 Trying"
        self.handle = 0  # identifies the call in the stack
        self.call_id = ""
        self.outcome: Outcome | None = None  # set if the call was not answered
        self.key = key
        self.records_speech = bool(speech_windows(script))
        self._to = to
        self._attempt = attempt
        self._pcm = pcm
        self._options = options
        self._report = report
        self._on_unanswered = on_unanswered
        self._script, self._signalling = script, signalling
        self._transmission = transmission
        self._redial = redial
        self._redirects = 0
        self._stack_text = ""  # the stack's text about the end of the call
        self._playback: Playback | None = None
        self._speech_capture: SpeechCapture | None = None
        self._pressed: list[tuple[float, str]] = []  # (second of the recording, key)
        self._accepted = False

    async def follow(self, call: Call) -> None:
        """Follow the call until it has ended and its last event is reported."""
        answered = await self._wait_for_answer(call)
        if answered is not None:
            call, answered_at = answered
            self._report_status(DeliveryStatus.ANSWERED, text=sentences.of_answer(self._said))
            await self._play(call, answered_at)

    @property
    def _said(self) -> CallSignalling:
        """Return the SIP messages that the trunk has sent in this call."""
        return self._signalling(self.call_id)

    async def _wait_for_answer(self, call: Call) -> tuple[Call, float] | None:
        """Wait for the pickup. Return the answered call and the time of the pickup (monotonic).

        If the call ends without a pickup, report the outcome and return None. After a redirect, wait for the call to the new
        target.
        """
        from baresip import Event

        setup_seconds = max(SETUP_SECONDS, self._options.ring_seconds)
        until = time.monotonic() + setup_seconds
        rang = False
        while True:
            try:
                event = await self._next_event(until)
            except TimeoutError:
                text = sentences.of_timeout(
                    self._said, seconds=self._options.ring_seconds if rang else setup_seconds, rang=rang
                )
                progress = self._said.progress
                outcome = outcome_of_timeout(progress.values("reason") if progress else (), rang=rang)
                await _hang_up(call)
                if rang:
                    self._report_status(outcome.status, cause=outcome.cause, text=text)
                else:
                    self.outcome = outcome
                    self._report_unanswered(outcome, text)
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
                self._report_status(DeliveryStatus.RINGING, text=sentences.of_progress(self._said))
            elif event.event is Event.CALL_ESTABLISHED:
                self.trunk_responded = True
                return call, time.monotonic()
            elif event.event is Event.CALL_CLOSED:
                redirected, refusal = await self._follow_redirect()
                if redirected is not None:
                    call = redirected
                    continue
                self._end_unanswered(event.text or "", refusal=refusal, rang=rang)
                return None

    async def _next_event(self, until: float) -> StackEvent | None:
        """Wait for an event. Raises TimeoutError at `until` (monotonic)."""
        # Unlike `wait_for`, this needs no task of its own for each wait.
        async with asyncio.timeout(max(0.001, until - time.monotonic())):
            return await self.events.get()

    async def _follow_redirect(self) -> tuple[Call | None, str]:
        """Call the target of a redirect. Return the call, or None and why the redirect is not followed."""
        from baresip import BaresipError, CommandTimeout, RuntimeDead

        response = self._said.final
        if response is None or not 300 <= response.status < 400 or self._redial is None:
            return None, ""
        uri, refusal = redirects.target_of(
            response, options=self._options, to=self._to, came_from=self._said.came_from
        )
        if not refusal and self._redirects >= redirects.MAX_REDIRECTS:
            refusal = f"the call was redirected {self._redirects} times before"
        if refusal:
            return None, f"Not followed: {refusal}."
        self._redirects += 1
        try:
            return await self._redial(uri), ""
        except (CommandTimeout, RuntimeDead):  # the INVITE may have been sent, so the outcome is unknown
            raise
        except BaresipError as e:
            return None, f"Not followed: {e}."

    def _end_unanswered(self, stack_text: str, *, refusal: str, rang: bool) -> None:
        """Report a call that has ended without a pickup. `stack_text` is the stack's text about the end."""
        said = self._said.final
        if (
            said is not None and said.status < 300
        ):  # the stack cannot read the session description of the answer
            self.outcome = replace(REFUSED, meaning=Meaning.TAKEN)
            self.trunk_responded = True
            self._report_unanswered(self.outcome, sentences.of_silent_call(self._said, ""))
            return
        text = said.text() if said is not None else stack_text
        self.outcome = outcome_of(
            text,
            rang=rang,
            transport=self._options.transport,
            seconds=time.monotonic() - self.dialled_at,
        )
        self.trunk_responded = self.trunk_responded or self.outcome.cause != Cause.LOST
        text = sentences.of_response(text)
        self._report_unanswered(
            self.outcome,
            f"{text}. {refusal}" if refusal else text,
            retry_after=said.retry_after if said is not None else None,
        )

    def _report_unanswered(self, outcome: Outcome, text: str, *, retry_after: float | None = None) -> None:
        seconds = self._on_unanswered(
            key=self.key,
            to=self._to,
            outcome=outcome,
            text=text,
            dialled_at=self.dialled_at,
            trunk_responded=self.trunk_responded,
            retry_after=retry_after,
        )
        if seconds is None:
            self._report_status(outcome.status, cause=outcome.cause, text=text)
        else:
            self._report([Later(key=self.key, seconds=seconds, text=text, attempt=self._attempt)])

    async def _play(self, call: Call, answered_at: float) -> None:
        playback = Playback(
            self._transmission(self.call_id),
            self._pcm,
            lead_seconds=self._options.lead_seconds,
            ready_seconds=HELD_SECONDS if sentences.is_held(self._said.final) else READY_SECONDS,
        )
        speech_capture = SpeechCapture(
            call.audio, self._script, key=self.key, on_stored=self._report_response
        )
        self._playback, self._speech_capture = playback, speech_capture
        end: str | None = None
        try:
            while (pause := playback.feed()) is not None:
                now = playback.seconds()
                speech_capture.read_until(now)
                end = await self._wait(min(pause, speech_capture.pause(now) or pause))
                if end is not None:
                    break
            else:
                speech_capture.end(playback.seconds())
                end = await self._wait(self._options.tail_seconds)
        except NoAudio as e:
            end = str(e)
        # Use our clock, not the stack's report of the end: a late response to our BYE must not lengthen the call.
        seconds = time.monotonic() - answered_at
        playback.stop()
        share = playback.share()
        speech_capture.end(playback.seconds())
        if playback.underruns:
            log.warning(
                "The audio of delivery %s was interrupted by silence: this machine is too slow",
                self.key,
                extra={"delivery": self.key},
            )
        await _hang_up(call)
        await speech_capture.wait_until_stored()
        text = end or ""
        if end == FAR_END:
            text = sentences.of_end(self._said, stack_text=self._stack_text, seconds=seconds)
        status, cause, text = result_of(
            playback,
            share=share,
            heard=heard_percent(self._script, share),
            options=self._options,
            said=self._said,
            text=text,
            is_hung_up=end == FAR_END,
            has_response=bool(self._pressed or speech_capture.answers),
        )
        self._report_status(status, cause=cause, seconds=seconds, playback=share, text=text)

    async def _wait(self, seconds: float) -> str | None:
        """Process events for `seconds`, or until the audio is renegotiated.

        Return None if the call continues. Return FAR_END if the far end has ended it, or the reason why iris must end it.
        """
        from baresip import Event

        until = time.monotonic() + seconds
        while True:
            try:
                event = await self._next_event(until)
            except TimeoutError:
                return None
            if event is None:
                return "The trunk's worker was stopped."
            if event.event is Event.CALL_CLOSED:
                self._stack_text = event.text or ""
                return FAR_END
            if event.event in (Event.CALL_HOLD, Event.CALL_RESUME, Event.CALL_REMOTE_SDP):
                await asyncio.sleep(RENEGOTIATION_SECONDS)
                return None
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
