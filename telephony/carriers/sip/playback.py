"""One recording on its way into one call."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from baresip import CallAudio

BYTES_PER_SECOND = 16_000  # 8 kHz, 16 bit, mono
FRAME_BYTES = 320  # 20 ms, one packet
# How often the stack's buffer, which holds two seconds, is filled up: this process may be late by 1.5 s unheard.
FEED_SECONDS = 0.5
READY_SECONDS = 2.0  # from the answer until audio can be sent
STALLED_SECONDS = 30.0  # without audio in the middle of a call


class NoAudio(Exception):
    """The far end answered, and takes no audio from us."""


class Playback:
    """Keeps the stack's buffer filled, and knows how much of the recording has left it.

    The stack takes a frame out of its buffer each 20 ms, whatever Python does meanwhile.
    """

    def __init__(self, audio: CallAudio, pcm: bytes, *, lead_seconds: float) -> None:
        self._audio = audio
        self._pcm = memoryview(pcm + bytes(-len(pcm) % FRAME_BYTES))  # whole frames: no packet is padded late
        self._written = 0
        self._sent = 0
        self.starved = 0  # how often the buffer ran dry before the end, which people hear
        self._seen_at = time.monotonic()
        self._begin_at = self._active_at = self._seen_at + lead_seconds

    def feed(self) -> float | None:
        """Write what fits. Seconds until more may, None when all has been sent. Raises NoAudio."""
        from baresip import AudioNotActive, AudioRestarted, BaresipError

        now = time.monotonic()
        if now < self._begin_at:
            return self._begin_at - now
        try:
            info = self._audio.info()
            if not info.tx_ready:
                raise AudioNotActive
            if (info.tx_sample_rate, info.tx_channels) != (8000, 1):
                raise NoAudio(f"{info.tx_sample_rate} Hz were agreed on, which iris does not speak.")
            self._active_at = now
            self._seen(self._written - info.tx_buffered, now)
            if 0 < self._written < len(self._pcm) and not info.tx_buffered:
                self.starved += 1
            room = info.tx_capacity - info.tx_buffered - FRAME_BYTES
            room -= room % FRAME_BYTES
            if room > 0 and self._written < len(self._pcm):
                self._written += self._audio.write(self._pcm[self._written : self._written + room])
        except AudioRestarted:
            # The far end renegotiated: what was buffered is lost, and said again.
            self._written = self._sent
            return 0.0
        except AudioNotActive:
            if now - self._active_at > (STALLED_SECONDS if self._written else READY_SECONDS):
                raise NoAudio("The far end takes no audio from us.") from None
            self._written = self._sent
            return FRAME_BYTES / BYTES_PER_SECOND
        if self._sent == len(self._pcm):
            with suppress(BaresipError):  # hung up in this very moment
                self.starved += self._audio.stats().tx_starved_frames
            return None
        left = (len(self._pcm) - self._sent) / BYTES_PER_SECOND
        return min(FEED_SECONDS, left + 0.005)

    def seconds(self) -> float:
        """How much of the recording has been sent by now."""
        now = time.monotonic()
        self._seen(self._sent + int((now - self._seen_at) * BYTES_PER_SECOND), now)
        return self._sent / BYTES_PER_SECOND

    def share(self) -> int:
        """Per cent of the recording that has been sent by now; 100 only when all of it was."""
        self.seconds()
        return 100 * self._sent // len(self._pcm) if len(self._pcm) else 100

    def _seen(self, sent: int, now: float) -> None:
        self._sent, self._seen_at = max(0, min(sent, self._written)), now
