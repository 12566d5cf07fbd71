"""Play one recording into one call."""

from __future__ import annotations

import math
import time

from telephony.carriers.sip.transmission import (
    AHEAD_SECONDS,
    PACKET_SECONDS,
    STEP_SECONDS,
    Buffer,
    CallTransmission,
    NotSending,
)

SAMPLES_PER_SECOND = 8000
BYTES_PER_SECOND = 16_000  # 16 bit, mono
FRAME_BYTES = 320  # 20 ms, one packet
STEP_BYTES = round(STEP_SECONDS * BYTES_PER_SECOND)
# The average time from writing audio to the buffer until the stack sends it.
MEAN_ON_ITS_WAY_SECONDS = AHEAD_SECONDS + PACKET_SECONDS + STEP_SECONDS / 2
# How often the buffer is refilled. It holds two seconds, so this process may be 1.5 s late without a gap.
FEED_SECONDS = 0.5
READY_SECONDS = 2.0  # timeout from the beginning until the call accepts audio
# The same timeout if the far end has answered with its line on hold (RFC 3264, §8.4). A PBX may take the call off hold
# again.
HELD_SECONDS = 10.0
STALLED_SECONDS = 30.0  # timeout if the call stops accepting audio later


class NoAudio(Exception):
    """The far end picked up, but it accepts no audio from us."""


class Playback:
    """Keeps the buffer of a call filled and measures how much of the recording was sent.

    Another thread takes STEP_BYTES out of the buffer at a time, and the stack sends them a little later (`transmission`). If
    the far end renegotiates the audio, the call gets another buffer. The playback then continues with the audio that was not
    sent yet. Every position in the recording is a whole sample; otherwise each 16-bit sample would consist of bytes of two
    different samples.
    """

    def __init__(
        self,
        transmission: CallTransmission,
        pcm: bytes,
        *,
        lead_seconds: float,
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        self._transmission = transmission
        self._number = 0  # of the buffer that was filled last
        self._pcm = memoryview(pcm + bytes(-len(pcm) % FRAME_BYTES))  # pad to whole frames
        self._ready_seconds = ready_seconds
        self._written = 0
        self._sent = 0
        self._began = 0  # position in the recording at which the present buffer began
        self._is_new_buffer = True
        self.was_ready = False  # whether the call could ever send audio
        self.underruns = 0  # how often the buffer ran empty before the end, which is audible
        self._measured_at = time.monotonic()
        self._active_at = self._measured_at + lead_seconds
        # Audio that is written now follows silence of AHEAD_SECONDS, which the stack already has.
        self._begin_at = self._measured_at + max(0.0, lead_seconds - AHEAD_SECONDS)

    def feed(self) -> float | None:
        """Refill the buffer. Return the seconds until the next refill, None if all was sent. Raises NoAudio.

        Call it at once when the audio was renegotiated: until then the sent share is an estimate.
        """
        now = time.monotonic()
        try:
            buffer = self._probe(now)
            if now < self._begin_at:
                return self._begin_at - now
            if 0 < self._written < len(self._pcm) and not buffer.filled and not self._is_new_buffer:
                self.underruns += 1
            room = buffer.capacity - buffer.filled
            room -= room % FRAME_BYTES
            if room > 0 and self._written < len(self._pcm):
                if not buffer.filled:  # when the stack begins to send the audio that is written now
                    self._measured_at = now + buffer.seconds_ahead
                self._written += self._transmission.write(
                    buffer.number, self._pcm[self._written : self._written + room]
                )
                self._is_new_buffer = False
        except NotSending:
            self._lose_buffer(now)
            if now - self._active_at > (STALLED_SECONDS if self._written else self._ready_seconds):
                raise NoAudio("The far end accepts no audio from us.") from None
            return FRAME_BYTES / BYTES_PER_SECOND
        if self._sent == len(self._pcm):
            # The last step is never full, unless the recording fills it.
            is_last_short = (self._written - self._began) % STEP_BYTES != 0
            self.underruns += max(0, buffer.short_steps - is_last_short)
            return None
        left = (len(self._pcm) - self._sent) / BYTES_PER_SECOND
        return min(FEED_SECONDS, left + 0.005)

    def stop(self) -> None:
        """Stop counting sent audio, because the call has ended."""
        self._estimate(time.monotonic())
        self._measured_at = math.inf

    def seconds(self) -> float:
        """Return how many seconds of the recording have been sent by now."""
        now = time.monotonic()
        self._estimate(now)
        return self._sent / BYTES_PER_SECOND

    def share(self) -> int:
        """Return the percentage of the recording that was sent; 100 only if all of it was."""
        self.seconds()
        return 100 * self._sent // len(self._pcm) if len(self._pcm) else 100

    def _probe(self, now: float) -> Buffer:
        """Measure what was sent. Raises NotSending while the call accepts no audio, NoAudio if it never can."""
        self.was_ready = self.was_ready or self._transmission.has_begun
        buffer = self._transmission.buffer()
        if (buffer.samples_per_second, buffer.channels) != (SAMPLES_PER_SECOND, 1):
            raise NoAudio(
                f"The codec of the call has {buffer.samples_per_second} Hz, which iris does not support."
            )
        self._active_at = max(self._active_at, now)
        if self._number not in (0, buffer.number):
            self._lose_buffer(now)
        else:
            self._estimate(now)
            taken = self._written - buffer.filled
            on_its_way = FRAME_BYTES + 2 * round(buffer.seconds_ahead * SAMPLES_PER_SECOND)
            self._sent = min(max(self._sent, taken - on_its_way), taken)
        self._number = buffer.number
        return buffer

    def _lose_buffer(self, now: float) -> None:
        """Go back to the end of the sent audio, because the stack has dropped the rest. Begin with a whole packet."""
        self._estimate(now)
        self._sent -= self._sent % FRAME_BYTES
        self._written = self._began = self._sent
        self._is_new_buffer = True

    def _estimate(self, now: float) -> None:
        """Add what was sent since the last estimate, by the clock and in whole samples. Never more than was sent."""
        if now > self._measured_at:
            samples = int((now - self._measured_at) * SAMPLES_PER_SECOND)
            self._sent = min(self._sent + 2 * samples, self._written)
            self._measured_at = now
