"""Surveys in the v1 dialect: steps, runs, trials and reports of responses."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.permissions import needs
from accounts.permissions import Permission
from campaigns import runs
from campaigns.api.v1 import steps as wire
from campaigns.api.v1.lookups import campaign_of, contact_of, survey_of
from campaigns.api.v1.reports import note_export
from campaigns.api.v1.responses import answers_json
from campaigns.api.v1.serializers import attributes_json, contact_json, moment_json
from campaigns.api.v1.views import detail_json, run_campaign
from campaigns.api.words import RECIPIENT_STATUSES
from campaigns.messages import PREFIX
from campaigns.models import Campaign, Service, Survey, SurveyStep
from campaigns.surveys import responses, steps
from campaigns.surveys.responses import Column, RecipientResponses, Tally
from iris.api import idempotency, parsers
from iris.api.fields import validated
from iris.api.viewsets import V1ViewSet, reads, retries
from iris.errors import InvalidInput
from iris.spreadsheets import cell

COLUMNS = ("number", "status", "call_duration", "playback", "answered_at")


class NewSteps(serializers.Serializer[Any]):
    """A request that can contain the steps of a survey."""

    steps = wire.Steps(required=False)


class SurveyViewSet(V1ViewSet):
    @reads(parsers.LIST_AND_FILES)
    @needs(Permission.VIEW)
    def steps(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        return Response({"results": _steps_json(campaign, request)})

    @reads(parsers.LIST_AND_FILES)
    @retries(idempotency.HARMLESS)  # decodes recordings between two transactions that lock the campaign
    @needs(Permission.PREPARE)
    def update_steps(self, request: Request, campaign_id: int) -> Response:
        """Replace the steps if any were sent. Then attach recordings, whose form fields are named by step position from 0.

        The published client has already sent the steps with the campaign. Here it sends them again in an unreadable form.
        """
        campaign = campaign_of(request, campaign_id)
        if campaign.service != Service.SURVEY:
            raise InvalidInput("Only a SURVEY campaign has steps.", code="no_survey")
        sent = validated(NewSteps(data=request.data))
        if "steps" in sent:
            steps.set_steps(campaign=campaign, steps=wire.plans_of(sent["steps"], renumbered=True))
        if files := wire.files_of(request, r"([0-9]{1,4})"):
            steps.attach_recordings(campaign=campaign, recordings=files)
        # The documentation does not show this response. Like similar responses it has the campaign; it also has the steps.
        campaign = campaign_of(request, campaign_id)
        shown = detail_json(campaign, campaign.run_status, request)
        return Response({**shown, "results": _steps_json(campaign, request)})

    @reads(parsers.TEXTS)
    @needs(Permission.SEND)
    def run(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        _refuse_unless_survey(campaign)
        return run_campaign(campaign)

    @reads(parsers.TEXTS)
    @needs(Permission.SEND)
    def test(self, request: Request, contact_id: int) -> Response:
        contact = contact_of(request, contact_id)
        _refuse_unless_survey(contact.campaign)
        runs.begin(campaign=contact.campaign, individual=[contact.pk], trial=True)
        return Response({"message": f"A try is on its way to {contact.number}."})

    @reads(parsers.TEXTS)
    @needs(Permission.VIEW)
    def report(self, request: Request, survey_id: int) -> StreamingHttpResponse:
        """Return the responses as CSV, or as JSON with `?format=json`. Streamed, so memory does not grow with contacts."""
        survey = survey_of(request, survey_id)
        note_export(survey.campaign, what="survey")
        as_json = request.query_params.get("format", "").strip().lower() == "json"
        body = _json(survey, request) if as_json else _csv(survey, request)
        # The first rows are fetched before the response starts, so that an early failure still becomes an error response.
        first_rows = "".join(islice(body, 2))
        if as_json:
            return StreamingHttpResponse(chain([first_rows], body), content_type="application/json")
        return StreamingHttpResponse(
            chain(
                ["\ufeff" + first_rows], body
            ),  # without the byte order mark, Excel assumes another encoding
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="survey-{survey.pk}.csv"'},
        )


def _steps_json(campaign: Campaign, request: Request) -> list[dict[str, Any]]:
    return [wire.step_json(step, request) for step in SurveyStep.objects.asked_by(campaign)]


def _refuse_unless_survey(campaign: Campaign) -> None:
    if campaign.service != Service.SURVEY:
        raise InvalidInput("This campaign is not a SURVEY. Run it as a campaign.", code="no_survey")


def _csv(survey: Survey, request: Request) -> Iterator[str]:
    campaign, named = survey.campaign, responses.columns(survey)
    attributes = [tag.removeprefix(PREFIX) for tag in campaign.tags]
    yield _lines([[*COLUMNS, *(cell(column.name) for column in named), *map(cell, attributes)]])
    for batch in responses.responses_of_all(campaign):
        yield _lines([_row(campaign, named, reply, request) for reply in batch])


def _row(
    campaign: Campaign, named: list[Column], reply: RecipientResponses, request: Request
) -> list[object]:
    contact = contact_json(reply.state, changed_at=campaign.created_at)
    shown = {**contact, "answered_at": moment_json(reply.answered_at) or ""}
    given = [cell(answer or "") for answer in answers_json(named, reply, request).values()]
    tags = [cell(reply.state.recipient.tags.get(tag, "")) for tag in campaign.tags]
    return [*(cell(shown[column]) for column in COLUMNS), *given, *tags]


def _lines(rows: list[list[object]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


def _json(survey: Survey, request: Request) -> Iterator[str]:
    """Yield the report as one JSON object. The tally comes last, after all contacts that it counts."""
    campaign, named = survey.campaign, responses.columns(survey)
    tally = Tally(named)
    head = {
        "survey": survey.pk,
        "campaign": campaign.pk,
        "name": campaign.name,
        "steps": [{**wire.step_json(one.step, request), "column": one.name} for one in named],
    }
    yield _dumped(head).removesuffix("}") + ', "results": ['
    count = 0
    for batch in responses.responses_of_all(campaign):
        shown = []
        for reply in batch:
            tally.add(reply)
            shown.append(_dumped(_reply_json(campaign, named, reply, request)))
        yield (", " if count else "") + ", ".join(shown)
        count += len(batch)
    tail = {"count": count, "summary": tally.by_column()}
    yield "], " + _dumped(tail).removeprefix("{")


def _reply_json(
    campaign: Campaign, named: list[Column], reply: RecipientResponses, request: Request
) -> dict[str, Any]:
    recipient = reply.state.recipient
    return {
        "id": recipient.pk,
        "number": recipient.number,
        "status": RECIPIENT_STATUSES[reply.state.status],
        "answered_at": moment_json(reply.answered_at),
        "answers": answers_json(named, reply, request),
        "other_variables": attributes_json(recipient, campaign=campaign),
    }


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
