"""Test that the recording goes on in whole samples, and with what was not sent, after the stack has replaced its buffer."""

from __future__ import annotations

import time
from array import array
from typing import Any, cast

import pytest

from telephony.carriers.sip import playback as module
from telephony.carriers.sip.playback import FRAME_BYTES, STEP_BYTES, NoAudio, Playback
from telephony.carriers.sip.transmission import (
    AHEAD_SECONDS,
    PACKET_SECONDS,
    STEP_SECONDS,
    Buffer,
    NotSending,
)

SAMPLES = array("h", range(1, 16_001))  # two seconds, in which each sample says where it is


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("telephony.carriers.sip.playback.time.monotonic", lambda: self.now)


class Transmission:
    """The audio of a call. `sent` is what the stack has sent.

    Every STEP_SECONDS the stack takes that much out of its buffer, or silence. It sends that a packet at a time, behind
    what it has on its way.
    """

    def __init__(self, clock: Clock, *, packet_ms: int = 20, capacity: int = 32_000) -> None:
        self.clock = clock
        self.packet_ms = packet_ms
        self.capacity = capacity
        self.sent = bytearray()
        self.filled = bytearray()
        self.is_held = False
        self.number = 1
        self.has_begun = True
        self._begin()

    def _begin(self) -> None:
        self.on_its_way = bytearray(round((AHEAD_SECONDS + PACKET_SECONDS) * 16_000))
        self.step_at = self.packet_at = self.clock.now

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        while not self.is_held and min(self.step_at, self.packet_at) <= self.clock.now:
            if self.step_at <= self.packet_at:
                self.on_its_way += self.filled[:STEP_BYTES].ljust(STEP_BYTES, b"\0")
                del self.filled[:STEP_BYTES]
                self.step_at += STEP_SECONDS
            else:
                self.sent += self.on_its_way[: self.packet_ms * 16]
                del self.on_its_way[: self.packet_ms * 16]
                self.packet_at += self.packet_ms / 1000

    def hold(self) -> None:
        self.is_held = True
        self.filled.clear()
        self.number += 1

    def resume(self, *, packet_ms: int = 20) -> None:
        self.is_held, self.packet_ms = False, packet_ms
        self.number += 1
        self._begin()

    def buffer(self) -> Buffer:
        if self.is_held:
            raise NotSending
        ahead = AHEAD_SECONDS + max(0.0, self.step_at - self.clock.now)
        return Buffer(self.number, 8000, 1, self.capacity, len(self.filled), ahead, 0)

    def write(self, number: int, pcm: memoryview) -> int:
        if self.is_held or number != self.number:
            raise NotSending
        self.filled += pcm
        return len(pcm)


def heard(audio: Transmission) -> list[int]:
    assert len(audio.sent) % 2 == 0
    samples = array("h", bytes(audio.sent))
    return [sample for sample in samples if sample]


def play(audio: Transmission, playback: Playback, *, until: float = float("inf")) -> None:
    end = audio.clock.now + until
    while audio.clock.now < end:
        pause = playback.feed()
        if pause is None:
            return
        audio.pass_time(min(pause, end - audio.clock.now))


@pytest.mark.parametrize("hold_at", [0.05 + 0.0371 * step for step in range(45)])
@pytest.mark.parametrize("packet_ms", [20, 30])
def test_recording_goes_on_after_a_hold_at_any_moment(
    monkeypatch: pytest.MonkeyPatch, hold_at: float, packet_ms: int
) -> None:
    audio = Transmission(Clock(monkeypatch))
    playback = Playback(cast(Any, audio), SAMPLES.tobytes(), lead_seconds=0)
    play(audio, playback, until=hold_at)
    before = len(heard(audio))
    audio.hold()
    playback.seconds()  # as speech capture and pressed keys ask, at any moment
    play(audio, playback, until=0.513)
    assert playback._written % FRAME_BYTES == 0
    audio.resume(packet_ms=packet_ms)
    play(audio, playback)
    audio.pass_time(0.06)
    samples = heard(audio)
    assert playback.share() == 100
    resumed = samples[before]
    assert abs(resumed - before - 1) <= 2 * FRAME_BYTES // 2  # at most two packets are missing or repeated
    assert samples[before:] == list(range(resumed, 16_001))  # each sample is whole, and none is missing
    assert playback.underruns == 0


def test_buffer_that_was_replaced_between_two_looks_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = Transmission(Clock(monkeypatch))
    playback = Playback(cast(Any, audio), SAMPLES.tobytes(), lead_seconds=0)
    play(audio, playback, until=0.7)
    audio.hold()
    audio.resume()
    play(audio, playback)
    samples = heard(audio)
    assert len(samples) >= 16_000
    assert samples[-8_000:] == list(range(8_001, 16_001))
    assert playback.underruns == 0


def test_share_counts_nothing_that_a_hold_has_kept_back(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = Transmission(Clock(monkeypatch))
    playback = Playback(cast(Any, audio), SAMPLES.tobytes(), lead_seconds=0)
    play(audio, playback, until=0.5)
    audio.hold()
    play(audio, playback, until=20)
    heard_seconds = len(heard(audio)) / 8000
    assert playback.seconds() == pytest.approx(heard_seconds, abs=0.03)
    assert playback.share() == pytest.approx(50 * playback.seconds(), abs=1)
    with pytest.raises(NoAudio):
        play(audio, playback, until=20)


def test_call_that_never_accepts_audio_was_never_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = Transmission(Clock(monkeypatch))
    audio.hold()
    audio.has_begun = False
    playback = Playback(cast(Any, audio), SAMPLES.tobytes(), lead_seconds=0.3)
    begun = time.monotonic()
    with pytest.raises(NoAudio):
        play(audio, playback)
    assert module.READY_SECONDS < time.monotonic() - begun < module.READY_SECONDS + 0.5
    assert (playback.was_ready, playback.share()) == (False, 0)
