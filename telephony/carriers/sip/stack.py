"""The resident SIP stack of one trunk worker: its event loop, its registration, and the calls on it.

baresip's stack is one for the whole process, so a process serves one SIP trunk. Each call has threads of its own in
the stack, which encode and send its packets without Python; here, a call is one coroutine.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telephony.call_scripts import Script
from telephony.carriers.base import CarrierEvent, Result, SessionRecord
from telephony.carriers.errors import Unreachable
from telephony.carriers.sip.calls import LiveCall
from telephony.carriers.sip.circuit_breaker import Trouble
from telephony.carriers.sip.options import MAX_CALLERS, SipOptions
from telephony.carriers.sip.registration import stay_registered

if TYPE_CHECKING:
    from baresip import Call, Runtime, StackEvent, UserAgent

log = logging.getLogger(__name__)

START_AGAIN_SECONDS = 10.0
DIAL_SECONDS = 10.0
HANG_UP_SECONDS = 25.0  # includes the time to store what was said in them
# The stack looks for something to send 250 times a second and call. Letting the kernel put these timers together
# makes packets up to 9 ms late instead of 4, of the 40 that telephones put by, and halves what the sending takes.
TIMER_SLACK_NANOSECONDS = 5_000_000
PR_SET_TIMERSLACK = 29


class TooManyCallers(Exception):
    """The stack has no room for another number to call from."""


class NotDialled(Exception):
    """The stack would not send the INVITE, so surely nobody was called; the same again in `seconds`, None for never."""

    def __init__(self, message: str, *, seconds: float | None) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Dial:
    key: str
    to: str
    caller: str
    attempt: int
    pcm: bytes
    script: Script = ()


class Line:
    """Used from any thread but its own. `status` is a line for the operator."""

    def __init__(self, alias: str, options: SipOptions, record: SessionRecord) -> None:
        self.status = "starting"
        self._alias = alias
        self._options = options
        self._record = record
        self._calls: dict[int, LiveCall] = {}
        self._early: dict[int, list[StackEvent]] = {}  # what a call said before we knew it
        self._agents: dict[str, UserAgent] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._trouble = Trouble()
        self._draining = False
        self._ready = False
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, name=f"sip-{alias}", daemon=True)
        self._thread.start()

    # From other threads -------------------------------------------------------------------------------------

    def dial(self, batch: Sequence[Dial]) -> list[bool | Exception]:
        """Send the INVITEs. For each whether it was, or why not; what comes of it goes to `record`.

        Raises a `CarrierError` when surely none was sent, TimeoutError when nobody knows.
        """
        if not self._ready:
            raise Unreachable(self.status)
        dialled = asyncio.run_coroutine_threadsafe(self._dial_all(batch), self._loop)
        return dialled.result(DIAL_SECONDS)

    @property
    def busy(self) -> int:
        return len(self._tasks)

    def close(self) -> None:
        """Dial no more, let calls end within `drain_seconds`, hang up the rest, unregister, and end the thread."""
        self._draining = True
        self._ready = False
        self.status = "closing"
        with contextlib.suppress(RuntimeError):  # the loop is closed when the thread has ended
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(self._options.drain_seconds + 30)

    # The thread ---------------------------------------------------------------------------------------------

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._live())
        except Exception:
            log.exception("The SIP stack of %s ended", self._alias)
            self._die()
        finally:
            self._ready = False
            self._loop.close()

    async def _live(self) -> None:
        runtime = await self._start()
        if runtime is None:
            return
        registering = None
        try:
            if self._options.register:
                registering = asyncio.create_task(self._stay_registered())
            else:
                self._be_ready(f"ready for {self._options.host}, without registration")
            await self._stop.wait()
            await self._drain()
        finally:
            if registering:
                await self._unregister(registering)
            await runtime.close()

    async def _start(self) -> Runtime | None:
        """The stack, as soon as it starts: the port may be taken, the interface away. None when we are to stop."""
        from baresip import BaresipError, Runtime, RuntimeDead

        _raise_file_limit()
        while not self._stop.is_set():
            runtime = Runtime()
            try:
                _set_timer_slack(
                    TIMER_SLACK_NANOSECONDS
                )  # inherited by the stack's thread and those of its calls
                try:
                    await runtime.start(self._options.config())
                finally:
                    _set_timer_slack(0)
                runtime.subscribe(self._on_event)
                runtime.on_dead = self._die
                self._runtime = runtime
                await self._add_agent(self._options.user, registering=self._options.register)
                return runtime
            except RuntimeDead:
                self._die()
                return None
            except (BaresipError, OSError) as e:
                self.status = f"not started: {e}"
                if "another Runtime is active" in str(e):
                    self.status = (
                        "not started: this process serves another SIP trunk; each needs a worker of its own"
                    )
                log.error("%s is %s", self._alias, self.status)
                with contextlib.suppress(BaresipError):
                    await runtime.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), START_AGAIN_SECONDS)
        return None

    def _die(self) -> None:
        """The stack cannot be started again in this process: end it, and whoever watches it starts the next."""
        self._ready = False
        self.status = "the SIP stack died"
        if not self._draining:
            log.critical("The SIP stack of %s died, and this worker with it", self._alias)
            os.kill(os.getpid(), signal.SIGTERM)

    # Registration -------------------------------------------------------------------------------------------

    async def _stay_registered(self) -> None:
        where = f"{self._options.user} at {self._options.proxy or self._options.host}"
        await stay_registered(
            self._agents[self._options.user],
            registered=lambda: self._be_ready(f"registered as {where}"),
            lost=lambda reason: self._be_unready(f"not registered as {where}: {reason}"),
        )

    async def _unregister(self, registering: asyncio.Task[None]) -> None:
        from baresip import BaresipError

        registering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await registering
        with contextlib.suppress(BaresipError):
            await self._agents[self._options.user].unregister(timeout=3)

    def _be_ready(self, status: str) -> None:
        self.status = status
        self._ready = not self._draining
        log.info("%s is %s", self._alias, status)

    def _be_unready(self, status: str) -> None:
        self._ready = False
        self.status = status
        log.warning("%s is %s", self._alias, status)

    # Calls --------------------------------------------------------------------------------------------------

    async def _dial_all(self, batch: Sequence[Dial]) -> list[bool | Exception]:
        if self._draining:
            raise Unreachable("The trunk's worker is being stopped.")
        self._trouble.check(waiting=any(not call.heard for call in self._calls.values()))
        results: list[bool | Exception] = []
        for one in batch:
            if results and self._trouble:
                results.append(False)
                continue
            try:
                await self._dial(one)
                results.append(True)
            except Exception as e:
                results.append(e)
        return results

    async def _dial(self, one: Dial) -> None:
        from baresip import BaresipError, CommandTimeout, Event, RuntimeDead

        agent, headers = await self._agent_of(one.caller)
        live = LiveCall(
            key=one.key,
            to=one.to,
            attempt=one.attempt,
            pcm=one.pcm,
            options=self._options,
            report=lambda items: self._report(live, items),
            judge=self._trouble.judge,
            script=one.script,
        )
        try:
            call = await agent.dial(self._options.uri_of(one.to), headers)
        except (CommandTimeout, RuntimeDead) as e:
            self._trouble.failed(f"Delivery {one.key}: {e}")
            raise
        except BaresipError as e:
            seconds = self._trouble.not_dialled(key=one.key, text=str(e), dialled_at=live.dialled_at)
            raise NotDialled(str(e), seconds=seconds) from e
        early = self._early.pop(call.handle, [])
        live.call_id = next(
            (event.call_id or "" for event in early if event.event is Event.CALL_OUTGOING), ""
        )
        self._calls[call.handle] = live
        for event in early:
            live.events.put_nowait(event)
        if self._stop.is_set():
            live.events.put_nowait(None)
        task = self._loop.create_task(live.live(call))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._over(call.handle, live, done))

    async def _agent_of(self, caller: str) -> tuple[UserAgent, dict[str, str] | None]:
        """Who calls. The stack takes the From address from an agent, so each bought number has one."""
        user = self._options.user_of(caller)
        if self._options.caller == "identity":
            if user == self._options.user:
                return self._agents[user], None
            host = self._options.host
            return self._agents[self._options.user], {"P-Asserted-Identity": f"<sip:{user}@{host}>"}
        if user not in self._agents:
            if len(self._agents) >= MAX_CALLERS:
                raise TooManyCallers(
                    f"This worker has called from {MAX_CALLERS} numbers; restart it to call from others."
                )
            await self._add_agent(user)
        return self._agents[user], None

    async def _add_agent(self, user: str, *, registering: bool = False) -> UserAgent:
        from baresip import UserAgent

        account = self._options.account_of(user, registering=registering)
        agent = self._agents[user] = await UserAgent.create(self._runtime, account)
        agent.on_incoming(lambda call: self._loop.create_task(_refuse(call)))
        return agent

    def _on_event(self, event: StackEvent) -> None:
        from baresip import Event

        if not event.call:
            return
        live = self._calls.get(event.call)
        if live is not None:
            live.events.put_nowait(event)
        elif event.event is Event.CALL_OUTGOING:
            self._early[event.call] = [event]
        elif event.call in self._early:
            self._early[event.call].append(event)

    def _report(self, live: LiveCall, items: Sequence[CarrierEvent | Result]) -> None:
        if live.heard and live.outcome is None:
            self._trouble.worked(dialled_at=live.dialled_at)
        self._record(items)

    def _over(self, handle: int, live: LiveCall, done: asyncio.Task[None]) -> None:
        self._calls.pop(handle, None)
        self._tasks.discard(done)
        if not done.cancelled() and (error := done.exception()):
            log.error("%s: a call was lost: %r", self._alias, error, exc_info=error)
        if live.outcome is None:
            self._trouble.forget(live.key)

    async def _drain(self) -> None:
        if self._tasks:
            log.info("%s: %d calls may end within %g s", self._alias, self.busy, self._options.drain_seconds)
            await asyncio.wait(self._tasks, timeout=self._options.drain_seconds)
        if self._tasks:
            for live in self._calls.values():
                live.events.put_nowait(None)
            await asyncio.wait(self._tasks, timeout=HANG_UP_SECONDS)
        await asyncio.sleep(0.2)  # the last BYEs leave


async def _refuse(call: Call) -> None:
    """Nobody calls us; who does is told that we are busy."""
    from baresip import BaresipError

    with contextlib.suppress(BaresipError):
        await call.reject()


def _raise_file_limit() -> None:
    """Two sockets for each call, and what else the process has open, must fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or soft < hard):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536) if hard > 0 else 65_536, hard))


def _set_timer_slack(nanoseconds: int) -> None:
    """Of this thread and those it starts; 0 is the kernel's default. Where there is no such thing, nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0)
