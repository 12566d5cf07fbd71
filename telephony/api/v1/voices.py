"""The voices as v1 has them: by number, with a display name and an internal one, which two of them may share."""

from __future__ import annotations

from typing import Any

from telephony import speech
from telephony.speech import ResolvedVoice, UnknownVoice


def voice_json(voice: ResolvedVoice) -> dict[str, Any]:
    return {
        "id": voice.pk,
        "voice_display_name": voice.display,
        "voice_internal_name": voice.api_name,
        "is_premium": voice.is_premium,
    }


def voice_with_id(number: int) -> ResolvedVoice:
    """Raises UnknownVoice, with those that there are."""
    known = speech.catalogue().values()
    for voice in known:
        if voice.pk == number:
            return voice
    shown = ", ".join(f"{voice.pk} ({voice.display})" for voice in known)
    raise UnknownVoice(f"There is no voice {number}. Choose one of: {shown}.")


def voice_id_of(name: str) -> int | None:
    """The number of the voice with this name of ours; None for none, or for one that is no longer offered."""
    voice = speech.catalogue().get(name)
    return None if voice is None else voice.pk
