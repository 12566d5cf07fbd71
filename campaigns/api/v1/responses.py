"""Survey responses in the v1 dialect: pressed keys, and the URLs of spoken responses.

A URL plays the recording without a login. So only requests that may listen receive the URL. Other requests learn only that
there is a recording.
"""

from __future__ import annotations

from collections.abc import Sequence

from rest_framework.request import Request

from accounts.api.account import access_of
from accounts.permissions import Permission
from campaigns.models import Answer, SurveyStep
from campaigns.surveys.responses import Column, RecipientResponses
from telephony.media import audio_url

RECORDED = "recorded"


def answers_json(
    named: Sequence[Column], reply: RecipientResponses, request: Request
) -> dict[str, str | None]:
    """Return the response to each step by column name, None without a response."""
    return {column.name: _shown(reply, column.step, request) for column in named}


def _shown(reply: RecipientResponses, step: SurveyStep, request: Request) -> str | None:
    given = reply.answers.get(step.pk)
    if given and step.answer == Answer.SPEECH and Permission.LISTEN not in access_of(request).granted:
        return RECORDED
    if step.pk in reply.recordings:
        return audio_url(reply.recordings[step.pk], request._request)
    return given
