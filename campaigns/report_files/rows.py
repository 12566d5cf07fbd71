"""The rows of a report: each recipient, what became of it, and its tags.

A report on a campaign has the present state of each recipient. A report on a run has the outcome in this run: of all
recipients of the campaign up to the run's last one, or only of those that it contacted if it was for some of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, TypedDict

from django.db import connection
from django.utils import timezone

from accounts.account_settings import zone_of
from campaigns.messages import PREFIX
from campaigns.models import Answer, Campaign, Recipient, ReportFile, Run, Service, Survey
from campaigns.report_files.formats import Cell
from campaigns.reports import states, totals
from campaigns.reports.states import RecipientState
from campaigns.surveys import responses
from campaigns.surveys.responses import Column
from telephony.models import Channel, DeliveryStatus, Purpose

COLUMNS = ("number", "status", "cause", "attempts", "call_duration", "playback", "credits", "updated_at")


class Labels(TypedDict):
    """The words of a report: the heading of each of COLUMNS, each status ("" for none) and each cause by its value.

    `recorded` stands for a spoken response, and `title` names the sheet.
    """

    columns: dict[str, str]
    statuses: dict[str, str]
    causes: dict[str, str]
    recorded: str
    title: str


@dataclass(frozen=True)
class Batch:
    """Some recipients with neighbouring ids: the id of the last one, how many they are, and their rows."""

    last: int
    count: int
    rows: list[list[Cell]]


@dataclass(frozen=True)
class _Contact:
    """What the deliveries to a recipient say together. `status` and `cause` are those of the latest one that decides."""

    status: DeliveryStatus | None
    cause: str
    attempts: int
    seconds: float | None
    playback: int | None
    credits: Decimal
    changed_at: datetime


class Rows:
    """The headings and rows of a report."""

    def __init__(self, report: ReportFile) -> None:
        self._report = report
        self._campaign: Campaign = report.campaign
        self._run: Run | None = report.run
        self._labels: Labels = report.labels
        self._zone = zone_of(self._campaign.owner)

    def headings(self) -> list[str]:
        names = [tag.removeprefix(PREFIX) for tag in self._campaign.tags]
        return [
            *(self._labels["columns"][column] for column in COLUMNS),
            *(column.name for column in self._questions),
            *names,
        ]

    def batches(self) -> Iterator[Batch]:
        """Yield the recipients after those in the stored parts, in batches. Takes at most six queries for each."""
        for recipients in totals.batches(self._campaign, after=self._report.after):
            chosen = [one for one in recipients if one.pk <= self._report.last]
            if chosen:
                yield Batch(chosen[-1].pk, len(chosen), self._rows(chosen))
            if len(chosen) < len(recipients):
                return

    @cached_property
    def _questions(self) -> list[Column]:
        survey = (
            Survey.objects.filter(campaign=self._campaign).first()
            if self._campaign.service == Service.SURVEY
            else None
        )
        return [] if survey is None else responses.columns(survey)

    @cached_property
    def _runs(self) -> list[int]:
        if self._run is not None:
            return [self._run.pk]
        return list(Run.objects.filter(campaign=self._campaign, trial=False).values_list("pk", flat=True))

    def _rows(self, recipients: Sequence[Recipient]) -> list[list[Cell]]:
        contacts = self._contacts(recipients)
        if self._run is None:
            shown = states.states_of(self._campaign, recipients)
        else:
            shown = self._states_in_run(self._run, recipients, contacts)
        given: list[list[Cell]] = [[]] * len(shown)
        if self._questions:
            given = [self._answers(one) for one in responses.responses_of(shown, run=self._run)]
        tags = self._campaign.tags
        return [
            [
                *self._values(state, contacts.get(state.recipient.pk)),
                *answers,
                *(state.recipient.tags.get(tag, "") for tag in tags),
            ]
            for state, answers in zip(shown, given, strict=True)
        ]

    def _values(self, state: RecipientState, contact: _Contact | None) -> list[Cell]:
        recipient, labels = state.recipient, self._labels
        changed = recipient.updated_at if self._run is None else None
        if contact is not None:
            changed = contact.changed_at if changed is None else max(changed, contact.changed_at)
        # A recipient whose turn comes again has no cause any more.
        cause = contact.cause if contact is not None and contact.status == state.status else ""
        return [
            recipient.number,
            labels["statuses"]["" if state.status is None else str(int(state.status))],
            labels["causes"].get(cause, cause),
            0 if contact is None else contact.attempts,
            None if state.seconds is None else round(state.seconds),
            state.playback,
            state.credits,
            self._local(changed),
        ]

    def _local(self, moment: datetime | None) -> datetime | None:
        if moment is None or moment.year <= 1970:  # an `updated_at` of 1970 means unknown
            return None
        return timezone.localtime(moment, self._zone).replace(second=0, microsecond=0, tzinfo=None)

    def _answers(self, reply: responses.RecipientResponses) -> list[Cell]:
        shown: list[Cell] = []
        for question in self._questions:
            text = reply.answers.get(question.step.pk, "")
            is_spoken = question.step.answer == Answer.SPEECH
            shown.append(self._labels["recorded"] if text and is_spoken else text)
        return shown

    def _states_in_run(
        self, run: Run, recipients: Sequence[Recipient], contacts: dict[int, _Contact]
    ) -> list[RecipientState]:
        is_for_all = run.statuses is None and run.individual is None
        nothing = (None, None, None, Decimal(0))
        shown = []
        for recipient in recipients:
            contact = contacts.get(recipient.pk)
            if contact is not None:
                values: Any = (contact.status, contact.seconds, contact.playback, contact.credits)
                shown.append(RecipientState(recipient, *values))
            elif is_for_all:
                shown.append(RecipientState(recipient, *nothing))
        return shown

    def _contacts(self, recipients: Sequence[Recipient]) -> dict[int, _Contact]:
        """Return what the deliveries to these recipients say, by recipient. Takes one query, on the range of their ids."""
        channel = Channel.CALL if Service(self._campaign.service).calls else Channel.SMS
        with connection.cursor() as cursor:
            cursor.execute(
                _CONTACTS,
                {
                    "purpose": Purpose.CAMPAIGN.value,
                    "runs": self._runs,
                    "first": recipients[0].pk,
                    "last": recipients[-1].pk,
                    "channel": channel.value,
                },
            )
            return {
                item: _Contact(None if status is None else DeliveryStatus(status), *rest)
                for item, status, *rest in cursor.fetchall()
            }


_CONTACTS = """
    SELECT item,
           (array_agg(status ORDER BY id DESC) FILTER (WHERE channel = %(channel)s))[1],
           coalesce((array_agg(cause ORDER BY id DESC) FILTER (WHERE channel = %(channel)s))[1], ''),
           count(*),
           (array_agg(seconds ORDER BY id DESC) FILTER (WHERE channel = %(channel)s))[1],
           (array_agg(playback ORDER BY id DESC) FILTER (WHERE channel = %(channel)s))[1],
           sum(credits),
           max(coalesce(delivered_at, ended_at, answered_at, submitted_at, claimed_at, created_at))
      FROM telephony_delivery
     WHERE purpose = %(purpose)s AND batch = ANY(%(runs)s) AND item BETWEEN %(first)s AND %(last)s
     GROUP BY item
"""
