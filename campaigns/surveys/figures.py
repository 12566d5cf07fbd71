"""Count the responses to each question of a survey, for a page. The report has them person by person (`responses`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.core.cache import cache
from django.db import connection

from campaigns.models import Answer, Campaign, Service, Survey
from campaigns.reports.figures import CACHE_ABOVE_NUMBERS, NUMBERS_A_SECOND
from campaigns.surveys.responses import columns

MAX_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class QuestionFigures:
    """How often each key was the response to a question, in the order of the keys. `others` counts rarer ones.

    `spoken` counts recorded responses.
    """

    name: str
    text: str
    keys: list[tuple[str, int]]
    others: int
    spoken: int

    @property
    def total(self) -> int:
        return sum(count for _, count in self.keys) + self.others + self.spoken


def responses_to(campaign: Campaign) -> list[QuestionFigures]:
    """Return the figures of a survey's questions in order; empty for other campaigns. Takes at most three queries.

    As in the report, the responses of the latest run count in which a recipient has responded.
    """
    survey = Survey.objects.filter(campaign=campaign).first() if campaign.service == Service.SURVEY else None
    if survey is None:
        return []
    asked = columns(survey)
    steps = [column.step.pk for column in asked]
    if campaign.number_count < CACHE_ABOVE_NUMBERS:
        counts = _count(steps)
    else:
        key = f"responses:{campaign.pk}:{max(steps, default=0)}"
        seconds = max(1.0, campaign.number_count / NUMBERS_A_SECOND)
        counts = cache.get_or_set(key, lambda: _count(steps), seconds) or {}
    found = []
    for column in asked:
        given = counts.get(column.step.pk, Counter())
        speaks = column.step.answer == Answer.SPEECH
        shown = [] if speaks else sorted(given.most_common(MAX_SHOWN))
        found.append(
            QuestionFigures(
                name=column.name,
                text=column.step.text,
                keys=shown,
                others=0 if speaks else given.total() - sum(count for _, count in shown),
                spoken=given.total() if speaks else 0,
            )
        )
    return found


def _count(steps: list[int]) -> dict[int, Counter[str]]:
    counts: dict[int, Counter[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [steps, steps])
        for step, text, count in cursor.fetchall():
            counts.setdefault(step, Counter())[text] += count
    return counts


_COUNT = """
    SELECT a.step_id, CASE WHEN s.answer = 'speech' THEN '' ELSE a.text END AS given, count(*)
      FROM campaigns_surveyanswer a
      JOIN campaigns_surveystep s ON s.id = a.step_id
      JOIN (SELECT recipient_id, max(run_id) AS run_id FROM campaigns_surveyanswer
             WHERE step_id = ANY(%s) GROUP BY recipient_id) latest
        ON latest.recipient_id = a.recipient_id AND latest.run_id = a.run_id
     WHERE a.step_id = ANY(%s)
     GROUP BY a.step_id, given
"""
