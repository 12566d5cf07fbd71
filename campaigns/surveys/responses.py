"""What was answered: written down in sets as it comes, and read for reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from campaigns.models import Answer, Campaign, Survey, SurveyAnswer, SurveyStep
from campaigns.reports import states, totals
from campaigns.reports.states import RecipientState
from telephony.engine.survey_responses import MatchedResponse
from telephony.models import Audio, Purpose
from telephony.unnest import rowset


def record_answers(answered: Sequence[MatchedResponse], **kwargs: Any) -> None:
    """Receiver of telephony's signal: one statement, however many answers. Doubled and late ones change nothing.

    Of two answers to one step the longer counts: keys are reported one after the other, each time all so far. What was
    said is told by the name of its recording, which from now on stays as long as the answer.
    """
    longest: dict[tuple[int, int, int], MatchedResponse] = {}
    for one in answered:
        key = (one.item, one.batch, one.step)
        if (
            one.purpose is Purpose.CAMPAIGN
            and one.text
            and (key not in longest or len(longest[key].text) < len(one.text))
        ):
            longest[key] = one
    if not longest:
        return
    # Sorted, so that two processes that record the same answers cannot block each other.
    chosen = [longest[key] for key in sorted(longest)]
    rows, parameters = rowset(
        "e",
        {
            "item": ("bigint", [one.item for one in chosen]),
            "batch": ("bigint", [one.batch for one in chosen]),
            "step": ("bigint", [one.step for one in chosen]),
            "text": ("text", [one.text for one in chosen]),
            "at": ("timestamptz", [one.at for one in chosen]),
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH e AS MATERIALIZED (SELECT * FROM {rows}),
                     -- Locked, so that none is pruned between being found and being referred to.
                     spoken AS MATERIALIZED (SELECT id, name FROM telephony_audio
                                              WHERE name IN (SELECT text FROM e) FOR KEY SHARE)
                INSERT INTO campaigns_surveyanswer AS known
                       (recipient_id, run_id, step_id, text, audio_id, answered_at)
                SELECT recipient.id, run.id, step.id, e.text, spoken.id, e.at
                  FROM e
                  JOIN campaigns_run run ON run.id = e.batch AND NOT run.trial
                  JOIN campaigns_recipient recipient
                    ON recipient.id = e.item AND recipient.campaign_id = run.campaign_id
                  JOIN campaigns_survey survey ON survey.campaign_id = run.campaign_id
                  JOIN campaigns_surveystep step ON step.id = e.step AND step.survey_id = survey.id
                  LEFT JOIN spoken ON spoken.name = e.text AND step.answer = 'speech'
                 ORDER BY 1, 2, 3
                ON CONFLICT (recipient_id, run_id, step_id) DO UPDATE
                   SET text = excluded.text, audio_id = excluded.audio_id, answered_at = excluded.answered_at
                 WHERE length(excluded.text) > length(known.text)""",
            parameters,
        )


@dataclass(frozen=True, slots=True)
class Column:
    """A step that is answered, under a name that no other step of the report has."""

    step: SurveyStep
    name: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A recipient, and what was answered in the latest of the calls that got an answer, by the id of the step.

    `recordings` are those of the answers that were said; what stands for them in `answers` is of no use to people.
    """

    state: RecipientState
    answers: dict[int, str]
    recordings: dict[int, Audio]
    answered_at: datetime | None


def columns(survey: Survey) -> list[Column]:
    """The steps of a survey that are answered, those included that were replaced after somebody had answered them."""
    steps = (
        SurveyStep.objects.filter(survey=survey)
        .exclude(answer=Answer.NONE)
        .filter(Q(replaced_at=None) | Exists(SurveyAnswer.objects.filter(step=OuterRef("pk"))))
        .select_related("audio")
        .order_by("order", "pk")
    )
    taken: set[str] = set()
    named = []
    for step in steps:
        wanted = name = step.input_name or f"step_{step.order}"
        number = 1
        while name in taken:  # clients call all of their steps the same
            number += 1
            name = f"{wanted}_{number}"
        taken.add(name)
        named.append(Column(step, name))
    return named


def replies(campaign: Campaign) -> Iterator[list[Reply]]:
    """All recipients in the order in which they were added, some at a time; three queries for each of these batches."""
    for batch in totals.batches(campaign):
        yield replies_of(states.states_of(campaign, batch))


def replies_of(states: Sequence[RecipientState]) -> list[Reply]:
    """What these recipients answered; one query, however many."""
    given: dict[int, tuple[int, dict[int, SurveyAnswer]]] = {}
    rows = (
        SurveyAnswer.objects.filter(recipient__in=[state.recipient.pk for state in states])
        .select_related("audio")
        .order_by("recipient", "run")
    )
    for answer in rows:
        run, answers = given.get(answer.recipient_id, (0, {}))
        if answer.run_id != run:
            answers = {}
        answers[answer.step_id] = answer
        given[answer.recipient_id] = (answer.run_id, answers)
    return [_reply(state, given) for state in states]


def _reply(state: RecipientState, given: dict[int, tuple[int, dict[int, SurveyAnswer]]]) -> Reply:
    _, answers = given.get(state.recipient.pk, (0, {}))
    return Reply(
        state,
        {step: answer.text for step, answer in answers.items()},
        {step: answer.audio for step, answer in answers.items() if answer.audio is not None},
        max((answer.answered_at for answer in answers.values()), default=None),
    )


class Tally:
    """How often each key, or keys, answered each step. Fed with what a report shows, so that the two agree."""

    def __init__(self, named: Sequence[Column]) -> None:
        self._columns = [column for column in named if column.step.answer == Answer.KEYS]
        self._counts: dict[int, Counter[str]] = {column.step.pk: Counter() for column in self._columns}

    def add(self, reply: Reply) -> None:
        for step, text in reply.answers.items():
            if step in self._counts:
                self._counts[step][text] += 1

    def by_column(self) -> dict[str, dict[str, int]]:
        return {column.name: dict(sorted(self._counts[column.step.pk].items())) for column in self._columns}
