"""Run the SIP stack of one trunk worker: its event loop, its registration and its calls.

baresip allows one stack in a process, so a process serves one SIP trunk. The stack has threads of its own for each call,
which encode and send packets without Python. In this module a call is one coroutine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telephony.call_scripts import Script
from telephony.carriers.base import CarrierEvent, Result, SessionRecord
from telephony.carriers.errors import Unreachable
from telephony.carriers.sip.agents import Agents
from telephony.carriers.sip.calls import LiveCall
from telephony.carriers.sip.circuit_breaker import CircuitBreaker
from telephony.carriers.sip.options import SipOptions
from telephony.carriers.sip.process_limits import merged_timers, raise_file_limit, shorten_time_slices
from telephony.carriers.sip.registration import stay_registered
from telephony.carriers.sip.signalling import CallSignalling
from telephony.carriers.sip.transmission import CallTransmission

if TYPE_CHECKING:
    from baresip import Call, Runtime, StackEvent, UserAgent

    from telephony.carriers.sip.wire import Wire

log = logging.getLogger(__name__)

RESTART_SECONDS = 10.0
DIAL_TIMEOUT_SECONDS = 10.0
HANG_UP_SECONDS = 25.0  # includes the time to store spoken responses


class NotDialled(Exception):
    """The stack could not send the INVITE, so nobody was called. Retry after `seconds`, None for never."""

    def __init__(self, message: str, *, seconds: float | None) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRequest:
    key: str
    to: str
    caller: str
    attempt: int
    pcm: bytes
    script: Script = ()


class SipStack:
    """One SIP stack in a thread of its own. Other threads use it. `status` is a line for the operator."""

    def __init__(self, alias: str, options: SipOptions, record: SessionRecord) -> None:
        self.status = "starting"
        self._alias = alias
        self._options = options
        self._record = record
        self._calls: dict[int, LiveCall] = {}
        self._early_events: dict[
            int, list[StackEvent]
        ] = {}  # events of calls whose `dial` has not returned yet
        self._wire: Wire | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._breaker = CircuitBreaker()
        self._draining = False
        self._ready = False
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        shorten_time_slices()
        self._thread = threading.Thread(target=self._run_thread, name=f"sip-{alias}", daemon=True)
        self._thread.start()

    # From other threads -------------------------------------------------------------------------------------

    def dial(self, batch: Sequence[CallRequest]) -> list[bool | Exception]:
        """Send the INVITEs. Return for each call whether it was dialled, or why not. Results and events go to `record`.

        Raises a `CarrierError` if certainly none was sent, TimeoutError if that is unknown.
        """
        if not self._ready:
            raise Unreachable(self.status)
        dialled = asyncio.run_coroutine_threadsafe(self._dial_all(batch), self._loop)
        return dialled.result(DIAL_TIMEOUT_SECONDS)

    @property
    def live_calls(self) -> int:
        return len(self._tasks)

    def close(self) -> None:
        """Stop dialling, wait `drain_seconds` for calls to end, hang up the others, unregister, and end the thread."""
        self._draining = True
        self._ready = False
        self.status = "closing"
        with contextlib.suppress(RuntimeError):  # the loop is closed if the thread has already ended
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(self._options.drain_seconds + 30)

    # The thread ---------------------------------------------------------------------------------------------

    def _run_thread(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._run())
        except Exception:
            log.exception("The SIP stack of %s ended", self._alias)
            self._end_worker()
        finally:
            self._ready = False
            self._loop.close()

    async def _run(self) -> None:
        runtime = await self._start()
        if runtime is None:
            return
        registering = None
        try:
            if self._options.register:
                registering = asyncio.create_task(self._stay_registered())
            else:
                self._set_ready(f"ready for {self._options.host}, without registration")
            await self._stop.wait()
            await self._drain()
        finally:
            if registering:
                await self._unregister(registering)
            await runtime.close()

    async def _start(self) -> Runtime | None:
        """Start the stack, and retry while its port is taken or its interface is down. Return None if stopped meanwhile."""
        from baresip import BaresipError, RuntimeDead

        from telephony.carriers.sip.wire import SipThread, Wire

        raise_file_limit()
        while not self._stop.is_set():
            runtime = SipThread()
            try:
                with merged_timers():  # of the stack's thread and those of its calls
                    await runtime.start(self._options.config())
                runtime.subscribe(self._on_event)
                runtime.on_dead = self._end_worker
                self._wire = Wire(runtime, on_key=self._on_key, trace=self._options.trace)
                await self._wire.attach()
                self._agents = Agents(runtime, self._options)
                await self._agents.start()
                return runtime
            except RuntimeDead:
                self._end_worker()
                return None
            except (BaresipError, OSError, RuntimeError) as e:
                self.status = f"not started: {e}"
                if "another Runtime is active" in str(e):
                    self.status = (
                        "not started: this process serves another SIP trunk; each needs a worker of its own"
                    )
                log.error("%s is %s", self._alias, self.status)
                with contextlib.suppress(BaresipError):
                    await runtime.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), RESTART_SECONDS)
        return None

    def _end_worker(self) -> None:
        """End this process, because the stack cannot be restarted in it. The process manager starts the next worker."""
        self._ready = False
        self.status = "the SIP stack died"
        if not self._draining:
            log.critical("The SIP stack of %s died, and this worker with it", self._alias)
            os.kill(os.getpid(), signal.SIGTERM)

    # Registration -------------------------------------------------------------------------------------------

    async def _stay_registered(self) -> None:
        where = f"{self._options.user} at {self._options.proxy or self._options.host}"
        await stay_registered(
            self._agents.main,
            registered=lambda: self._set_ready(f"registered as {where}"),
            lost=lambda reason: self._set_not_ready(f"not registered as {where}: {reason}"),
        )

    async def _unregister(self, registering: asyncio.Task[None]) -> None:
        from baresip import BaresipError

        registering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await registering
        with contextlib.suppress(BaresipError):
            await self._agents.main.unregister(timeout=3)

    def _set_ready(self, status: str) -> None:
        self.status = status
        self._ready = not self._draining
        log.info("%s is %s", self._alias, status)

    def _set_not_ready(self, status: str) -> None:
        self._ready = False
        self.status = status
        log.warning("%s is %s", self._alias, status)

    # Calls --------------------------------------------------------------------------------------------------

    async def _dial_all(self, batch: Sequence[CallRequest]) -> list[bool | Exception]:
        if self._draining:
            raise Unreachable("The trunk's worker is being stopped.")
        self._breaker.check(waiting=any(not call.trunk_responded for call in self._calls.values()))
        results: list[bool | Exception] = []
        for one in batch:
            if results and self._breaker:
                results.append(False)
                continue
            try:
                await self._dial(one)
                results.append(True)
            except Exception as e:
                results.append(e)
        return results

    async def _dial(self, one: CallRequest) -> None:
        from baresip import BaresipError, CommandTimeout, RuntimeDead

        agent, headers = await self._agents.of_caller(one.caller)
        live_call = LiveCall(
            key=one.key,
            to=one.to,
            attempt=one.attempt,
            pcm=one.pcm,
            options=self._options,
            report=lambda items: self._report(live_call, items),
            on_unanswered=self._breaker.on_unanswered,
            script=one.script,
            signalling=self._signalling_of,
            transmission=self._transmission_of,
            redial=lambda uri: self._place(live_call, agent, uri, headers),
        )
        try:
            call = await self._place(live_call, agent, self._options.uri_of(one.to), headers)
        except (CommandTimeout, RuntimeDead) as e:
            self._breaker.trip(f"Delivery {one.key}: {e}")
            raise
        except BaresipError as e:
            seconds = self._breaker.on_not_dialled(key=one.key, text=str(e), dialled_at=live_call.dialled_at)
            raise NotDialled(str(e), seconds=seconds) from e
        if self._stop.is_set():
            live_call.events.put_nowait(None)
        task = self._loop.create_task(live_call.follow(call))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._on_call_finished(live_call, done))

    async def _place(
        self, live_call: LiveCall, agent: UserAgent, uri: str, headers: dict[str, str] | None
    ) -> Call:
        """Send an INVITE. From now on `live_call` gets the events of this call."""
        from baresip import Event

        call = await agent.dial(uri, headers)
        early = self._early_events.pop(call.handle, [])
        if live_call.call_id and self._wire is not None:  # this call was redirected
            self._calls.pop(live_call.handle, None)
            self._wire.end(live_call.call_id)
        live_call.handle = call.handle
        live_call.call_id = next(
            (event.call_id or "" for event in early if event.event is Event.CALL_OUTGOING), ""
        )
        self._calls[call.handle] = live_call
        if self._wire is not None and not live_call.records_speech and self._options.may_ignore_audio:
            self._wire.ignore_audio(live_call.call_id)
        for event in early:
            live_call.events.put_nowait(event)
        return call

    def _signalling_of(self, call_id: str) -> CallSignalling:
        return self._wire.signalling.of(call_id) if self._wire is not None else CallSignalling()

    def _transmission_of(self, call_id: str) -> CallTransmission:
        return self._wire.transmission.of(call_id) if self._wire is not None else CallTransmission()

    def _on_key(self, call_id: str, key: str) -> None:
        """Pass on a key from an INFO request, as if the stack had reported it."""
        from baresip import Event, StackEvent

        for live_call in self._calls.values():
            if live_call.call_id == call_id:
                live_call.events.put_nowait(StackEvent(event=Event.CALL_DTMF_START, text=key))

    def _on_event(self, event: StackEvent) -> None:
        from baresip import Event

        if not event.call:
            return
        live_call = self._calls.get(event.call)
        if live_call is not None:
            live_call.events.put_nowait(event)
        elif event.event is Event.CALL_OUTGOING:
            self._early_events[event.call] = [event]
        elif event.call in self._early_events:
            self._early_events[event.call].append(event)

    def _report(self, live_call: LiveCall, items: Sequence[CarrierEvent | Result]) -> None:
        if live_call.trunk_responded and live_call.outcome is None:
            self._breaker.note_success(dialled_at=live_call.dialled_at)
        self._record(items)

    def _on_call_finished(self, live_call: LiveCall, done: asyncio.Task[None]) -> None:
        self._calls.pop(live_call.handle, None)
        if self._wire is not None:
            self._wire.end(live_call.call_id)
        self._tasks.discard(done)
        if not done.cancelled() and (error := done.exception()):
            log.error("%s: a call was lost: %r", self._alias, error, exc_info=error)
        if live_call.outcome is None:
            self._breaker.forget(live_call.key)

    async def _drain(self) -> None:
        if self._tasks:
            log.info(
                "%s: %d calls may end within %g s", self._alias, self.live_calls, self._options.drain_seconds
            )
            await asyncio.wait(self._tasks, timeout=self._options.drain_seconds)
        if self._tasks:
            for live_call in self._calls.values():
                live_call.events.put_nowait(None)
            await asyncio.wait(self._tasks, timeout=HANG_UP_SECONDS)
        await asyncio.sleep(0.2)  # give the stack time to send the last BYEs
