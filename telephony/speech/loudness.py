"""Measure and set the loudness of speech and uploads (EBU R 128), within the telephone's frequency band.

The target is `settings.IRIS_LOUDNESS`: −16 LUFS, usual for speech on small loudspeakers, so that a call is as
loud as a good voice message. Peaks stay below `MAX_PEAK`, so nothing clips in G.711.
"""

from __future__ import annotations

import array
import sys
from collections.abc import Sequence
from contextlib import suppress
from math import log10
from typing import TYPE_CHECKING

from django.conf import settings

from telephony.speech.engine import Heartbeat, Pcm, no_heartbeat

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

Filter = tuple[str, str]

MAX_PEAK = 0.84  # of full scale: −1.5 dB
SILENCE_LEVEL = 130  # of 32,768, about −48 dB: quieter sound at either end is trimmed
MAX_GAIN = 40.0  # decibels; a recording that needs more gain is only noise
GATE_LUFS = -70.0  # LUFS, the absolute gate of EBU R 128
MIN_MEASURABLE_SECONDS = 0.4  # one block of EBU R 128
# The limiter reduces the loudness a little. The gain is corrected until the difference from the target is at most this.
TOLERANCE_LU = 0.3
BLOCK_SAMPLES = 80  # 10 ms at 8 kHz

# A fourth-order Butterworth high-pass: it attenuates 300 Hz by a third of a decibel and mains hum by 50 dB.
HIGH_PASS: Sequence[Filter] = [("highpass", "f=220:t=q:w=0.541"), ("highpass", "f=220:t=q:w=1.307")]


def measure_lufs(pcm: Pcm) -> float | None:
    """Return the integrated loudness in LUFS (EBU R 128), or None if the sound is inaudible or shorter than 0.4 s."""
    if pcm.seconds < MIN_MEASURABLE_SECONDS:
        return None
    _, facts = _apply_filters(pcm, [("ebur128", "metadata=1")])
    measured = float(facts.get("lavfi.r128.I", "nan"))
    return measured if measured > GATE_LUFS else None


def remove_hum(pcm: Pcm) -> Pcm:
    """Remove frequencies below the telephone's band: they are inaudible but use up headroom."""
    return _apply_filters(pcm, HIGH_PASS)[0]


def amplify(pcm: Pcm, decibels: float) -> Pcm:
    """Change the level by that many decibels, with a limiter that keeps peaks below `MAX_PEAK` without clipping."""
    limiter = f"limit={MAX_PEAK}:attack=5:release=50:level=false:latency=1"
    return _apply_filters(pcm, [("volume", f"{decibels:.2f}dB:precision=float"), ("alimiter", limiter)])[0]


def bring_to_target(pcm: Pcm) -> Pcm | None:
    """Amplify a recording to the target loudness. Return None if it is inaudible."""
    before = measure_lufs(pcm)
    if before is None:
        peak = max(map(abs, array.array("h", pcm.samples)), default=0)
        # Too short to measure: amplify until the peak reaches its limit.
        return (
            amplify(pcm, 20 * log10(MAX_PEAK * 32768 / peak))
            if 0 < pcm.seconds < MIN_MEASURABLE_SECONDS and peak
            else None
        )
    return _amplify_to_target(pcm, min(settings.IRIS_LOUDNESS - before, MAX_GAIN))


def apply_voice_gain(
    pcm: Pcm, gain: float, *, reach: float = 3.0, heartbeat: Heartbeat = no_heartbeat
) -> Pcm:
    """Amplify speech by the `gain` of its voice, corrected towards the target by at most `reach` decibels.

    The correction needs speech of 1.5 s or more. A short name gets exactly the gain of its voice, because with a correction
    a name full of vowels would sound shouted.
    """
    before = measure_lufs(pcm) if pcm.seconds >= 1.5 else None
    if before is None:
        return amplify(pcm, gain)
    heartbeat()
    return _amplify_to_target(
        pcm, min(max(settings.IRIS_LOUDNESS - before, gain - reach), gain + reach), heartbeat=heartbeat
    )


def _amplify_to_target(pcm: Pcm, gain: float, *, heartbeat: Heartbeat = no_heartbeat) -> Pcm:
    """Amplify by `gain` decibels, then correct the gain until the loudness is within TOLERANCE_LU of the target."""
    louder = amplify(pcm, gain)
    for _ in range(3):
        heartbeat()
        after = measure_lufs(louder)
        difference = 0.0 if after is None else settings.IRIS_LOUDNESS - after
        if abs(difference) <= TOLERANCE_LU or gain + difference > MAX_GAIN:
            break
        gain += difference
        louder = amplify(pcm, gain)
    return louder


