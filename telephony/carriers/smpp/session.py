"""One connection to an SMSC, from its bind to its end. Everything in here runs in the thread of its event loop."""

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
from telephony.carriers.smpp.message import UNANSWERED, UNWRITTEN, WAITING, Message
from telephony.carriers.smpp.protocol import Pdu

log = logging.getLogger(__name__)

TICK = 0.25  # seconds between two looks at the clock
AGAIN_SECONDS = 1.0  # after which a part that came too fast is sent once more
ENDING_SECONDS = 2.0  # that an SMSC which unbinds gives to what is under way
IN_VAIN = 10  # submissions without an answer, or refused for trouble of the SMSC, after which one at a time is tried
MOST_UNSTORED = 5000  # messages that came in and wait for the database; the SMSC keeps the others for now

KEEP_SECONDS = 600.0  # that an answer may be late and still be understood


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
        self._recalling: dict[int, tuple[Message, float]] = {}
        self._again: dict[Message, float] = {}  # what is written again, or after its recall, and from when on
        self._repeating: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._unstored = 0
        self.refused_at = 0.0  # when the SMSC was told last that something must come again
        self._heard_at = time.monotonic()
        self._enquired_at = 0.0
        self._in_vain = 0  # submissions since one was decided
        self._closing = False
        self._their_unbind: tuple[int, float] | None = None  # its sequence number, and when it came

    # What the link calls

    async def bind(self, body: bytes, *, seconds: float) -> int:
        """The status with which the SMSC answers; raises TimeoutError or ConnectionError."""
        self._write(protocol.pdu(protocol.BIND_TRANSCEIVER, sequence=self._next(), body=body))
        futures: list[asyncio.Future[Any]] = [self._bind_status, self.ended]
        await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self._bind_status.done():
            status = self._bind_status.result()
            self.is_bound = status == protocol.OK
            return status
        if self.ended.done():
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
        while remaining and await self._may_put(buffer, until) and not self.hooks.held():
            message = remaining[-1]
            if time.monotonic() >= message.until:
                break
            remaining.pop()
            if message.recall:
                self._recall(message, buffer)
                continue
            for part in range(len(message.pdus)):
                if part and not await self._may_put(buffer, message.until):
                    self._abandon(message)
                    break
                self._put(message, part, buffer)
        self._flush(buffer)
        remaining.reverse()
        return remaining

    def acknowledge(self, pdus: Iterable[Pdu], status: int = protocol.OK) -> None:
        """Tell the SMSC that what came in is stored, or by another status that it must come again."""
        answers = [
            protocol.pdu(
                protocol.DELIVER_SM | protocol.RESPONSE, sequence=pdu.sequence, status=status, body=b"\0"
            )
            for pdu in pdus
        ]
        self._unstored -= len(answers)
        if status != protocol.OK:
            self.refused_at = time.monotonic()
        self._write(b"".join(answers))

    def tick(self) -> None:
        """See to what is due: answers that do not come, parts to be repeated, a silent line, the end."""
        now = time.monotonic()
        self._give_up_waiting(now)
        if self._again and (self._repeating is None or self._repeating.done()):
            self._repeating = asyncio.ensure_future(self._repeat())
        if self._their_unbind and (not self.outstanding or now - self._their_unbind[1] > ENDING_SECONDS):
            self._answer(protocol.UNBIND, self._their_unbind[0])
            self.end("the SMSC has unbound")
        elif self._enquired_at > self._heard_at:
            if now - self._enquired_at > self.answer_seconds:
                self.end(f"the line was silent for {now - self._heard_at:.0f} s", now=True)
        elif now - self._heard_at > self.enquire_seconds:
            self._enquired_at = now
            self._write(protocol.pdu(protocol.ENQUIRE_LINK, sequence=self._next()))

    async def unbind(self, *, seconds: float) -> None:
        """Wait for what is under way, say good-bye, and wait for the answer, all within `seconds`."""
        until = time.monotonic() + seconds
        self._closing = True
        while (self.outstanding or self._unstored) and not self.ended.done() and time.monotonic() < until - 1:
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
        return len(self._waiting) + len(self._recalling)

    @property
    def is_served(self) -> bool:
        """Whether the SMSC decides what is submitted. While it does not, only one PDU at a time goes out."""
        return self._in_vain < min(IN_VAIN, self.window)

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

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard_at = time.monotonic()
        settled: list[Message] = []
        received: list[Pdu] = []
        meanings: Counter[Meaning] = Counter()
        try:
            for pdu in self._frames.feed(data):
                self._take(pdu, settled, received, meanings)
        except protocol.Garbled as error:
            self.end(f"the SMSC sends no SMPP: {error}", now=True)
        if meanings:
            self.hooks.answered(meanings)
        # Answers first: a receipt that comes right behind one finds its message.
        self._settle(settled)
        if received:
            self._receive(received)
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.why_ended = self.why_ended or (f"the connection broke: {error}" if error else "the SMSC hung up")
        self.is_bound = False
        lost = [*self._waiting.values()]
        self._waiting.clear()
        for message, part, _ in lost:
            message.statuses[part] = UNANSWERED
        if self._repeating is not None:
            self._repeating.cancel()
        again = [*self._again, *(message for message, _ in self._recalling.values())]
        self._again.clear()
        self._recalling.clear()
        if unwritten := [message for message in again if message.is_unwritten]:
            self.hooks.unwritten(unwritten)
        again = [message for message in again if not message.is_unwritten]
        # Each once, in the order in which they were written.
        self._settle(list(dict.fromkeys([*(message for message, _, _ in lost), *again])))
        if not self.ended.done():
            self.ended.set_result(None)
        self._wake()

    # Inside

    def _take(
        self, pdu: Pdu, settled: list[Message], received: list[Pdu], meanings: Counter[Meaning]
    ) -> None:
        command = pdu.command
        if command in (
            protocol.SUBMIT_SM | protocol.RESPONSE,
            protocol.CANCEL_SM | protocol.RESPONSE,
            protocol.GENERIC_NACK,
        ):
            if pdu.sequence in self._recalling:
                self._follow(self._recalling.pop(pdu.sequence)[0], pdu.status)
                return
            found = self._waiting.pop(pdu.sequence, None) or self._overdue.pop(pdu.sequence, None)
            if found is None:
                log.warning(
                    "An answer to nothing: %s, sequence %d", protocol.name_of(pdu.status), pdu.sequence
                )
                return
            message, part, _ = found
            message.statuses[part] = pdu.status
            meaning = protocol.meaning_of(pdu.status)
            self._in_vain = self._in_vain + 1 if meaning is Meaning.BUSY else 0
            if pdu.status != message.own_complaint:
                meanings[meaning] += 1
            if pdu.status == protocol.QUEUE_FULL:
                message.own_complaint = pdu.status
            if pdu.status == protocol.OK:
                message.ids[part] = pdu.text
            if not message.is_waiting and None not in message.statuses:
                settled.append(message)
        elif command == protocol.DELIVER_SM:
            received.append(pdu)
        elif command == protocol.ENQUIRE_LINK:
            self._answer(command, pdu.sequence)
        elif command == protocol.UNBIND:
            self._their_unbind = (pdu.sequence, self._heard_at)
        elif command == protocol.UNBIND | protocol.RESPONSE:
            self.end("iris has unbound")
        elif command == protocol.BIND_TRANSCEIVER | protocol.RESPONSE:
            if not self._bind_status.done():
                self._bind_status.set_result(pdu.status)
        elif not command & protocol.RESPONSE and command != protocol.ALERT_NOTIFICATION:
            self._write(
                protocol.pdu(protocol.GENERIC_NACK, sequence=pdu.sequence, status=protocol.INVALID_COMMAND)
            )

    def _receive(self, pdus: list[Pdu]) -> None:
        self._unstored += len(pdus)
        if self._unstored > MOST_UNSTORED:
            self.acknowledge(pdus, protocol.QUEUE_FULL)
        else:
            self.hooks.received(self, pdus)

    def _abandon(self, message: Message) -> None:
        """Not all of its parts could be written."""
        message.statuses = [UNWRITTEN if status is None else status for status in message.statuses]
        if not message.is_waiting:
            self._settle([message])

    def _settle(self, messages: list[Message]) -> None:
        """Hand on what is decided. A message of which the SMSC has only some parts is completed first, if it can be."""
        decided = []
        now = time.monotonic()
        for message in messages:
            if message.to_repeat() and self.may_write and now + AGAIN_SECONDS < message.until:
                self._again.setdefault(message, now + AGAIN_SECONDS)
            else:
                decided.append(message)
        if decided:
            self.hooks.settled(decided)

    async def _repeat(self) -> None:
        """Write what is due again: as everything, at the pace, within the window, and not while we are held.

        A message stays in `_again` until its last part is written, so that the end of the connection finds it there.
        """
        buffer: list[bytes] = []
        while (message := self._due()) is not None and self.may_write and not self.hooks.held():
            has_slot = await self._may_put(buffer, message.until)
            if not self.may_write or self.hooks.held():
                break
            if not has_slot or time.monotonic() >= message.until:
                del self._again[message]
                if message.is_unwritten:
                    self.hooks.unwritten([message])
                else:
                    self._abandon(message)
                continue
            part, *others = message.to_write()
            self._put(message, part, buffer)
            if not others:
                del self._again[message]
        self._flush(buffer)

    def _due(self) -> Message | None:
        now = time.monotonic()
        return next((message for message, at in self._again.items() if at <= now), None)

    def _recall(self, message: Message, buffer: list[bytes]) -> None:
        sequence = self._next()
        self._recalling[sequence] = (message, time.monotonic())
        buffer.append(protocol.with_sequence(message.recall, sequence))

    def _follow(self, message: Message, status: int) -> None:
        """Its recall was answered: write it at the next tick, try all of it again later, or leave it."""
        if status > 0 and protocol.meaning_of(status) is Meaning.TOO_FAST:
            message.recall_status = status
            self.hooks.answered(Counter([Meaning.TOO_FAST]))
            self.hooks.unwritten([message])
        elif message.may_follow(status):
            self._again[message] = time.monotonic()
        else:
            message.statuses = [UNANSWERED for _ in message.pdus]
            self._settle([message])

    def _give_up_waiting(self, now: float) -> None:
        settled: list[Message] = []
        for sequence, (message, at) in list(self._recalling.items()):
            if now - at >= self.answer_seconds:
                del self._recalling[sequence]
                self._in_vain += 1
                self._follow(message, UNANSWERED)
        while self._waiting:
            sequence, (message, part, at) = next(iter(self._waiting.items()))
            if now - at < self.answer_seconds:
                break
            self._overdue[sequence] = self._waiting.pop(sequence)
            self._in_vain += 1
            message.statuses[part] = UNANSWERED
            if not message.is_waiting and None not in message.statuses:
                settled.append(message)
        while self._overdue and now - next(iter(self._overdue.values()))[2] > KEEP_SECONDS:
            del self._overdue[next(iter(self._overdue))]
        if settled:
            self._settle(settled)
        self._wake()

    def _put(self, message: Message, part: int, buffer: list[bytes]) -> None:
        sequence = self._next()
        message.statuses[part] = WAITING
        message.written_at = time.monotonic()
        self._waiting[sequence] = (message, part, message.written_at)
        buffer.append(protocol.with_sequence(message.pdus[part], sequence))

    def _flush(self, buffer: list[bytes]) -> None:
        if buffer:
            self._write(b"".join(buffer))
            buffer.clear()

    async def _may_put(self, buffer: list[bytes], until: float) -> bool:
        """Wait for room in the window and for our slot; whether one more PDU may be put into the buffer."""
        if not await self._has_room(buffer, until):
            return False
        wait = self.hooks.slot()
        if wait > 0:
            self._flush(buffer)
            if time.monotonic() + wait > until:
                return False
            await asyncio.sleep(wait)
            return await self._has_room(buffer, until)  # somebody else may have taken it meanwhile
        return True

    async def _has_room(self, buffer: list[bytes], until: float) -> bool:
        """Wait for room in the window; whether one more PDU may be put into the buffer, if that is done at once."""
        while self.outstanding >= (self.window if self.is_served else 1) and self.may_write:
            self._flush(buffer)
            left = until - time.monotonic()
            if left <= 0:
                return False
            if self._room is None or self._room.done():
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._room], timeout=left)
        return self.may_write

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _next(self) -> int:
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        return self._sequence

    def _answer(self, command: int, sequence: int) -> None:
        self._write(protocol.pdu(command | protocol.RESPONSE, sequence=sequence))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
