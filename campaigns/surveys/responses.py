"""Store survey responses in batches as they arrive, and read them for reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from campaigns.models import Answer, Campaign, Run, Survey, SurveyAnswer, SurveyStep
from campaigns.reports import states, totals
from campaigns.reports.states import RecipientState
from telephony.engine.survey_responses import MatchedResponse
from telephony.models import Audio, Purpose
from telephony.unnest import rowset


def store_responses(answered: Sequence[MatchedResponse], **kwargs: Any) -> None:
    """Store survey responses in one statement. This is a receiver of `answers_given`.

    The longest response to a step is kept. Each report of a carrier has all keys pressed so far, so repeated and late
    reports change nothing. For speech, `text` is the name of the recording, which is then kept as long as the response.
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
    # Sorted, so that two processes that store the same responses lock rows in the same order and cannot deadlock.
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
                     -- Locked, so that no recording is pruned before the response refers to it.
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
    """A step with responses, and its column name, which is unique within the report."""

    step: SurveyStep
    name: str


@dataclass(frozen=True, slots=True)
class RecipientResponses:
    """A recipient's responses by step id, from the latest call that has responses.

    `recordings` has the recordings of spoken responses; `answers` has only their names.
    """

    state: RecipientState
    answers: dict[int, str]
    recordings: dict[int, Audio]
    answered_at: datetime | None


def columns(survey: Survey) -> list[Column]:
    """Return the steps that ask for a response, including replaced steps that have responses."""
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
        while name in taken:  # some clients give all steps the same name
            number += 1
            name = f"{wanted}_{number}"
        taken.add(name)
        named.append(Column(step, name))
    return named


def responses_of_all(campaign: Campaign) -> Iterator[list[RecipientResponses]]:
    """Yield all recipients with their responses in batches, oldest first, with three queries for each batch."""
    for batch in totals.batches(campaign):
        yield responses_of(states.states_of(campaign, batch))


def responses_of(states: Sequence[RecipientState], *, run: Run | None = None) -> list[RecipientResponses]:
    """Return the responses of these recipients in a run, or else in the latest run with responses. Takes one query."""
    given: dict[int, tuple[int, dict[int, SurveyAnswer]]] = {}
    rows = (
        SurveyAnswer.objects.filter(recipient__in=[state.recipient.pk for state in states])
        .select_related("audio")
        .order_by("recipient", "run")
    )
    if run is not None:
        rows = rows.filter(run=run)
    for answer in rows:
        run_id, answers = given.get(answer.recipient_id, (0, {}))
        if answer.run_id != run_id:
            answers = {}
        answers[answer.step_id] = answer
        given[answer.recipient_id] = (answer.run_id, answers)
    return [_responses_of_one(state, given) for state in states]


def _responses_of_one(
    state: RecipientState, given: dict[int, tuple[int, dict[int, SurveyAnswer]]]
) -> RecipientResponses:
    _, answers = given.get(state.recipient.pk, (0, {}))
    return RecipientResponses(
        state,
        {step: answer.text for step, answer in answers.items()},
        {step: answer.audio for step, answer in answers.items() if answer.audio is not None},
        max((answer.answered_at for answer in answers.values()), default=None),
    )


class Tally:
    """Counts how often each key sequence was the response to each step.

    The report passes its own rows to the tally, so that report and tally agree.
    """

    def __init__(self, named: Sequence[Column]) -> None:
        self._columns = [column for column in named if column.step.answer == Answer.KEYS]
        self._counts: dict[int, Counter[str]] = {column.step.pk: Counter() for column in self._columns}

    def add(self, reply: RecipientResponses) -> None:
        for step, text in reply.answers.items():
            if step in self._counts:
                self._counts[step][text] += 1

    def by_column(self) -> dict[str, dict[str, int]]:
        return {column.name: dict(sorted(self._counts[column.step.pk].items())) for column in self._columns}
