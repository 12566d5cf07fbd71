"""From words to sound, within the speech process: an engine speaks, and the sound becomes as loud as all others.

Nothing here knows the database, or where recordings lie.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from telephony.speech import audio, loudness
from telephony.speech.engine import Alive, Pcm, Unspeakable, too_long
from telephony.speech.fragments import EDGE
from telephony.speech.nepali import PAUSE
from telephony.speech.voices import engine_called

PAUSE_SECONDS = 0.2  # between two figures of a password: time to write one down

CALIBRATION = {
    "ne": "नमस्कार, तपाईंको खातामा पच्चिस सय रुपैयाँ बाँकी छ। भोलि बिहान दश बजे वडा कार्यालयमा आउनुहोला। धन्यवाद।",
    "": "Hello, this is a call from your office. The meeting is tomorrow at ten in the morning. Thank you.",
}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a voice speaks: its engine with its options, at a speed."""

    voice: str
    engine: str
    language: str
    options: Mapping[str, Any]
    speed: float


def spoken(manner: Manner, written: str, *, before: float, after: float, alive: Alive) -> Pcm:
    """The sound of a text that is in words already, with so many seconds of silence before and after what is heard.

    `alive` is called between its steps, each of which takes a second or two at most. Raises Unspeakable when nothing can
    be heard, or when it lasts longer than settings.IRIS_MAX_AUDIO_SECONDS, and Unavailable when the engine does not work.
    """
    raw = _said(manner, written, alive)
    gain = _gain_of(manner, alive)
    pcm = loudness.near_gain(raw, gain, alive=alive)
    pcm = loudness.faded(loudness.trimmed(pcm, before=min(before, EDGE), after=min(after, 2 * EDGE)))
    if not pcm.samples:
        raise Unspeakable(f"The voice {manner.voice} cannot read this message. Write it in its language.")
    leading, trailing = (
        loudness.silence(max(0.0, seconds - EDGE) / manner.speed, rate=pcm.rate)
        for seconds in (before, after)
    )
    pcm = Pcm(leading + pcm.samples + trailing, pcm.rate)
    if pcm.seconds > settings.IRIS_MAX_AUDIO_SECONDS:
        raise too_long(settings.IRIS_MAX_AUDIO_SECONDS)
    return pcm


def _said(manner: Manner, text: str, alive: Alive) -> Pcm:
    """As the engine says it, with pauses where it is told to pause; at 8 kHz, within the telephone's band, as loud as
    it comes.
    """
    pieces = [_synthesized(manner, piece, alive) for piece in _pieces(text)]
    if len(pieces) == 1:
        return pieces[0]
    pause = loudness.silence(PAUSE_SECONDS / manner.speed, rate=audio.RATE)
    tight = (loudness.faded(loudness.trimmed(piece, before=EDGE, after=EDGE)) for piece in pieces)
    return Pcm(pause.join(piece.samples for piece in tight), audio.RATE)


def _synthesized(manner: Manner, text: str, alive: Alive) -> Pcm:
    pcm = engine_called(manner.engine).synthesize(
        text,
        language=manner.language,
        options=manner.options,
        speed=manner.speed,
        max_seconds=settings.IRIS_MAX_AUDIO_SECONDS,
        alive=alive,
    )
    alive()
    pcm = audio.for_telephone(pcm)
    alive()
    pcm = loudness.without_hum(pcm)
    alive()
    return pcm


def _pieces(text: str) -> list[str]:
    """What is said between two pauses. All but the last end with a comma, so that the voice stays up."""
    pieces = [piece.strip() for piece in text.split(PAUSE.strip())]
    pieces = [piece for piece in pieces if any(character.isalnum() for character in piece)]
    return [f"{piece}," for piece in pieces[:-1]] + pieces[-1:] if pieces else [text]


_gains: dict[str, float] = {}


def _gain_of(manner: Manner, alive: Alive) -> float:
    """The gain of a voice, in decibels, measured once in each speech process by a sentence or two."""
    # What decides how loud the engine is by itself; not the speed.
    sound = json.dumps(
        [
            manner.engine,
            engine_called(manner.engine).version(manner.options),
            manner.language,
            manner.options,
            settings.IRIS_LOUDNESS,
        ],
        sort_keys=True,
        default=str,
    )
    gain = _gains.get(sound)
    if gain is None:
        sample = _said(manner, CALIBRATION.get(manner.language, CALIBRATION[""]), alive)
        gain = _gains[sound] = loudness.gain_of(sample)
        alive()
    return gain
