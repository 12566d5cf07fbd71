"""What follows the message in calls of an alert: the request to press a key, and a pause in which to press it."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings

from telephony import speech
from telephony.call_scripts import HEARD, AnsweredBy, Script, ScriptStep
from telephony.models import Audio
from telephony.speech.concatenation import join, silence

KEY = "1"
SECONDS = 5.0  # to press the key after the request
# Spoken after the message, by the language of the voice.
REQUESTS = {
    "ne": "यो सन्देश सुन्नुभयो भने एक थिच्नुहोस्।",
    "en": "If you have heard this message, press one.",
}


def request_of(voice: str, speed: float) -> tuple[str, Audio]:
    """Return the request to press the key: its text in the language of the voice, and its recording."""
    known = speech.catalogue().get(voice)
    text = REQUESTS.get(known.language if known else "", REQUESTS["ne"])
    return text, speech.speak(text=text, voice=voice, speed=speed)


def seconds_of(voice: str, speed: float) -> float:
    """Return by how many seconds the request makes a call longer."""
    _, audio = request_of(voice, speed)
    return audio.seconds + SECONDS


def with_request(
    messages: Sequence[Audio | None], *, voice: str, speed: float
) -> list[tuple[Audio | None, Script]]:
    """Return each message with the request after it, and the script of its call. The key counts during the whole call.

    If a message is None, or becomes too long with the request, its result is None with an empty script.
    """
    _, request = request_of(voice, speed)
    pause = silence(SECONDS)
    joined = join([() if audio is None else (audio, request, pause) for audio in messages])
    return [
        (None, ())
        if audio is None or audio.seconds > settings.IRIS_MAX_AUDIO_SECONDS
        else (audio, (ScriptStep(HEARD, audio.seconds, AnsweredBy.KEYS, listen_seconds=SECONDS),))
        for audio in joined
    ]
