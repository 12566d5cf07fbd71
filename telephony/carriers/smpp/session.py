"""One connection to an SMSC, from its bind to its end.

Everything in here runs in the thread of its event loop. The module `window` keeps the messages that are submitted over this
connection.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from telephony.carriers.refusals import Meaning
from telephony.carriers.smpp import protocol
from telephony.carriers.smpp.hooks import Hooks
from telephony.carriers.smpp.message import OutgoingSms
from telephony.carriers.smpp.network_errors import reason_of
from telephony.carriers.smpp.protocol import Pdu
from telephony.carriers.smpp.window import RESPONSES, Window

log = logging.getLogger(__name__)

TICK = 0.25  # seconds between two looks at the clock
ENDING_SECONDS = 2.0  # for responses under way, after the SMSC has asked to unbind
# Inbound PDUs that wait for the database; further ones are refused, so the SMSC keeps them.
MAX_UNSTORED = 5000


class Session(asyncio.Protocol):
    """`bind_command` says whether the session submits (transmitter), receives (receiver), or both (transceiver)."""

    def __init__(
        self,
        *,
        hooks: Hooks,
        window: int,
        answer_seconds: float,
        enquire_seconds: float,
        bind_command: int = protocol.BIND_TRANSCEIVER,
        sequence_after: int = 0,
    ) -> None:
        """Prepare a connection whose sequence numbers follow `sequence_after`, the last one of the previous connection.

        An SMSC may send the response to a PDU of the previous connection over this one.
        """
        self.hooks = hooks
        self._bind_command = bind_command
        self.answer_seconds = answer_seconds
        self.enquire_seconds = enquire_seconds
        self.is_bound = False
        self.why_ended = ""
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._bind_status: asyncio.Future[int] = loop.create_future()
        self._window = Window(self, hooks=hooks, size=window, answer_seconds=answer_seconds)
        self._transport: asyncio.Transport | None = None
        self._frames = protocol.PduReader()
        self.last_sequence = sequence_after
        self._unstored = 0
        self.refused_at = 0.0  # when iris last told the SMSC to send something again
        self._heard_at = time.monotonic()
        self._enquired_at = 0.0
        self._closing = False
        # The sequence number and the time of the SMSC's unbind.
        self._their_unbind: tuple[int, float] | None = None

    # What the link calls

    async def bind(self, body: bytes, *, seconds: float) -> int:
        """Bind, and return the status of the response. Raises TimeoutError or ConnectionError."""
        self.write(protocol.pdu(self._bind_command, sequence=self.next_sequence(), body=body))
        futures: list[asyncio.Future[Any]] = [self._bind_status, self.ended]
        await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self._bind_status.done():
            status = self._bind_status.result()
            self.is_bound = status == protocol.OK
            return status
        if self.ended.done():
            raise ConnectionError(self.why_ended)
        raise TimeoutError(f"the bind was not answered within {seconds:g} s")

    async def submit(
        self, messages: Iterable[OutgoingSms], *, until: float, checked_at: float
    ) -> list[OutgoingSms]:
        """Write messages; return those that were not written (`Window.submit`)."""
        return await self._window.submit(messages, until=until, checked_at=checked_at)

    def acknowledge(self, pdus: Iterable[Pdu], status: int = protocol.OK) -> None:
        """Tell the SMSC that these PDUs are stored. With a status other than OK, tell it to send them again."""
        answers = [
            protocol.pdu(pdu.command | protocol.RESPONSE, sequence=pdu.sequence, status=status, body=b"\0")
            for pdu in pdus
        ]
        self._unstored -= len(answers)
        if status != protocol.OK:
            self.refused_at = time.monotonic()
        self.write(b"".join(answers))

    def tick(self) -> None:
        """Handle missing responses, parts to write again, a silent connection, and an unbind. Called every TICK."""
        now = time.monotonic()
        self._window.tick(now)
        if self._their_unbind and (
            not self._window.outstanding or now - self._their_unbind[1] > ENDING_SECONDS
        ):
            self._answer(protocol.UNBIND, self._their_unbind[0])
            self.end("the SMSC has unbound")
        elif self._enquired_at > self._heard_at:
            if now - self._enquired_at > self.answer_seconds:
                self.end(f"the line was silent for {now - self._heard_at:.0f} s", now=True)
        elif now - self._heard_at > self.enquire_seconds:
            self._enquired_at = now
            self.write(protocol.pdu(protocol.ENQUIRE_LINK, sequence=self.next_sequence()))

    async def unbind(self, *, seconds: float) -> None:
        """Wait for responses under way, unbind, and wait for the response, all within `seconds`."""
        until = time.monotonic() + seconds
        self._closing = True
        while (
            (self._window.outstanding or self._unstored)
            and not self.ended.done()
            and time.monotonic() < until - 1
        ):
            await asyncio.sleep(0.02)
        if self.is_bound and not self.ended.done():
            self.write(protocol.pdu(protocol.UNBIND, sequence=self.next_sequence()))
            await asyncio.wait([self.ended], timeout=max(0.5, until - time.monotonic()))
        self.end("iris has unbound")

    def end(self, why: str, *, now: bool = False) -> None:
        self.why_ended = self.why_ended or why
        if self._transport is not None:
            if now:
                self._transport.abort()
            else:
                self._transport.close()

    @property
    def is_served(self) -> bool:
        """Return whether the SMSC accepts or refuses submissions at all (`Window.is_served`)."""
        return self._window.is_served

    # What the window calls

    @property
    def may_write(self) -> bool:
        return (
            self.is_bound
            and not self.ended.done()
            and not self._closing
            and self._their_unbind is None
            and self._transport is not None
            and not self._transport.is_closing()
        )

    def next_sequence(self) -> int:
        self.last_sequence = self.last_sequence % 0x7FFFFFFF + 1
        return self.last_sequence

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard_at = time.monotonic()
        settled: list[OutgoingSms] = []
        received: list[Pdu] = []
        meanings: Counter[Meaning] = Counter()
        try:
            for pdu in self._frames.feed(data):
                self._take(pdu, settled, received, meanings)
        except protocol.NotSmpp as error:
            self.end(f"the SMSC sends no SMPP: {error}", now=True)
        if meanings:
            self.hooks.answered(meanings)
        # Handle responses first: a receipt may come right after the response that has its message id.
        self._window.settle(settled)
        if received:
            self._receive(received)
        self._window.wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.why_ended = self.why_ended or (reason_of(error) if error else "the SMSC closed the connection")
        self.is_bound = False
        self._window.lose()
        if not self.ended.done():
            self.ended.set_result(None)
        self._window.wake()

    # Inside

    def _take(
        self, pdu: Pdu, settled: list[OutgoingSms], received: list[Pdu], meanings: Counter[Meaning]
    ) -> None:
        command = pdu.command
        if command in RESPONSES:
            self._window.take(pdu, settled, meanings)
        elif command in (protocol.DELIVER_SM, protocol.DATA_SM):
            received.append(pdu)
        elif command == protocol.ENQUIRE_LINK:
            self._answer(command, pdu.sequence)
        elif command == protocol.UNBIND:
            self._their_unbind = (pdu.sequence, self._heard_at)
        elif command == protocol.UNBIND | protocol.RESPONSE:
            self.end("iris has unbound")
        elif command == self._bind_command | protocol.RESPONSE:
            if not self._bind_status.done():
                self._bind_status.set_result(pdu.status)
        elif not command & protocol.RESPONSE and command != protocol.ALERT_NOTIFICATION:
            self.write(
                protocol.pdu(protocol.GENERIC_NACK, sequence=pdu.sequence, status=protocol.INVALID_COMMAND)
            )

    def _receive(self, pdus: list[Pdu]) -> None:
        self._unstored += len(pdus)
        if self._unstored > MAX_UNSTORED:
            self.acknowledge(pdus, protocol.QUEUE_FULL)
        else:
            self.hooks.received(self, pdus)

    def _answer(self, command: int, sequence: int) -> None:
        self.write(protocol.pdu(command | protocol.RESPONSE, sequence=sequence))
