"""What people say in calls: told from silence, and kept like every other recording."""

from __future__ import annotations

import hashlib
from array import array
from math import sqrt
from operator import mul

from django.utils import timezone

from telephony.models import Audio
from telephony.speech import audio, loudness, store
from telephony.speech.engine import Pcm

FRAME = 160  # samples: 20 ms at 8 kHz
# Speech stands out from the line's own noise, which is what its quietest moments sound like, by at least 6 dB.
QUIETEST = 0.1  # the share of all frames that is taken for noise alone
ABOVE_NOISE = 2.0
FAINTEST = 100.0  # of 32,768, root mean square: −50 dB; what is fainter is no answer
SHORTEST_SECONDS = 0.2  # of sound: a short "no", but no crackle
KEPT_AROUND = 0.3  # seconds of the silence before the first word and behind the last


def keep(samples: bytes) -> Audio | None:
    """Store what was heard, 8 kHz 16-bit mono, without the silence at its ends; None when nobody said anything in it.

    Waits for the storage and the database. Raises their errors: then nothing refers to it, and it may be kept again.
    """
    pcm = Pcm(samples, audio.RATE)
    if not is_said(pcm):
        return None
    pcm = loudness.trimmed(pcm, before=KEPT_AROUND, after=KEPT_AROUND)
    name = store.keyed_name("heard", hashlib.sha256(pcm.samples).hexdigest())
    store.write(name, "wav", audio.wav(pcm))
    kept, made = Audio.objects.get_or_create(name=name, defaults={"seconds": pcm.seconds})
    if not made:
        Audio.objects.filter(pk=kept.pk).update(used_at=timezone.now(), pruned_at=None)
    return kept


def is_said(pcm: Pcm) -> bool:
    """Whether there is more in it than silence, or a steady noise."""
    samples = array("h", pcm.samples)
    levels = [_level(samples[start : start + FRAME]) for start in range(0, len(samples) - FRAME + 1, FRAME)]
    if not levels:
        return False
    noise = sorted(levels)[int(QUIETEST * len(levels))]
    loud = sum(level > max(FAINTEST, ABOVE_NOISE * noise) for level in levels)
    return loud * FRAME / pcm.rate >= SHORTEST_SECONDS


def _level(frame: array[int]) -> float:
    return sqrt(sum(map(mul, frame, frame)) / len(frame))
