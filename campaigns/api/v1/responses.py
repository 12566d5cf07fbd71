"""What contacts have answered in surveys, in the v1 dialect: keys as they were pressed, and where to hear what was said."""

from __future__ import annotations

from collections.abc import Sequence

from rest_framework.request import Request

from campaigns.surveys.responses import Column, RecipientResponses
from telephony.media import audio_url


def answers_json(
    named: Sequence[Column], reply: RecipientResponses, request: Request
) -> dict[str, str | None]:
    """Each step's answer by the name of its column; None where there is none."""
    return {column.name: _shown(reply, column.step.pk, request) for column in named}


def _shown(reply: RecipientResponses, step: int, request: Request) -> str | None:
    if step in reply.recordings:
        return audio_url(reply.recordings[step], request._request)
    return reply.answers.get(step)
