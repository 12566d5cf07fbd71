"""A bind that is kept up: connect, bind, and again after every end, from a thread of its own with an event loop."""

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
from telephony.carriers.smpp.hooks import Hooks
from telephony.carriers.smpp.message import Message
from telephony.carriers.smpp.session import TICK, Session

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
FIRST_PAUSE = 0.5  # seconds before the first new attempt; doubled up to `Address.reconnect_seconds`
ROOM_SECONDS = 10.0  # that a submission waits for room in the window
_WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
STABLE_SECONDS = 10.0  # a bind that has lasted as long was a good one: the next pause is short again


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where and as whom to bind, and how to behave there. Times are in seconds."""

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
    def __init__(self, name: str, address: Address, hooks: Hooks) -> None:
        self.address = address
        self.refusal = protocol.OK  # the status with which the last bind was refused
        self._hooks = hooks
        self._session: Session | None = None
        self._current: asyncio.Future[None] | None = None
        self._last: Future[None] | None = None
        self._bound = threading.Event()
        self._bound_since = timezone.localtime()
        self._state = "connecting"  # and later why the last attempt failed, or the last bind ended
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._submitting = asyncio.Lock()
        self._thread = threading.Thread(target=self._run, name=f"smpp-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, seconds: float) -> None:
        """Let what is under way be answered, unbind and disconnect, all within `seconds`."""
        asyncio.run_coroutine_threadsafe(self._stop(seconds), self._loop)
        self._thread.join(seconds + CONNECT_SECONDS)

    def is_bound(self, *, within: float = 0) -> bool:
        """Whether there is a bind now, or is one `within` seconds."""
        return self._bound.wait(within)

    def submit(self, messages: Sequence[Message]) -> None:
        """Have messages written as there is room, and wait until those of the last time have been: while one batch
        leaves, the next is claimed.
        """
        last, self._last = (
            self._last,
            asyncio.run_coroutine_threadsafe(self._submit(messages), self._loop),
        )
        if last is not None:
            with suppress(CancelledError, TimeoutError):
                last.result(2 * ROOM_SECONDS)

    def acknowledge(self, session: Session, pdus: Sequence[protocol.Pdu], status: int = protocol.OK) -> None:
        """Tell the SMSC that what came in is stored, from whatever thread. After the end it comes again, and is known."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(session.acknowledge, pdus, status)

    @property
    def state(self) -> str:
        """For people."""
        session = self._session
        if session is None or not self._bound.is_set():
            return f"not bound to {self.address}: {self._state}"
        bound = f"bound to {self.address} since {self._bound_since:%d %b %H:%M:%S}"
        return bound if session.is_served else f"{bound}, but it does not take what is submitted"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._keep_up())
        except Exception:
            log.exception("The bind to %s is given up", self.address)
        finally:
            self._loop.close()

    async def _keep_up(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            begun = time.monotonic()
            self._current = asyncio.ensure_future(self._one_session())
            try:
                await self._current
            except asyncio.CancelledError:
                break
            except TimeoutError as error:
                self._state = str(error) or f"no connection within {CONNECT_SECONDS:g} s"
            except ssl.SSLError as error:
                self._state = _tls_fault(error)
            except OSError as error:
                self._state = str(error)
            except Exception as error:  # whatever it is, the next attempt may fare better
                log.exception("The bind to %s has failed", self.address)
                self._state = f"it failed by {error!r}"
            if self._stopping.is_set():
                break
            log.warning("%s; again in %.1f s", self.state, pause)
            try:
                await asyncio.wait_for(self._stopping.wait(), pause)
            except TimeoutError:
                lasted = time.monotonic() - begun - pause
                pause = (
                    FIRST_PAUSE if lasted > STABLE_SECONDS else min(pause * 2, self.address.reconnect_seconds)
                )
        async with self._submitting:  # what could not be written any more is given back
            pass

    async def _one_session(self) -> None:
        """From connecting to the end of the connection."""
        address = self.address
        _, session = await asyncio.wait_for(
            self._loop.create_connection(
                lambda: Session(
                    hooks=self._hooks,
                    window=address.window,
                    answer_seconds=address.answer_seconds,
                    enquire_seconds=address.enquire_seconds,
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
                self._hooks.bound(time.monotonic() - max(bound_at, session.refused_at))
                await asyncio.wait([session.ended], timeout=TICK)
            self._state = session.why_ended
        finally:
            self._bound.clear()
            session.end(self._state)

    async def _submit(self, messages: Sequence[Message]) -> None:
        async with self._submitting:
            unwritten = list(messages)
            if self._session is not None:
                unwritten = await self._session.submit(messages, until=time.monotonic() + ROOM_SECONDS)
            if unwritten:
                self._hooks.unwritten(unwritten)

    async def _stop(self, seconds: float) -> None:
        self._stopping.set()
        if self._session is not None:
            await self._session.unbind(seconds=seconds)
        if self._current is not None:
            self._current.cancel()


def _tls_fault(error: ssl.SSLError) -> str:
    """What the operator has to do about it."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"no TLS could be agreed on ({error.reason or error}); is this the SMSC's port for TLS?"
    if error.verify_code in _WRONG_NAME:
        return f"the SMSC's certificate is another host's: {error.verify_message} Set host to the name in it."
    return (
        f"the SMSC's certificate is not trusted: {error.verify_message}. "
        "Set tls_ca to the file of the authority that signed it."
    )
