"""The window of unanswered PDUs, with a connection that only counts what is written."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest

from telephony.carriers.smpp import protocol
from telephony.carriers.smpp import window as window_module
from telephony.carriers.smpp.hooks import Hooks
from telephony.carriers.smpp.message import OutgoingSms
from telephony.carriers.smpp.window import Window


class Line:
    def __init__(self) -> None:
        self.may_write = True
        self.writes: list[int] = []  # PDUs in each
        self.sequence = 0

    def next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence

    def write(self, data: bytes) -> None:
        self.writes.append(len(protocol.PduReader().feed(data)))


def hooks() -> Hooks:
    def nothing(*_: Any) -> None:
        pass

    return Hooks(
        answered=nothing,
        settled=nothing,
        unwritten=nothing,
        received=nothing,
        held=lambda: False,
        slot=lambda: 0.0,
        bound=nothing,
    )


def message(n: int) -> OutgoingSms:
    return OutgoingSms(
        key=str(n),
        attempt=1,
        pdus=[protocol.pdu(protocol.SUBMIT_SM, sequence=0)],
        until=time.monotonic() + 600,
    )


async def writes_after_each_response(size: int, responses: int, *, ticks: bool = False) -> list[list[int]]:
    """Fill a window, respond to one PDU after the other, and return what is written after each response."""
    line = Line()
    window = Window(line, hooks=hooks(), size=size, answer_seconds=600)
    submitting = asyncio.ensure_future(
        window.submit([message(n) for n in range(2 * size)], until=time.monotonic() + 600)
    )
    await settle()
    assert line.writes == [size]
    written = []
    for sequence in range(1, responses + 1):
        line.writes.clear()
        response = protocol.pdu(
            protocol.SUBMIT_SM | protocol.RESPONSE, sequence=sequence, body=b"7\0", status=protocol.OK
        )
        (pdu,) = protocol.PduReader().feed(response)
        window.take(pdu, [], Counter())
        window.wake()
        if ticks:
            window.tick(time.monotonic())
        await settle()
        written.append(list(line.writes))
    line.may_write = False
    window.wake()
    await submitting
    return written


async def settle() -> None:
    """Let all tasks run until they wait."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_large_full_window_is_refilled_with_several_pdus_at_once() -> None:
    assert asyncio.run(writes_after_each_response(16, 4)) == [[], [2], [], [2]]


@pytest.mark.parametrize("size", [1, 10])
def test_a_small_full_window_is_refilled_after_each_response(size: int) -> None:
    assert asyncio.run(writes_after_each_response(size, 1)) == [[1]]


def test_a_full_window_of_a_slow_smsc_is_refilled_at_each_tick() -> None:
    assert asyncio.run(writes_after_each_response(16, 2, ticks=True)) == [[1], [1]]


def test_the_end_of_the_connection_ends_the_wait_for_room() -> None:
    async def unwritten() -> int:
        line = Line()
        window = Window(line, hooks=hooks(), size=16, answer_seconds=600)
        submitting = asyncio.ensure_future(
            window.submit([message(n) for n in range(20)], until=time.monotonic() + 600)
        )
        await settle()
        line.may_write = False
        window.wake()
        return len(await submitting)

    assert asyncio.run(unwritten()) == 4


async def written_and_withdrawn(
    withdrawn: Callable[[Collection[str]], Collection[str]],
) -> tuple[int, list[str]]:
    """Submit 4 messages that have waited for too long. Return how many are written, and which are withdrawn."""
    line = Line()
    gone: list[str] = []
    asked_by = replace(
        hooks(), withdrawn=withdrawn, unwritten=lambda messages: gone.extend(one.key for one in messages)
    )
    window = Window(line, hooks=asked_by, size=2, answer_seconds=600)
    waited_since = time.monotonic() - window_module.FRESH_SECONDS
    submitting = asyncio.ensure_future(
        window.submit([message(n) for n in range(4)], until=time.monotonic() + 600, checked_at=waited_since)
    )
    while len(line.writes) < 1 and not submitting.done():
        await asyncio.sleep(0.001)
    for sequence in (1, 2):
        response = protocol.pdu(
            protocol.SUBMIT_SM | protocol.RESPONSE, sequence=sequence, body=b"7\0", status=protocol.OK
        )
        (pdu,) = protocol.PduReader().feed(response)
        window.take(pdu, [], Counter())
    window.wake()
    assert await submitting == []
    return sum(line.writes), gone


def test_sms_that_waited_for_the_window_is_not_sent_after_the_recipient_has_opted_out() -> None:
    asked: list[Collection[str]] = []

    def withdrawn(keys: Collection[str]) -> set[str]:
        asked.append(set(keys))
        return {"1", "3"}

    assert asyncio.run(written_and_withdrawn(withdrawn)) == (2, ["3", "1"])
    assert asked[0] == {"0", "1", "2", "3"}


def test_no_sms_is_sent_while_iris_cannot_check_whether_to_send_it() -> None:
    def fails(keys: Collection[str]) -> set[str]:
        raise OSError("no database")

    written, gone = asyncio.run(written_and_withdrawn(fails))
    assert (written, sorted(gone)) == (0, ["0", "1", "2", "3"])


def test_sms_that_need_not_wait_are_not_checked() -> None:
    async def written() -> int:
        line = Line()
        unasked = replace(hooks(), withdrawn=lambda keys: pytest.fail("asked"))
        window = Window(line, hooks=unasked, size=16, answer_seconds=600)
        assert await window.submit([message(n) for n in range(8)], until=time.monotonic() + 600) == []
        return sum(line.writes)

    assert asyncio.run(written()) == 8
