"""Voices: what `np_rija` is, and making it say something.

The catalogue is in the database (`directory`), each voice with its engine (`espeak`, `piper`). What is said is put
into words (`wording`, `nepali`), spoken once (`speaking`), made as loud as everything else (`loudness`) and stored
(`store`, `telephony.models.Audio`). A message with tags is joined from parts (`fragments`). All that reads a text, and
all that makes sound of it, does so in processes of its own (`speech_processes`, `speech_pool`), which may be slow or die.
"""

from telephony.speech.engine import Unspeakable
from telephony.speech.speech_processes import OutOfTime, SpeechBusy, SpeechFailed, TookTooLong
from telephony.speech.text_to_speech import (
    FASTEST,
    SLOWEST,
    prepare_filled,
    speak,
    speak_filled,
    speak_many,
)
from telephony.speech.voices import UnknownVoice, Voice, catalogue, faults, missing, resolve

__all__ = [
    "FASTEST",
    "SLOWEST",
    "OutOfTime",
    "SpeechBusy",
    "SpeechFailed",
    "TookTooLong",
    "Unspeakable",
    "UnknownVoice",
    "Voice",
    "catalogue",
    "faults",
    "missing",
    "prepare_filled",
    "resolve",
    "speak",
    "speak_filled",
    "speak_many",
]
