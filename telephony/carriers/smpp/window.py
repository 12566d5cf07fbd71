"""The submissions of one connection: write them within the window and at the pace, and match the responses.

Everything in here runs in the thread of the connection's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from telephony.carriers.refusals import Meaning
from telephony.carriers.smpp import protocol
from telephony.carriers.smpp.hooks import Hooks
from telephony.carriers.smpp.message import UNANSWERED, UNWRITTEN, WAITING, OutgoingSms
from telephony.carriers.smpp.protocol import Pdu

log = logging.getLogger(__name__)

# After this time, iris checks again whether a message that waits for room must still be sent.
FRESH_SECONDS = 0.3
RETRY_SECONDS = 1.0  # after which a temporarily refused part is sent again
# After this many submissions in a row without a response, or refused because the SMSC has trouble, iris submits only one
# PDU at a time.
MAX_UNDECIDED = 10
KEEP_SECONDS = 600.0  # for which a late response is still matched
# Share of a full window that must be answered before more is written: otherwise each response would cause a write of its
# own, and the SMSC would get its PDUs one by one. The rest of the window keeps the SMSC busy meanwhile.
REFILL_SHARE = 0.125

RESPONSES = (
    protocol.SUBMIT_SM | protocol.RESPONSE,
    protocol.CANCEL_SM | protocol.RESPONSE,
    protocol.GENERIC_NACK,
)


class Line(Protocol):
    """The interface of the connection that submissions need."""

    @property
    def may_write(self) -> bool: ...

    def next_sequence(self) -> int: ...

    def write(self, data: bytes) -> None: ...


class Window:
    """Writes messages while fewer than `size` PDUs are unanswered, and reports messages whose parts all have results."""

    def __init__(self, line: Line, *, hooks: Hooks, size: int, answer_seconds: float) -> None:
        self.hooks = hooks
        self.size = size
        self.answer_seconds = answer_seconds
        self._line = line
        # By sequence number: the message, its part, and when it was written. The oldest are first.
        self._waiting: dict[int, tuple[OutgoingSms, int, float]] = {}
        self._overdue: dict[int, tuple[OutgoingSms, int, float]] = {}
        self._cancelling: dict[int, tuple[OutgoingSms, float]] = {}
        # Messages with parts to write, again or after the cancel_sm, and the earliest time for that (monotonic).
        self._again: dict[OutgoingSms, float] = {}
        self._repeating: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._undecided = 0  # submissions since the last response other than BUSY

    # What the session calls

    async def submit(
        self, messages: Iterable[OutgoingSms], *, until: float, checked_at: float | None = None
    ) -> list[OutgoingSms]:
        """Write messages as the window has room, and return those that were not written.

        It stops when the connection ends, when the SMSC asks for a slower pace, or at `until` (monotonic). A message is
        written with all its parts or not at all, unless the connection ends. At `checked_at`, all of them still had to be
        sent. If they wait for more than FRESH_SECONDS after that, this is checked again.
        """
        checked_at = time.monotonic() if checked_at is None else checked_at
        remaining = list(messages)
        remaining.reverse()
        buffer: list[bytes] = []
        while remaining and await self._may_put(buffer, until) and not self.hooks.held():
            if time.monotonic() - checked_at > FRESH_SECONDS:
                self._flush(buffer)
                remaining = await self._still_wanted(remaining)
                checked_at = time.monotonic()
                # Another task may have taken the room meanwhile.
                if not remaining or not await self._has_room(buffer, until):
                    break
            message = remaining[-1]
            if time.monotonic() >= message.until:
                break
            remaining.pop()
            if message.cancel:
                self._put_cancel(message, buffer)
                continue
            for part in range(len(message.pdus)):
                if part and not await self._may_put(buffer, message.until):
                    self._abandon(message)
                    break
                self._put(message, part, buffer)
        self._flush(buffer)
        remaining.reverse()
        return remaining

    def take(self, pdu: Pdu, settled: list[OutgoingSms], meanings: Counter[Meaning]) -> None:
        """Record a response. Adds its meaning to `meanings`, and its message to `settled` if all parts have results."""
        if pdu.sequence in self._cancelling:
            self._follow(self._cancelling.pop(pdu.sequence)[0], pdu.status)
            return
        found = self._waiting.pop(pdu.sequence, None) or self._overdue.pop(pdu.sequence, None)
        if found is None:
            log.warning(
                "A response to no waiting request: %s, sequence %d",
                protocol.name_of(pdu.status),
                pdu.sequence,
            )
            return
        message, part, _ = found
        message.statuses[part] = pdu.status
        meaning = protocol.meaning_of(pdu.status)
        self._undecided = self._undecided + 1 if meaning is Meaning.BUSY else 0
        if pdu.status != message.sms_specific_status:
            meanings[meaning] += 1
        if pdu.status == protocol.QUEUE_FULL:
            message.sms_specific_status = pdu.status
        if pdu.status == protocol.OK:
            message.ids[part] = pdu.text
        if not message.is_waiting and None not in message.statuses:
            settled.append(message)

    def tick(self, now: float) -> None:
        """Stop waiting for overdue responses, and write the parts that are due for a retry."""
        self._give_up_waiting(now)
        if self._again and (self._repeating is None or self._repeating.done()):
            self._repeating = asyncio.ensure_future(self._repeat())

    def lose(self) -> None:
        """Report every message, because the connection has ended."""
        lost = [*self._waiting.values()]
        self._waiting.clear()
        for message, part, _ in lost:
            message.statuses[part] = UNANSWERED
        if self._repeating is not None:
            self._repeating.cancel()
        again = [*self._again, *(message for message, _ in self._cancelling.values())]
        self._again.clear()
        self._cancelling.clear()
        if unwritten := [message for message in again if message.is_unwritten]:
            self.hooks.unwritten(unwritten)
        again = [message for message in again if not message.is_unwritten]
        # Each message once, in the order in which the messages were written.
        self.settle(list(dict.fromkeys([*(message for message, _, _ in lost), *again])))

    def settle(self, messages: list[OutgoingSms]) -> None:
        """Report messages that have a result. If the SMSC has accepted only some parts, first retry the other parts."""
        decided = []
        now = time.monotonic()
        for message in messages:
            if message.parts_to_repeat() and self._line.may_write and now + RETRY_SECONDS < message.until:
                self._again.setdefault(message, now + RETRY_SECONDS)
            else:
                decided.append(message)
        if decided:
            self.hooks.settled(decided)

    def wake(self, *, any_room: bool = False) -> None:
        """Wake the tasks that wait for room, if there is enough room or the connection has ended."""
        if self._room is None or self._room.done():
            return
        refill = 1 if any_room else max(1, int(REFILL_SHARE * self._limit))
        if self.outstanding <= self._limit - refill or not self._line.may_write:
            self._room.set_result(None)

    @property
    def outstanding(self) -> int:
        return len(self._waiting) + len(self._cancelling)

    @property
    def _limit(self) -> int:
        """Return how many PDUs may be unanswered at present."""
        return self.size if self.is_served else 1

    @property
    def is_served(self) -> bool:
        """Return whether the SMSC accepts or refuses submissions at all.

        While it does neither, one PDU at a time is written.
        """
        return self._undecided < min(MAX_UNDECIDED, self.size)

    # Inside

    async def _still_wanted(self, waiting: list[OutgoingSms]) -> list[OutgoingSms]:
        """Return the messages that must still be sent, and report the others as unwritten.

        If that cannot be found out, none is sent.
        """
        try:
            keys = await asyncio.to_thread(self.hooks.withdrawn, [message.key for message in waiting])
        except Exception:
            log.exception("%d SMS return to the queue: iris cannot check whether to send them", len(waiting))
            keys = [message.key for message in waiting]
        if withdrawn := [message for message in waiting if message.key in keys]:
            self.hooks.unwritten(withdrawn)
        return [message for message in waiting if message.key not in keys]

    def _abandon(self, message: OutgoingSms) -> None:
        """Mark the parts that could not be written."""
        message.statuses = [UNWRITTEN if status is None else status for status in message.statuses]
        if not message.is_waiting:
            self.settle([message])

    async def _repeat(self) -> None:
        """Write the parts that are due again, at the pace, within the window, and not while the SMSC wants a pause.

        A message stays in `_again` until its last part is written, so that `lose` finds it there.
        """
        buffer: list[bytes] = []
        while (message := self._due()) is not None and self._line.may_write and not self.hooks.held():
            has_slot = await self._may_put(buffer, message.until)
            if not self._line.may_write or self.hooks.held():
                break
            if not has_slot or time.monotonic() >= message.until:
                del self._again[message]
                if message.is_unwritten:
                    self.hooks.unwritten([message])
                else:
                    self._abandon(message)
                continue
            part, *others = message.parts_to_write()
            self._put(message, part, buffer)
            if not others:
                del self._again[message]
        self._flush(buffer)

    def _due(self) -> OutgoingSms | None:
        now = time.monotonic()
        return next((message for message, at in self._again.items() if at <= now), None)

    def _put_cancel(self, message: OutgoingSms, buffer: list[bytes]) -> None:
        sequence = self._line.next_sequence()
        self._cancelling[sequence] = (message, time.monotonic())
        buffer.append(protocol.with_sequence(message.cancel, sequence))

    def _follow(self, message: OutgoingSms, status: int) -> None:
        """Act on the response to a cancel_sm: write the message at the next tick, try again later, or withhold it."""
        if status > 0 and protocol.meaning_of(status) is Meaning.TOO_FAST:
            message.cancel_status = status
            self.hooks.answered(Counter([Meaning.TOO_FAST]))
            self.hooks.unwritten([message])
        elif message.may_send_after_cancel(status):
            self._again[message] = time.monotonic()
        else:
            message.statuses = [UNANSWERED for _ in message.pdus]
            self.settle([message])

    def _give_up_waiting(self, now: float) -> None:
        settled: list[OutgoingSms] = []
        for sequence, (message, at) in list(self._cancelling.items()):
            if now - at >= self.answer_seconds:
                del self._cancelling[sequence]
                self._undecided += 1
                self._follow(message, UNANSWERED)
        while self._waiting:
            sequence, (message, part, at) = next(iter(self._waiting.items()))
            if now - at < self.answer_seconds:
                break
            self._overdue[sequence] = self._waiting.pop(sequence)
            self._undecided += 1
            message.statuses[part] = UNANSWERED
            if not message.is_waiting and None not in message.statuses:
                settled.append(message)
        while self._overdue and now - next(iter(self._overdue.values()))[2] > KEEP_SECONDS:
            del self._overdue[next(iter(self._overdue))]
        if settled:
            self.settle(settled)
        self.wake(any_room=True)  # any room is enough, because the SMSC responds slowly

    def _put(self, message: OutgoingSms, part: int, buffer: list[bytes]) -> None:
        sequence = self._line.next_sequence()
        message.statuses[part] = WAITING
        message.written_at = time.monotonic()
        self._waiting[sequence] = (message, part, message.written_at)
        buffer.append(protocol.with_sequence(message.pdus[part], sequence))

    def _flush(self, buffer: list[bytes]) -> None:
        if buffer:
            self._line.write(b"".join(buffer))
            buffer.clear()

    async def _may_put(self, buffer: list[bytes], until: float) -> bool:
        """Wait for room in the window and for the next slot. Return whether one more PDU may be put into the buffer."""
        if not await self._has_room(buffer, until):
            return False
        wait = self.hooks.slot()
        if wait > 0:
            self._flush(buffer)
            if time.monotonic() + wait > until:
                return False
            await asyncio.sleep(wait)
            return await self._has_room(buffer, until)  # another task may have taken the room meanwhile
        return True

    async def _has_room(self, buffer: list[bytes], until: float) -> bool:
        """Wait for room in the window. Return whether one more PDU may be put into the buffer, without another await."""
        while self.outstanding >= self._limit and self._line.may_write:
            self._flush(buffer)
            left = until - time.monotonic()
            if left <= 0:
                return False
            if self._room is None or self._room.done():
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._room], timeout=left)
        return self._line.may_write
