"""One connection to an SMSC, from its bind to its end. Everything in here runs in the thread of its event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from telephony.carriers.smpp import protocol
from telephony.carriers.smpp.protocol import Meaning, Pdu

log = logging.getLogger(__name__)

TICK = 0.25  # seconds between two looks at the clock
AGAIN_SECONDS = 1.0  # after which a part that came too fast is sent once more
ENDING_SECONDS = 2.0  # that an SMSC which unbinds gives to what is under way
MOST_UNSTORED = 5000  # messages that came in and wait for the database; the SMSC keeps the others for now

WAITING, UNANSWERED = -1, -2  # in the place of a part's status


@dataclass(slots=True)
class Message:
    """An SMS of one or several parts. `pdus` lack only their sequence numbers.

    `statuses` has for each part None before it is written, then WAITING, then its answer's status or UNANSWERED.
    Parts are not written any more after `until` (monotonic).
    """

    key: str
    pdus: list[bytes]
    until: float
    statuses: list[int | None] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.statuses = [None] * len(self.pdus)
        self.ids = [""] * len(self.pdus)

    @property
    def is_waiting(self) -> bool:
        return WAITING in self.statuses

    @property
    def taken(self) -> int:
        """How many of its parts the SMSC has."""
        return self.statuses.count(protocol.OK)

    def to_repeat(self) -> list[int]:
        """Parts the SMSC did not take for now, of a message of which it has others."""
        if not self.taken:
            return []
        return [
            part
            for part, status in enumerate(self.statuses)
            if status is not None
            and status > 0
            and protocol.meaning_of(status) in (Meaning.TOO_FAST, Meaning.BUSY)
        ]


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What a session calls. None of them may wait.

    `settled`: messages of which no part is waiting any more; one whose answer comes late is settled twice.
    `received`: a `deliver_sm`, to be acknowledged once it is stored. `held`: whether nothing may be written for now.
    """

    settled: Callable[[list[Message]], None]
    received: Callable[[Session, Pdu], None]
    held: Callable[[], bool]


