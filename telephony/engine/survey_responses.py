"""What people answer in calls: matched to whoever ordered the call, and announced in sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from iris.storable import storable
from telephony.call_scripts import SurveyResponse
from telephony.engine.signals import answers_given
from telephony.models import Purpose


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer in the words of whoever ordered the call: their batch, item and step."""

    purpose: Purpose
    batch: int
    item: int
    step: int
    text: str
    at: datetime


def announce(given: Sequence[tuple[int, datetime, Sequence[SurveyResponse]]]) -> None:
    """Tell who ordered them what was answered in these deliveries; call it in the transaction that records the reports."""
    if not given:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, purpose, batch, item FROM telephony_delivery WHERE id = ANY(%s)",
            [sorted({pk for pk, _, _ in given})],
        )
        known = {pk: (Purpose(purpose), batch, item) for pk, purpose, batch, item in cursor.fetchall()}
    answered = [
        Answered(*known[pk], answer.step, storable(answer.text)[:200], at)
        for pk, at, answers in given
        if pk in known
        for answer in answers
    ]
    if answered:
        answers_given.send(sender=Answered, answered=answered)
