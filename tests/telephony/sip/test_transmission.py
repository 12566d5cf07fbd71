"""Test how the buffer from which the stack sends a call's audio is filled."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any, cast

import pytest

from telephony.carriers.sip import transmission as module
from telephony.carriers.sip.transmission import (
    AHEAD_SECONDS,
    STEP_SECONDS,
    CallTransmission,
    NotSending,
    _Filler,
    _Frame,
    _Parameters,
    _Source,
    _Write,
)
from tests.live import wait_for

STEP = round(STEP_SECONDS * 16_000)
AHEAD = round(AHEAD_SECONDS * 16_000)


class Stack:
    """The stack's side: `added` is what its buffer was given, `packets` how many packets it has sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, packet_ms: int = 20) -> None:
        self.now = 1000.0
        monkeypatch.setattr("telephony.carriers.sip.transmission.time.monotonic", lambda: self.now)
        self.packets = 5  # of an earlier source of the same call
        self.added: list[bytes] = []
        self._pointer = _Write(self._add)
        libre = SimpleNamespace(
            audio_strm=lambda audio: audio + 1,
            stream_metric_get_tx_n_packets=lambda stream: self.packets,
            auframe_init=self._init,
        )
        self.source = _Source(
            _Parameters(samples_per_second=8000, channels=1, milliseconds=packet_ms),
            ctypes.cast(self._pointer, ctypes.c_void_p).value or 0,
            7,
            cast(Any, libre),
        )
        self.call = CallTransmission()
        self.call.source = self.source

    def _init(self, frame: Any, form: int, samples: Any, size: int, rate: int, channels: int) -> None:
        frame._obj.samples = ctypes.addressof(samples)
        assert (form, size, rate, channels) == (0, 0, 8000, 1)

    def _add(self, frame: int, argument: int) -> None:
        assert argument == 7
        given = _Frame.from_address(frame)
        self.added.append(ctypes.string_at(given.samples, 2 * given.count))

    def run(self) -> None:
        """Let time pass until the next step is due, and do it."""
        self.now = max(self.now, self.source.due_at)
        self.source.step()

    def begin(self) -> None:
        self.run()
        self.packets += 1
        self.run()


def test_one_packet_waits_for_the_first_that_is_sent_and_then_the_buffer_is_filled_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = Stack(monkeypatch)
    stack.run()
    stack.run()
    assert stack.added == [bytes(320)]
    with pytest.raises(NotSending):  # the stack would drop it
        stack.call.buffer()
    stack.packets += 1
    stack.run()
    assert b"".join(stack.added) == bytes(320 + AHEAD + STEP)
    assert stack.now < 1000.05


def test_first_packet_has_the_length_that_was_negotiated(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(monkeypatch, packet_ms=30)
    stack.run()
    assert stack.added == [bytes(480)]


def test_call_that_sends_nothing_is_filled_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(monkeypatch)
    while len(stack.added) < 2:
        stack.run()
    assert stack.now == pytest.approx(1000 + module.MAX_CHECK_SECONDS, abs=module.CHECK_SECONDS)


def test_written_audio_follows_in_steps_and_a_short_step_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(monkeypatch)
    stack.begin()
    stack.added.clear()
    pcm = bytes(range(250)) * (STEP * 5 // 2 // 250)
    begun = stack.now
    number = stack.call.buffer().number
    assert stack.call.write(number, pcm) == len(pcm)
    for _ in range(4):
        stack.run()
    assert b"".join(stack.added) == pcm.ljust(4 * STEP, b"\0")
    assert stack.now == pytest.approx(begun + 4 * STEP_SECONDS)
    assert (stack.call.buffer().filled, stack.call.buffer().short_steps) == (0, 1)


def test_buffer_takes_no_more_than_its_capacity(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(monkeypatch)
    stack.begin()
    buffer = stack.call.buffer()
    assert stack.call.write(buffer.number, bytes(buffer.capacity - 320)) == buffer.capacity - 320
    assert stack.call.write(buffer.number, bytes(640)) == 320
    assert stack.call.write(buffer.number, bytes(2)) == 0
    assert stack.call.buffer().filled == buffer.capacity


def test_after_a_long_delay_no_more_is_added_than_the_stack_has_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = Stack(monkeypatch)
    stack.begin()
    stack.added.clear()
    stack.now += 10
    stack.run()
    while stack.source.due_at <= stack.now:
        stack.run()
    assert AHEAD <= len(b"".join(stack.added)) <= AHEAD + STEP


def test_source_that_has_ended_adds_nothing_and_its_buffer_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stack = Stack(monkeypatch)
    stack.begin()
    stack.added.clear()
    number = stack.call.buffer().number
    stack.source.has_ended = True
    _Filler()._fill(stack.source)
    assert stack.added == []
    with pytest.raises(NotSending):
        stack.call.buffer()
    with pytest.raises(NotSending):
        stack.call.write(number, bytes(320))


def test_buffer_of_another_number_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(monkeypatch)
    stack.begin()
    with pytest.raises(NotSending):
        stack.call.write(stack.call.buffer().number + 1, bytes(320))
    assert stack.call.buffer().filled == 0


def test_one_call_that_cannot_be_filled_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, whole = Stack(monkeypatch), Stack(monkeypatch)
    monkeypatch.undo()
    broken.source.due_at = whole.source.due_at = 0.0
    monkeypatch.setattr(broken.source, "step", lambda: 1 / 0)
    filler = _Filler()
    filler.add(broken.source)
    filler.add(whole.source)
    whole.packets += 1
    wait_for(lambda: len(whole.added) > 3, seconds=20)
    whole.source.has_ended = True
    assert "The audio of a call could not be sent" in caplog.text
    assert broken.added == []
