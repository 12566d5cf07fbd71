"""Keep a bind to the SMSC up: connect, bind, and reconnect after every end. Runs in its own thread with an event loop."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass

from django.utils import timezone

from telephony.carriers.smpp import protocol
from telephony.carriers.smpp.hooks import Hooks, Receiver
from telephony.carriers.smpp.message import OutgoingSms
from telephony.carriers.smpp.network_errors import reason_of
from telephony.carriers.smpp.session import TICK, Session

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.5  # before the first reconnect; doubled up to `Address.reconnect_seconds`
ROOM_SECONDS = 10.0  # how long a submission waits for room in the window
STABLE_SECONDS = 10.0  # after a bind of this length the backoff starts again


@dataclass(frozen=True, kw_only=True)
class Address:
    """The SMSC's address, our credentials, and the timing of the session. Times are in seconds."""

    host: str
    port: int
    tls: bool
    tls_ca: str
    system_id: str
    password: str
    system_type: str
    address_range: str
    window: int
    answer_seconds: float
    enquire_seconds: float
    reconnect_seconds: float

    def __str__(self) -> str:
        return f"{self.host}:{self.port} as {self.system_id}"


class Link:
    """Keeps one bind up. `bind_command` says whether it submits, receives, or both."""

    def __init__(
        self, name: str, address: Address, hooks: Hooks, *, bind_command: int = protocol.BIND_TRANSCEIVER
    ) -> None:
        self.address = address
        self._bind_command = bind_command
        self.refusal = protocol.OK  # the status with which the last bind was refused
        self._hooks = hooks
        self._session: Session | None = None
        self._current: asyncio.Future[None] | None = None
        self._last: Future[None] | None = None
        self._last_sequence = 0
        self._bound = threading.Event()
        self._bound_since = timezone.localtime()
        self._state = "connecting"  # later: why the last attempt failed, or why the last bind ended
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._submitting = asyncio.Lock()
        self._thread = threading.Thread(target=self._run, name=f"smpp-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, seconds: float) -> None:
        """Wait for outstanding responses, unbind and disconnect, all within `seconds`."""
        asyncio.run_coroutine_threadsafe(self._stop(seconds), self._loop)
        self._thread.join(seconds + CONNECT_SECONDS)

    def is_bound(self, *, within: float = 0) -> bool:
        """Return whether the link is bound now, or becomes bound in the next `within` seconds."""
        return self._bound.wait(within)

    def submit(self, messages: Sequence[OutgoingSms]) -> None:
        """Queue messages for writing, and wait until the previous batch was written.

        So the engine can claim the next batch while this one is being written.
        """
        last, self._last = (
            self._last,
            asyncio.run_coroutine_threadsafe(self._submit(messages, time.monotonic()), self._loop),
        )
        if last is not None:
            with suppress(CancelledError, TimeoutError):
                last.result(2 * ROOM_SECONDS)

    def acknowledge(self, session: Receiver, pdus: Sequence[protocol.Pdu], status: int = protocol.OK) -> None:
        """Acknowledge stored PDUs. Any thread may call it.

        If the session has ended, nothing is sent: the SMSC sends the PDUs again, and they are recognized as duplicates.
        """
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(session.acknowledge, pdus, status)

    def owns(self, session: Receiver) -> bool:
        """Return whether this is the present session of this link."""
        return self._session is session

    @property
    def state(self) -> str:
        """Return the state of the bind in words, for the operator."""
        session = self._session
        if session is None or not self._bound.is_set():
            return f"not bound to {self.address}: {self._state}"
        bound = f"bound to {self.address} since {self._bound_since:%d %b %H:%M:%S}"
        return bound if session.is_served else f"{bound}, but the SMSC accepts nothing that is submitted"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._keep_up())
        except Exception:
            log.exception("The link to %s has stopped", self.address)
        finally:
            self._loop.close()

    async def _keep_up(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            begun = time.monotonic()
            self._current = asyncio.ensure_future(self._one_session())
            try:
                await self._current
            except asyncio.CancelledError:
                break
            except TimeoutError as error:
                self._state = reason_of(error) or f"no connection within {CONNECT_SECONDS:g} s"
            except OSError as error:
                self._state = reason_of(error)
            except Exception as error:  # whatever the error is, the next attempt may succeed
                log.exception("The bind to %s has failed", self.address)
                self._state = f"an unexpected error: {error!r}"
            if self._stopping.is_set():
                break
            log.warning("%s; next attempt in %.1f s", self.state, pause)
            try:
                await asyncio.wait_for(self._stopping.wait(), pause)
            except TimeoutError:
                lasted = time.monotonic() - begun - pause
                pause = (
                    FIRST_PAUSE_SECONDS
                    if lasted > STABLE_SECONDS
                    else min(pause * 2, self.address.reconnect_seconds)
                )
        async with self._submitting:  # wait until unwritten messages have been returned
            pass

    async def _one_session(self) -> None:
        """Connect, bind, and stay until the connection ends."""
        address = self.address
        _, session = await asyncio.wait_for(
            self._loop.create_connection(
                lambda: Session(
                    hooks=self._hooks,
                    window=address.window,
                    answer_seconds=address.answer_seconds,
                    enquire_seconds=address.enquire_seconds,
                    bind_command=self._bind_command,
                    sequence_after=self._last_sequence,
                ),
                address.host,
                address.port,
                ssl=ssl.create_default_context(cafile=address.tls_ca or None) if address.tls else None,
            ),
            CONNECT_SECONDS,
        )
        try:
            status = await session.bind(
                protocol.bind_body(
                    system_id=address.system_id,
                    password=address.password,
                    system_type=address.system_type,
                    address_range=address.address_range,
                ),
                seconds=CONNECT_SECONDS,
            )
            self.refusal = status
            if status != protocol.OK:
                self._state = f"the SMSC refuses the bind: {protocol.name_of(status)}"
                return
            self._session, self._bound_since = session, timezone.localtime()
            self._bound.set()
            log.info("Bound to %s", address)
            bound_at = time.monotonic()
            while not session.ended.done():
                session.tick()
                self._hooks.bound(
                    time.monotonic() - max(bound_at, session.refused_at), session.refused_at > bound_at
                )
                await asyncio.wait([session.ended], timeout=TICK)
            self._state = session.why_ended
        finally:
            self._bound.clear()
            self._last_sequence = session.last_sequence
            session.end(self._state)

    async def _submit(self, messages: Sequence[OutgoingSms], handed_at: float) -> None:
        async with self._submitting:
            unwritten = list(messages)
            if self._session is not None:
                until = time.monotonic() + ROOM_SECONDS
                unwritten = await self._session.submit(messages, until=until, checked_at=handed_at)
            if unwritten:
                self._hooks.unwritten(unwritten)

    async def _stop(self, seconds: float) -> None:
        self._stopping.set()
        if self._session is not None:
            await self._session.unbind(seconds=seconds)
        if self._current is not None:
            self._current.cancel()
