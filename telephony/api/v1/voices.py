"""The voices in v1: each has an id, a display name and an internal name, which two voices may share."""

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
    """Return the voice with this id. Raises UnknownVoice, which lists the available voices."""
    known = speech.catalogue().values()
    for voice in known:
        if voice.pk == number:
            return voice
    shown = ", ".join(f"{voice.pk} ({voice.display})" for voice in known)
    raise UnknownVoice(f"There is no voice {number}. Choose one of: {shown}.")


def voice_id_of(name: str) -> int | None:
    """Return the id of the voice with this name; None if there is no such voice or it is no longer offered."""
    voice = speech.catalogue().get(name)
    return None if voice is None else voice.pk