def measure_gain(sample: Pcm) -> float:
    """Return the gain in decibels that brings this sample of a voice to the target."""
    measured = measure_lufs(sample)
    return 0.0 if measured is None else min(settings.IRIS_LOUDNESS - measured, MAX_GAIN)


def trim(pcm: Pcm, *, before: float, after: float) -> Pcm:
    """Remove the silence at both ends, except `before` and `after` seconds of it."""
    samples = array.array("h", pcm.samples)
    first, last = _audible_range(samples)
    if last <= first:
        return Pcm(b"", pcm.rate)
    start = max(0, first - int(before * pcm.rate))
    end = min(len(samples), last + int(after * pcm.rate))
    return Pcm(samples[start:end].tobytes(), pcm.rate)


def fade_edges(pcm: Pcm, *, seconds: float = 0.005) -> Pcm:
    """Fade in and out, so that concatenation makes no clicks."""
    samples = array.array("h", pcm.samples)
    count = min(int(seconds * pcm.rate), len(samples) // 2)
    for position in range(count):
        samples[position] = samples[position] * position // count
        samples[-1 - position] = samples[-1 - position] * position // count
    return Pcm(samples.tobytes(), pcm.rate)


def silence(seconds: float, *, rate: int) -> bytes:
    return bytes(2 * round(seconds * rate))


def change_tempo(pcm: Pcm, tempo: float) -> Pcm:
    """Play `tempo` times as fast at the same pitch, for speeds that the engine itself does not support."""
    return _apply_filters(pcm, [("atempo", f"{tempo:.4f}")])[0]


def _audible_range(samples: array.array[int]) -> tuple[int, int]:
    """Return the sample indexes of the first audible 10 ms and of the end of the last; (0, 0) if all is silent."""
    starts = range(0, len(samples), BLOCK_SAMPLES)
    first = next((start for start in starts if _is_audible(samples, start)), None)
    if first is None:
        return 0, 0
    last = next(start for start in reversed(starts) if _is_audible(samples, start))
    return first, min(last + BLOCK_SAMPLES, len(samples))


def _is_audible(samples: array.array[int], start: int) -> bool:
    block = samples[start : start + BLOCK_SAMPLES]
    return max(block) > SILENCE_LEVEL or min(block) < -SILENCE_LEVEL


def _apply_filters(pcm: Pcm, filters: Sequence[Filter]) -> tuple[Pcm, dict[str, str]]:
    """Pass a sound through a chain of FFmpeg filters.

    Return it with the metadata of the last frame that has any.
    """
    if not pcm.samples:
        return pcm, {}
    # Imported here, because loading FFmpeg takes longer than most commands run.
    import av
    from av.audio.frame import AudioFrame
    from av.filter import Graph

    graph = Graph()
    source = node = graph.add(
        "abuffer",
        f"sample_rate={pcm.rate}:sample_fmt=s16:channel_layout=mono:time_base=1/{pcm.rate}",
    )
    for name, arguments in [*filters, ("aformat", f"sample_fmts=s16:sample_rates={pcm.rate}")]:
        following = graph.add(name, arguments)
        node.link_to(following)
        node = following
    sink = graph.add("abuffersink")
    node.link_to(sink)
    graph.configure()
    samples = bytearray()
    facts: dict[str, str] = {}

    def drain() -> None:
        nonlocal facts
        with suppress(av.EOFError, av.BlockingIOError):
            while True:
                frame = sink.pull()
                assert isinstance(frame, AudioFrame)
                samples.extend(memoryview(frame.planes[0])[: 2 * frame.samples])
                facts = dict(frame.metadata) or facts

    # Process one second at a time: filters use wider samples internally, so the whole sound would need a
    # multiple of its memory.
    for start in range(0, len(pcm.samples), 2 * pcm.rate):
        source.push(_frame(Pcm(pcm.samples[start : start + 2 * pcm.rate], pcm.rate), pts=start // 2))
        drain()
    source.push(None)
    drain()
    return Pcm(bytes(samples), pcm.rate), facts


def _frame(pcm: Pcm, *, pts: int = 0) -> AudioFrame:
    from av.audio.frame import AudioFrame

    frame = AudioFrame(format="s16", layout="mono", samples=len(pcm.samples) // 2)
    frame.planes[0].update(pcm.samples)
    frame.sample_rate = pcm.rate
    frame.pts = pts
    return frame


# Samples are processed in the machine's byte order, which must be that of a WAV file.
assert sys.byteorder == "little"
