"""Store spoken responses of recipients, and distinguish speech from silence and noise."""

from __future__ import annotations

import hashlib
from array import array
from math import sqrt
from operator import mul

from django.utils import timezone

from telephony.models import Audio
from telephony.speech import audio, loudness, store
from telephony.speech.engine import Pcm

FRAME_SAMPLES = 160  # 20 ms at 8 kHz
# Speech is at least 6 dB above the noise of the line, whose level is estimated from the quietest frames.
NOISE_QUANTILE = 0.1  # quantile of the frame levels that is taken as the noise level
MIN_SPEECH_TO_NOISE = 2.0
MIN_SPEECH_LEVEL = 100.0  # of 32,768, root mean square, −50 dB; fainter sound is not a response
MIN_SPEECH_SECONDS = 0.2  # a short "no" is longer, a crackle is shorter
SILENCE_AROUND = 0.3  # seconds of silence kept before the first word and after the last


def store_spoken_response(samples: bytes) -> Audio | None:
    """Store a spoken response (8 kHz, 16-bit, mono) without the silence at its ends; return None if it has no speech.

    Waits for the storage and the database. If either raises an error, no row refers to the recording, and the call can
    be repeated.
    """
    pcm = Pcm(samples, audio.RATE)
    if not contains_speech(pcm):
        return None
    pcm = loudness.trim(pcm, before=SILENCE_AROUND, after=SILENCE_AROUND)
    name = store.keyed_name("heard", hashlib.sha256(pcm.samples).hexdigest())
    store.write(name, "wav", audio.encode_wav(pcm))
    kept, made = Audio.objects.get_or_create(name=name, defaults={"seconds": pcm.seconds})
    if not made:
        Audio.objects.filter(pk=kept.pk).update(used_at=timezone.now(), pruned_at=None)
    return kept


def contains_speech(pcm: Pcm) -> bool:
    """Return whether the sound contains anything other than silence or steady noise."""
    samples = array("h", pcm.samples)
    levels = [
        _level(samples[start : start + FRAME_SAMPLES])
        for start in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    ]
    if not levels:
        return False
    noise = sorted(levels)[int(NOISE_QUANTILE * len(levels))]
    loud = sum(level > max(MIN_SPEECH_LEVEL, MIN_SPEECH_TO_NOISE * noise) for level in levels)
    return loud * FRAME_SAMPLES / pcm.rate >= MIN_SPEECH_SECONDS


def _level(frame: array[int]) -> float:
    return sqrt(sum(map(mul, frame, frame)) / len(frame))
