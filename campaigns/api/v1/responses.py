"""Survey responses in the v1 dialect: pressed keys, and the URLs of spoken responses."""

from __future__ import annotations

from collections.abc import Sequence

from rest_framework.request import Request

from campaigns.surveys.responses import Column, RecipientResponses
from telephony.media import audio_url


def answers_json(
    named: Sequence[Column], reply: RecipientResponses, request: Request
) -> dict[str, str | None]:
    """Return the response to each step by column name, None without a response."""
    return {column.name: _shown(reply, column.step.pk, request) for column in named}


def _shown(reply: RecipientResponses, step: int, request: Request) -> str | None:
    if step in reply.recordings:
        return audio_url(reply.recordings[step], request._request)
    return reply.answers.get(step)
