"""Turn text into recordings: voices, engines, Nepali normalization, loudness and storage.

The catalogue of voices is in the database (`voices`). Each voice has an engine (`espeak`, `piper`). A text is
normalized into words (`normalization`, `nepali`), spoken once (`text_to_speech`, `synthesis`), brought to the
common loudness (`loudness`) and stored (`store`, `telephony.models.Audio`). A message with tags is joined
from parts (`fragments`). Everything that reads a text or synthesizes sound runs in separate processes
(`speech_processes`, `speech_pool`), because such code may be slow or crash.
"""

from telephony.speech.engine import Unspeakable
from telephony.speech.speech_processes import SpeechBudgetExceeded, SpeechBusy, SpeechFailed, SpeechTimedOut
from telephony.speech.text_to_speech import (
    MAX_SPEED,
    MIN_SPEED,
    pace,
    prepare_filled,
    speak,
    speak_constants,
    speak_filled,
    speak_many,
)
from telephony.speech.voices import (
    ResolvedVoice,
    UnknownVoice,
    catalogue,
    resolve,
    setting_errors,
    setting_warnings,
)

__all__ = [
    "MAX_SPEED",
    "MIN_SPEED",
    "SpeechBudgetExceeded",
    "SpeechBusy",
    "SpeechFailed",
    "SpeechTimedOut",
    "Unspeakable",
    "UnknownVoice",
    "ResolvedVoice",
    "catalogue",
    "pace",
    "setting_errors",
    "setting_warnings",
    "prepare_filled",
    "resolve",
    "speak",
    "speak_constants",
    "speak_filled",
    "speak_many",
]