class Session(asyncio.Protocol):
    def __init__(self, *, hooks: Hooks, window: int, answer_seconds: float, enquire_seconds: float) -> None:
        self.hooks = hooks
        self.window = window
        self.answer_seconds = answer_seconds
        self.enquire_seconds = enquire_seconds
        self.is_bound = False
        self.why_ended = ""
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._bind_status: asyncio.Future[int] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._frames = protocol.Frames()
        self._sequence = 0
        # By sequence number: the message, its part, and when it was written. The oldest are first.
        self._waiting: dict[int, tuple[Message, int, float]] = {}
        self._overdue: dict[int, tuple[Message, int, float]] = {}
        self._again: list[tuple[float, Message]] = []
        self._room: asyncio.Future[None] | None = None
        self._unstored = 0
        self._heard_at = time.monotonic()
        self._enquired_at = 0.0
        self._unbinding_at: float | None = None
        self._their_unbind: int | None = None

    # What the link calls

    async def bind(self, body: bytes, *, seconds: float) -> int:
        """The status with which the SMSC answers; raises TimeoutError or ConnectionError."""
        self._write(protocol.pdu(protocol.BIND_TRANSCEIVER, sequence=self._next(), body=body))
        done, _ = await asyncio.wait(
            [self._bind_status, self.ended], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if self._bind_status in done:
            status = self._bind_status.result()
            self.is_bound = status == protocol.OK
            return status
        if done:
            raise ConnectionError(self.why_ended)
        raise TimeoutError(f"the bind was not answered within {seconds:g} s")

    async def submit(self, messages: Iterable[Message], *, until: float) -> list[Message]:
        """Write messages as the window has room; those of which nothing was written, because the connection ended,
        the SMSC wants it slower or `until` came first.

        A message is written in all its parts or not at all, unless the connection ends.
        """
        remaining = list(messages)
        remaining.reverse()
        buffer: list[bytes] = []
        while remaining and self.may_write and not self.hooks.held():
            if self.outstanding >= self.window:
                self._flush(buffer)
                if not await self._has_room(until):
                    break
                continue
            message = remaining.pop()
            now = time.monotonic()
            if now >= message.until:
                remaining.append(message)
                break
            for part in range(len(message.pdus)):
                if self.outstanding >= self.window:
                    self._flush(buffer)
                    await self._has_room(message.until)
                if not self.may_write:
                    break
                self._put(message, part, buffer, now)
            if not message.is_waiting and message.statuses.count(None):
                # The connection ended between two of its parts, when the first had been settled already.
                self._settle([message])
        self._flush(buffer)
        remaining.reverse()
        return remaining

    def acknowledge(self, sequence: int, status: int = protocol.OK) -> None:
        """Tell the SMSC that a message which came in is stored."""
        self._unstored -= 1
        self._answer(protocol.DELIVER_SM, sequence, status=status, body=b"\0")

    def tick(self) -> None:
        """See to what is due: answers that do not come, parts to be repeated, a silent line, the end."""
        now = time.monotonic()
        self._give_up_waiting(now)
        self._repeat(now)
        if self._their_unbind is not None and (not self._waiting or now - self._enquired_at > ENDING_SECONDS):
            self._answer(protocol.UNBIND, self._their_unbind)
            self.end("the SMSC has unbound")
        elif self._enquired_at > self._heard_at and now - self._enquired_at > self.answer_seconds:
            self.end(f"the line was silent for {now - self._heard_at:.0f} s", now=True)
        elif now - max(self._heard_at, self._enquired_at) > self.enquire_seconds:
            self._enquired_at = now
            self._write(protocol.pdu(protocol.ENQUIRE_LINK, sequence=self._next()))

    async def unbind(self, *, seconds: float) -> None:
        """Wait for what is under way, say good-bye, and wait for the answer, all within `seconds`."""
        until = time.monotonic() + seconds
        self._unbinding_at = time.monotonic()
        while (self._waiting or self._unstored) and not self.ended.done() and time.monotonic() < until - 1:
            await asyncio.sleep(0.02)
        if self.is_bound and not self.ended.done():
            self._write(protocol.pdu(protocol.UNBIND, sequence=self._next()))
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
    def outstanding(self) -> int:
        return len(self._waiting)

    @property
    def may_write(self) -> bool:
        return (
            self.is_bound
            and not self.ended.done()
            and self._unbinding_at is None
            and self._their_unbind is None
            and self._transport is not None
            and not self._transport.is_closing()
        )

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard_at = time.monotonic()
        settled: list[Message] = []
        try:
            for pdu in self._frames.feed(data):
                self._take(pdu, settled)
        except protocol.Garbled as error:
            self.end(f"the SMSC sends no SMPP: {error}", now=True)
        self._settle(settled)
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.why_ended = self.why_ended or (f"the connection broke: {error}" if error else "the SMSC hung up")
        self.is_bound = False
        lost = [*self._waiting.values()]
        self._waiting.clear()
        for message, part, _ in lost:
            message.statuses[part] = UNANSWERED
        again = [message for _, message in self._again]
        self._again.clear()
        # Each once, in the order in which they were written.
        self._settle(list({id(message): message for message in [*(m for m, _, _ in lost), *again]}.values()))
        if not self.ended.done():
            self.ended.set_result(None)
        self._wake()

    # Inside

    def _take(self, pdu: Pdu, settled: list[Message]) -> None:
        command = pdu.command
        if command in (protocol.SUBMIT_SM | protocol.RESPONSE, protocol.GENERIC_NACK):
            found = self._waiting.pop(pdu.sequence, None) or self._overdue.pop(pdu.sequence, None)
            if found is None:
                log.warning("An answer to nothing: %s, sequence %d", protocol.name_of(pdu.status), pdu.sequence)
                return
            message, part, _ = found
            message.statuses[part] = pdu.status
            if pdu.status == protocol.OK:
                message.ids[part] = pdu.text
            if not message.is_waiting and None not in message.statuses:
                settled.append(message)
        elif command == protocol.DELIVER_SM:
            self._unstored += 1
            if self._unstored > MOST_UNSTORED:
                self.acknowledge(pdu.sequence, protocol.QUEUE_FULL)
            else:
                self.hooks.received(self, pdu)
        elif command == protocol.ENQUIRE_LINK:
            self._answer(command, pdu.sequence)
        elif command == protocol.UNBIND:
            self._their_unbind = pdu.sequence
            self._enquired_at = self._heard_at
        elif command == protocol.UNBIND | protocol.RESPONSE:
            self.end("iris has unbound")
        elif command == protocol.BIND_TRANSCEIVER | protocol.RESPONSE:
            if not self._bind_status.done():
                self._bind_status.set_result(pdu.status)
        elif not command & protocol.RESPONSE and command != protocol.ALERT_NOTIFICATION:
            self._write(
                protocol.pdu(
                    protocol.GENERIC_NACK, sequence=pdu.sequence, status=protocol.INVALID_COMMAND
                )
            )

    def _settle(self, messages: list[Message]) -> None:
        """Hand on what is decided. A message of which the SMSC has only some parts is completed first, if it can be."""
        decided = []
        now = time.monotonic()
        for message in messages:
            if message.to_repeat() and self.may_write and now + AGAIN_SECONDS < message.until:
                self._again.append((now + AGAIN_SECONDS, message))
            else:
                decided.append(message)
        if decided:
            self.hooks.settled(decided)

    def _repeat(self, now: float) -> None:
        if not self._again or self._again[0][0] > now:
            return
        due = [message for at, message in self._again if at <= now]
        self._again = [(at, message) for at, message in self._again if at > now]
        buffer: list[bytes] = []
        for message in due:
            for part in message.to_repeat():
                self._put(message, part, buffer, now)
        self._flush(buffer)

    def _give_up_waiting(self, now: float) -> None:
        settled: list[Message] = []
        while self._waiting:
            sequence, (message, part, at) = next(iter(self._waiting.items()))
            if now - at < self.answer_seconds:
                break
            self._overdue[sequence] = self._waiting.pop(sequence)
            message.statuses[part] = UNANSWERED
            if not message.is_waiting:
                settled.append(message)
        if settled:
            self._settle(settled)
            self._wake()

    def _put(self, message: Message, part: int, buffer: list[bytes], now: float) -> None:
        sequence = self._next()
        message.statuses[part] = WAITING
        self._waiting[sequence] = (message, part, now)
        buffer.append(protocol.with_sequence(message.pdus[part], sequence))

    def _flush(self, buffer: list[bytes]) -> None:
        if buffer:
            self._write(b"".join(buffer))
            buffer.clear()

    async def _has_room(self, until: float) -> bool:
        """Wait for room in the window; whether there is some."""
        while self.outstanding >= self.window and self.may_write:
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._room = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._room], timeout=left)
        return self.may_write

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _next(self) -> int:
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        return self._sequence

    def _answer(self, command: int, sequence: int, *, status: int = protocol.OK, body: bytes = b"") -> None:
        self._write(protocol.pdu(command | protocol.RESPONSE, sequence=sequence, status=status, body=body))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
