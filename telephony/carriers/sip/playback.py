"""Play one recording into one call."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from baresip import CallAudio

BYTES_PER_SECOND = 16_000  # 8 kHz, 16 bit, mono
FRAME_BYTES = 320  # 20 ms, one packet
# How often the stack's buffer is refilled. It holds two seconds, so this process may be 1.5 s late without a gap.
FEED_SECONDS = 0.5
READY_SECONDS = 2.0  # timeout from the pickup until the call accepts audio
STALLED_SECONDS = 30.0  # timeout if the call stops accepting audio later


class NoAudio(Exception):
    """The far end picked up, but it accepts no audio from us."""


class Playback:
    """Keeps the stack's buffer filled and measures how much of the recording was sent.

    The stack takes a frame out of its buffer every 20 ms, in a thread of its own that does not wait for Python.
    """

    def __init__(self, audio: CallAudio, pcm: bytes, *, lead_seconds: float) -> None:
        self._audio = audio
        self._pcm = memoryview(pcm + bytes(-len(pcm) % FRAME_BYTES))  # pad to whole frames
        self._written = 0
        self._sent = 0
        self.underruns = 0  # how often the buffer ran empty before the end, which is audible
        self._measured_at = time.monotonic()
        self._begin_at = self._active_at = self._measured_at + lead_seconds

    def feed(self) -> float | None:
        """Refill the buffer. Return the seconds until the next refill, None if all was sent. Raises NoAudio."""
        from baresip import AudioNotActive, AudioRestarted, BaresipError

        now = time.monotonic()
        if now < self._begin_at:
            return self._begin_at - now
        try:
            info = self._audio.info()
            if not info.tx_ready:
                raise AudioNotActive
            if (info.tx_sample_rate, info.tx_channels) != (8000, 1):
                raise NoAudio(
                    f"The codec of the call has {info.tx_sample_rate} Hz, which iris does not support."
                )
            self._active_at = now
            self._set_sent(self._written - info.tx_buffered, now)
            if 0 < self._written < len(self._pcm) and not info.tx_buffered:
                self.underruns += 1
            room = info.tx_capacity - info.tx_buffered - FRAME_BYTES
            room -= room % FRAME_BYTES
            if room > 0 and self._written < len(self._pcm):
                self._written += self._audio.write(self._pcm[self._written : self._written + room])
        except AudioRestarted:
            # The far end renegotiated the audio, so the buffer is lost. Send that part again.
            self._written = self._sent
            return 0.0
        except AudioNotActive:
            if now - self._active_at > (STALLED_SECONDS if self._written else READY_SECONDS):
                raise NoAudio("The far end accepts no audio from us.") from None
            self._written = self._sent
            return FRAME_BYTES / BYTES_PER_SECOND
        if self._sent == len(self._pcm):
            with suppress(BaresipError):  # the call may end at this moment
                self.underruns += self._audio.stats().tx_starved_frames
            return None
        left = (len(self._pcm) - self._sent) / BYTES_PER_SECOND
        return min(FEED_SECONDS, left + 0.005)

    def seconds(self) -> float:
        """Return how many seconds of the recording have been sent by now."""
        now = time.monotonic()
        self._set_sent(self._sent + int((now - self._measured_at) * BYTES_PER_SECOND), now)
        return self._sent / BYTES_PER_SECOND

    def share(self) -> int:
        """Return the percentage of the recording that was sent; 100 only if all of it was."""
        self.seconds()
        return 100 * self._sent // len(self._pcm) if len(self._pcm) else 100

    def _set_sent(self, sent: int, now: float) -> None:
        self._sent, self._measured_at = max(0, min(sent, self._written)), now
