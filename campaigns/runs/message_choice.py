"""Choose what a run says: its texts, and whether calls play a text or a recording."""

from __future__ import annotations

from django.core.files import File

from campaigns.models import Campaign, Service, Source
from iris.errors import InvalidInput
from telephony.models import Audio


def choose_texts(campaign: Campaign, *, message: str | None, sms_message: str | None) -> tuple[str, str]:
    """Return the text of calls and the text of SMS: the new message if given, otherwise the stored ones."""
    text = message if message is not None else campaign.message
    if sms_message is None and message is None:
        sms_message = campaign.sms_message
    return text, sms_message or text


def choose_source(
    campaign: Campaign,
    *,
    message: str | None,
    recording: File[bytes] | None,
    text: str,
    audio: Audio | None,
    source: Source | None,
) -> Source:
    """Decide between message and audio: the one that the request contains, otherwise the stored one.

    `source` decides if both exist. Raises InvalidInput if the chosen one is missing.
    """
    service = Service(campaign.service)
    if service is Service.SURVEY:
        return Source.MESSAGE  # in a survey, each step has its own source
    has_audio = audio is not None and service.calls
    if source is None and message is None and recording is None:
        source = _stored_source(campaign, has_text=bool(text), has_audio=has_audio)
    if source is Source.AUDIO and not has_audio:
        raise InvalidInput(
            "The priority is audio, but there is none. Send it as aud_file, or use priority message.",
            code="no_audio",
        )
    if source is Source.MESSAGE and not text:
        raise InvalidInput(
            "The priority is message, but there is none. Send a message, or use priority audio.",
            code="no_message",
        )
    if source is not None:
        return source
    if (message is None) != (recording is None):
        return Source.MESSAGE if message is not None else Source.AUDIO
    if text and has_audio:
        raise InvalidInput(
            'This campaign has a message and an audio. Set priority to "message" or "audio" to say which one to use.',
            code="message_or_audio",
        )
    if not text and not has_audio:
        raise InvalidInput(
            "A campaign cannot begin without something to say: send a message or an aud_file.",
            code="nothing_to_say",
        )
    return Source.AUDIO if has_audio else Source.MESSAGE


def _stored_source(campaign: Campaign, *, has_text: bool, has_audio: bool) -> Source | None:
    """Return the campaign's stored choice, or None if it has none or the chosen one is missing."""
    there = {Source.MESSAGE: has_text, Source.AUDIO: has_audio}
    return Source(campaign.source) if campaign.source and there[Source(campaign.source)] else None
