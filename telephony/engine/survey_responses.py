"""Match survey responses from calls to the batches and items of the calls, and announce them in sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from iris.storable import storable
from telephony.call_scripts import ANNOUNCEMENT, SurveyResponse
from telephony.engine.signals import answers_given
from telephony.models import Purpose


@dataclass(frozen=True, slots=True)
class MatchedResponse:
    """A survey response with the batch and item of its call, and the step that it responds to."""

    purpose: Purpose
    batch: int
    item: int
    step: int
    text: str
    at: datetime


def announce(given: Sequence[tuple[int, datetime, Sequence[SurveyResponse]]]) -> None:
    """Send `answers_given` for the responses of these deliveries. Call it in the transaction that applies the reports.

    `given` has the delivery's id, the time and the responses of each report.
    """
    if not given:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, purpose, batch, item FROM telephony_delivery WHERE id = ANY(%s)",
            [sorted({pk for pk, _, _ in given})],
        )
        known = {pk: (Purpose(purpose), batch, item) for pk, purpose, batch, item in cursor.fetchall()}
    answered = [
        MatchedResponse(*known[pk], answer.step, storable(answer.text)[:200], at)
        for pk, at, answers in given
        if pk in known
        for answer in answers
        if answer.step > ANNOUNCEMENT
    ]
    if answered:
        answers_given.send(sender=MatchedResponse, answered=answered)
