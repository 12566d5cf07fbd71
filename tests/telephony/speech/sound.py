"""Measurements of recordings for tests."""

from __future__ import annotations

import array
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from telephony.models import Audio
from telephony.speech import audio, loudness, speech_processes
from telephony.speech.engine import Pcm, VoiceConfig

RATE = 8000


def telephone_audio(recording: Audio) -> Pcm:
    """Return the telephone audio of a recording."""
    return Pcm(audio.read_pcm(recording.name), RATE)


def samples_of(pcm: Pcm) -> array.array[int]:
    return array.array("h", pcm.samples)


def loudness_in_lufs(pcm: Pcm) -> float:
    measured = loudness.measure_lufs(pcm)
    assert measured is not None
    return measured


def peak_level(pcm: Pcm) -> int:
    return max(map(abs, samples_of(pcm)))


def amplitude_at(pcm: Pcm, hertz: float) -> float:
    """Return the amplitude of one frequency (Goertzel), of 32,768."""
    values = samples_of(pcm)
    step = 2 * math.pi * hertz / pcm.rate
    real = sum(value * math.cos(step * n) for n, value in enumerate(values))
    imaginary = sum(value * math.sin(step * n) for n, value in enumerate(values))
    return 2 * math.hypot(real, imaginary) / len(values)


def tone(*, hertz: float, seconds: float, amplitude: float, rate: int = RATE) -> Pcm:
    step = 2 * math.pi * hertz / rate
    values = (round(amplitude * math.sin(step * n)) for n in range(int(seconds * rate)))
    return Pcm(array.array("h", values).tobytes(), rate)


def count_pauses(pcm: Pcm, *, seconds: float) -> int:
    """Count the silences of at least `seconds` between audible sound."""
    block = RATE // 100
    values = samples_of(pcm)
    audible = [max(map(abs, values[start : start + block])) > 300 for start in range(0, len(values), block)]
    first, last = audible.index(True), len(audible) - audible[::-1].index(True)
    found = length = 0
    for is_audible in audible[first:last]:
        length = 0 if is_audible else length + 1
        found += length == round(seconds * 100)
    return found


def step_between_samples(pcm: Pcm, position: int) -> int:
    """Return the difference between two adjacent samples."""
    values = samples_of(pcm)
    return abs(values[position] - values[position - 1])


def median_pitch(pcm: Pcm) -> float:
    """Return the median fundamental frequency of the voiced parts in hertz, by autocorrelation."""
    samples = samples_of(pcm)
    window, found = 320, []
    for start in range(0, len(samples) - 2 * window, 3 * window):
        part = samples[start : start + 2 * window]
        energy = sum(value * value for value in part[:window])
        if energy / window < 500**2:
            continue
        best, best_lag = 0.0, 0
        for lag in range(RATE // 400, RATE // 60):
            match = sum(part[n] * part[n + lag] for n in range(window))
            other = sum(value * value for value in part[lag : lag + window])
            likeness = match / ((energy * other) ** 0.5 + 1)
            if likeness > best * 1.02:
                best, best_lag = likeness, lag
        if best > 0.6:
            found.append(RATE / best_lag)
    return statistics.median(found)


def record_engine_texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the texts that speech processes are asked to speak from now on; they still speak them."""
    asked: list[str] = []
    sounds = speech_processes.synthesize_texts

    def record(config: VoiceConfig, texts: Sequence[tuple[str, float, float]], **names: Any) -> Iterator[Any]:
        asked.extend(text for text, *_ in texts)
        return sounds(config, texts, **names)

    monkeypatch.setattr(speech_processes, "synthesize_texts", record)
    return asked
