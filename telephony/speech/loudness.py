"""How loud speech and uploads are: measured by EBU R 128, brought to one target, kept inside the telephone's band.

The target is `settings.IRIS_LOUDNESS` (−16 LUFS, the usual one of speech for small loudspeakers): a call is then as
loud as a good voice message. Peaks stay below `PEAK`, so nothing clips on the way through G.711.
"""

from __future__ import annotations

import array
import sys
from collections.abc import Sequence
from contextlib import suppress
from math import log10

import av
from av.audio.frame import AudioFrame
from av.filter import Graph
from django.conf import settings

from telephony.speech.engine import Alive, Pcm, nobody_watches

Filter = tuple[str, str]

PEAK = 0.84  # of full scale: −1.5 dB
SILENCE = 130  # of 32,768, about −48 dB: what is quieter at either end is no speech
MOST_GAIN = 40.0  # decibels; whoever is quieter than that has sent noise
INAUDIBLE = -70.0  # LUFS, the absolute gate of EBU R 128
SHORTEST = 0.4  # seconds: one block of EBU R 128
EXACT = 0.3  # LU; the limiter takes a little away, which is given back until it is less than this
BLOCK = 80  # samples, 10 ms at 8 kHz

# A Butterworth high-pass of fourth order: 300 Hz loses a third of a decibel, mains hum 50.
HIGH_PASS: Sequence[Filter] = [("highpass", "f=220:t=q:w=0.541"), ("highpass", "f=220:t=q:w=1.307")]


def integrated(pcm: Pcm) -> float | None:
    """Integrated loudness in LUFS (EBU R 128), None for what is shorter than 0.4 s or cannot be heard."""
    if pcm.seconds < SHORTEST:
        return None
    _, facts = _filtered(pcm, [("ebur128", "metadata=1")])
    measured = float(facts.get("lavfi.r128.I", "nan"))
    return measured if measured > INAUDIBLE else None


def without_hum(pcm: Pcm) -> Pcm:
    """The sound without what is below the telephone's band: it is not heard, but takes room."""
    return _filtered(pcm, HIGH_PASS)[0]


def amplified(pcm: Pcm, decibels: float) -> Pcm:
    """Louder or quieter, with its peaks rounded off below `PEAK` instead of cut."""
    limiter = f"limit={PEAK}:attack=5:release=50:level=false:latency=1"
    return _filtered(pcm, [("volume", f"{decibels:.2f}dB:precision=float"), ("alimiter", limiter)])[0]


def at_target(pcm: Pcm) -> Pcm | None:
    """The sound at the target loudness, by its own measure; None when there is nothing to be heard in it."""
    before = integrated(pcm)
    if before is None:
        peak = max(map(abs, array.array("h", pcm.samples)), default=0)
        # Too short to be measured: as loud as its peak allows.
        return (
            amplified(pcm, 20 * log10(PEAK * 32768 / peak)) if 0 < pcm.seconds < SHORTEST and peak else None
        )
    return _corrected(pcm, min(settings.IRIS_LOUDNESS - before, MOST_GAIN))


def near_gain(pcm: Pcm, gain: float, *, reach: float = 3.0, alive: Alive = nobody_watches) -> Pcm:
    """Speech at the target loudness by its voice's `gain`, corrected by its own measure within `reach` decibels.

    A voice has one gain, so that a name is not shouted because it is short and all vowels; a sentence is exact.
    """
    before = integrated(pcm) if pcm.seconds >= 1.5 else None
    if before is None:
        return amplified(pcm, gain)
    alive()
    return _corrected(pcm, min(max(settings.IRIS_LOUDNESS - before, gain - reach), gain + reach), alive=alive)


def _corrected(pcm: Pcm, gain: float, *, alive: Alive = nobody_watches) -> Pcm:
    louder = amplified(pcm, gain)
    for _ in range(3):
        alive()
        after = integrated(louder)
        missing = 0.0 if after is None else settings.IRIS_LOUDNESS - after
        if abs(missing) <= EXACT or gain + missing > MOST_GAIN:
            break
        gain += missing
        louder = amplified(pcm, gain)
    return louder


def gain_of(sample: Pcm) -> float:
    """The gain, in decibels, that brings this sample of a voice to the target."""
    measured = integrated(sample)
    return 0.0 if measured is None else min(settings.IRIS_LOUDNESS - measured, MOST_GAIN)


def trimmed(pcm: Pcm, *, before: float, after: float) -> Pcm:
    """The sound from its first to its last audible moment, with so many seconds of its own edges kept around it."""
    samples = array.array("h", pcm.samples)
    first, last = _audible(samples)
    if last <= first:
        return Pcm(b"", pcm.rate)
    start = max(0, first - int(before * pcm.rate))
    end = min(len(samples), last + int(after * pcm.rate))
    return Pcm(samples[start:end].tobytes(), pcm.rate)


def faded(pcm: Pcm, *, seconds: float = 0.005) -> Pcm:
    """Rising from nothing and falling to nothing, so that whatever is put beside it makes no click."""
    samples = array.array("h", pcm.samples)
    count = min(int(seconds * pcm.rate), len(samples) // 2)
    for position in range(count):
        samples[position] = samples[position] * position // count
        samples[-1 - position] = samples[-1 - position] * position // count
    return Pcm(samples.tobytes(), pcm.rate)


def silence(seconds: float, *, rate: int) -> bytes:
    return bytes(2 * round(seconds * rate))


def stretched(pcm: Pcm, tempo: float) -> Pcm:
    """`tempo` times as fast at the same pitch, for what is beyond an engine's own range."""
    return _filtered(pcm, [("atempo", f"{tempo:.4f}")])[0]


def _audible(samples: array.array[int]) -> tuple[int, int]:
    """The samples from the first 10 ms that can be heard to the end of the last; (0, 0) when none can."""
    starts = range(0, len(samples), BLOCK)
    first = next((start for start in starts if _is_heard(samples, start)), None)
    if first is None:
        return 0, 0
    last = next(start for start in reversed(starts) if _is_heard(samples, start))
    return first, min(last + BLOCK, len(samples))


def _is_heard(samples: array.array[int], start: int) -> bool:
    block = samples[start : start + BLOCK]
    return max(block) > SILENCE or min(block) < -SILENCE


def _filtered(pcm: Pcm, filters: Sequence[Filter]) -> tuple[Pcm, dict[str, str]]:
    """The sound behind a chain of FFmpeg's filters, and what the last of its frames says about it."""
    if not pcm.samples:
        return pcm, {}
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

    # A second at once: filters work in larger numbers than these, so the whole would take several times its size.
    for start in range(0, len(pcm.samples), 2 * pcm.rate):
        source.push(_frame(Pcm(pcm.samples[start : start + 2 * pcm.rate], pcm.rate), pts=start // 2))
        drain()
    source.push(None)
    drain()
    return Pcm(bytes(samples), pcm.rate), facts


def _frame(pcm: Pcm, *, pts: int = 0) -> AudioFrame:
    frame = AudioFrame(format="s16", layout="mono", samples=len(pcm.samples) // 2)
    frame.planes[0].update(pcm.samples)
    frame.sample_rate = pcm.rate
    frame.pts = pts
    return frame


assert (
    sys.byteorder == "little"
)  # samples are handled in the machine's order, which must be that of a WAV file
