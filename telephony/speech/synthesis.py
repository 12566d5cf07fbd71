"""Synthesize normalized text at the common loudness, inside the speech process.

This module uses neither the database nor the storage.
"""

from __future__ import annotations

import json

from django.conf import settings

from telephony.speech import audio, loudness
from telephony.speech.engine import Heartbeat, Pcm, Unspeakable, VoiceConfig, speech_too_long
from telephony.speech.nepali import PAUSE
from telephony.speech.spoken_parts import EDGE_SILENCE
from telephony.speech.voices import get_engine

PAUSE_SECONDS = 0.2  # between two digits of a password: time to write one down

CALIBRATION = {
    "ne": "नमस्कार, तपाईंको खातामा पच्चिस सय रुपैयाँ बाँकी छ। भोलि बिहान दश बजे वडा कार्यालयमा आउनुहोला। धन्यवाद।",
    "": "Hello, this is a call from your office. The meeting is tomorrow at ten in the morning. Thank you.",
}


def synthesize(
    config: VoiceConfig, written: str, *, before: float, after: float, heartbeat: Heartbeat
) -> Pcm:
    """Return the sound of a normalized text, with that many seconds of silence before and after the audible sound.

    `heartbeat` is called between steps, each of which takes a second or two at most. Raises Unspeakable if the result
    is silent or longer than settings.IRIS_MAX_AUDIO_SECONDS, and Unavailable if the engine does not work.
    """
    raw = _speak_with_pauses(config, written, heartbeat)
    gain = _voice_gain(config, heartbeat)
    pcm = loudness.apply_voice_gain(raw, gain, heartbeat=heartbeat)
    pcm = loudness.fade_edges(
        loudness.trim(pcm, before=min(before, EDGE_SILENCE), after=min(after, 2 * EDGE_SILENCE))
    )
    if not pcm.samples:
        raise Unspeakable(
            f"The voice {config.voice} cannot speak this message. Write the message in the language of the voice."
        )
    leading, trailing = (
        loudness.silence(max(0.0, seconds - EDGE_SILENCE) / config.speed, rate=pcm.rate)
        for seconds in (before, after)
    )
    pcm = Pcm(leading + pcm.samples + trailing, pcm.rate)
    if pcm.seconds > settings.IRIS_MAX_AUDIO_SECONDS:
        raise speech_too_long(settings.IRIS_MAX_AUDIO_SECONDS)
    return pcm


def _speak_with_pauses(config: VoiceConfig, text: str, heartbeat: Heartbeat) -> Pcm:
    """Return the engine's sound with a pause at each PAUSE mark: 8 kHz telephone audio, not yet at the target loudness."""
    pieces = [_run_engine(config, piece, heartbeat) for piece in _split_at_pauses(text)]
    if len(pieces) == 1:
        return pieces[0]
    pause = loudness.silence(PAUSE_SECONDS / config.speed, rate=audio.RATE)
    tight = (
        loudness.fade_edges(loudness.trim(piece, before=EDGE_SILENCE, after=EDGE_SILENCE)) for piece in pieces
    )
    return Pcm(pause.join(piece.samples for piece in tight), audio.RATE)


def _run_engine(config: VoiceConfig, text: str, heartbeat: Heartbeat) -> Pcm:
    pcm = get_engine(config.engine).synthesize(
        text,
        language=config.language,
        options=config.options,
        speed=config.speed,
        max_seconds=settings.IRIS_MAX_AUDIO_SECONDS,
        heartbeat=heartbeat,
    )
    heartbeat()
    pcm = audio.resample_for_telephone(pcm)
    heartbeat()
    pcm = loudness.remove_hum(pcm)
    heartbeat()
    return pcm


def _split_at_pauses(text: str) -> list[str]:
    """Split a text at its PAUSE marks. All pieces but the last end with a comma, so that the voice does not fall."""
    pieces = [piece.strip() for piece in text.split(PAUSE.strip())]
    pieces = [piece for piece in pieces if any(character.isalnum() for character in piece)]
    return [f"{piece}," for piece in pieces[:-1]] + pieces[-1:] if pieces else [text]


_gains: dict[str, float] = {}


def _voice_gain(config: VoiceConfig, heartbeat: Heartbeat) -> float:
    """Return the gain of a voice in decibels, measured once per speech process with a sample text."""
    # Everything that affects the engine's own loudness; the speed does not.
    key = json.dumps(
        [
            config.engine,
            get_engine(config.engine).version(config.options),
            config.language,
            config.options,
            settings.IRIS_LOUDNESS,
        ],
        sort_keys=True,
        default=str,
    )
    gain = _gains.get(key)
    if gain is None:
        sample = _speak_with_pauses(config, CALIBRATION.get(config.language, CALIBRATION[""]), heartbeat)
        gain = _gains[key] = loudness.measure_gain(sample)
        heartbeat()
    return gain
