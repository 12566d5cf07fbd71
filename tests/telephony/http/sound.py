"""Create recordings in which no part sounds like another."""

from __future__ import annotations

import math
from array import array

from telephony.models import Audio
from telephony.speech import audio, store
from telephony.speech.engine import Pcm


def stored_recording(seconds: float) -> tuple[Audio, bytes]:
    """Store a recording; return its row and its samples, 8 kHz, 16 bit, mono."""
    samples = array("h", (int(9000 * math.sin(i * i / 60_000)) for i in range(int(8000 * seconds)))).tobytes()
    name = store.keyed_name("chirp over http", seconds)
    if not store.exists(name, "wav"):
        store.write(name, "wav", audio.encode_wav(Pcm(samples, 8000)))
    return Audio.objects.get_or_create(name=name, defaults={"seconds": seconds})[0], samples
