"""Survey templates in the v1 dialect."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, cast

from django.db.models import Prefetch, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.permissions import Permission
from campaigns.api.v1 import steps as wire
from campaigns.api.v1.fields import LengthFactor
from campaigns.api.v1.filters import TemplateFilter
from campaigns.api.v1.lookups import campaign_of
from campaigns.api.v1.serializers import length_factor_of
from campaigns.models import Campaign, SurveyTemplate, TemplateStep
from campaigns.surveys import templates
from iris.api import parsers
from iris.api.fields import Text, validated
from iris.api.json_text import json_value
from iris.api.pagination import paginate_in_v1
from iris.api.views import ERROR_CODE, parse_id
from iris.api.viewsets import V1ViewSet, reads
from iris.errors import InvalidInput, NotFound
from telephony import speech
from telephony.api.v1.fields import ChosenVoice
from telephony.api.v1.voices import voice_json

LARGEST_PAGE = 100
FILES = r"step_([0-9]{1,5})_audio_file"


class TemplateVoice(ChosenVoice):
    """A voice. In a form with files it may be JSON text."""

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, str) and data.lstrip().startswith("{"):
            try:
                data = json_value(data)
            except InvalidInput:
                self.fail("invalid")
        return super().to_internal_value(data)


class TemplateChanges(serializers.Serializer[Any]):
    """The fields of a template that can be changed. A request can contain any of them."""

    name = Text(required=False, max_length=200)
    voice = TemplateVoice(required=False)
    length_factor = LengthFactor(required=False, source="speed")
    content = wire.Steps(required=False)


class NewTemplate(TemplateChanges):
    name = Text(max_length=200)
    voice = TemplateVoice(error_messages={"required": "This field is missing: choose a voice."})
    content = wire.Steps()


class SurveyTemplateViewSet(V1ViewSet):
    filterset_class = TemplateFilter

    def get_queryset(self) -> QuerySet[SurveyTemplate]:
        return _readable().filter(owner=account_of(self.request)).order_by("-pk")

    @needs(Permission.VIEW)
    def list(self, request: Request) -> Response:
        page = paginate_in_v1(request, self.filter_queryset(self.get_queryset()), max_size=LARGEST_PAGE)
        answer = page.around([_template_json(template, request) for template in page.items])
        del answer["total_pages"]  # as documented
        return Response(answer)

    @reads(parsers.LIST_AND_FILES)
    @needs(Permission.PREPARE)
    def create(self, request: Request) -> Response:
        sent = _with_steps(validated(NewTemplate(data=request.data)), request)
        template = templates.create_template(account=account_of(request), **sent)
        return Response(_template_json(_read(template), request), status=201)

    @needs(Permission.VIEW)
    def retrieve(self, request: Request, template_id: int) -> Response:
        return Response(_template_json(_template_of(request, template_id), request))

    @reads(parsers.LIST_AND_FILES)
    @needs(Permission.PREPARE)
    def update(self, request: Request, template_id: int) -> Response:
        template = _template_of(request, template_id)
        sent = _with_steps(validated(TemplateChanges(data=request.data, partial=True)), request)
        template = templates.update_template(template=template, **sent)
        return Response(_template_json(_read(template), request))

    @needs(Permission.PREPARE)
    def destroy(self, request: Request, template_id: int) -> Response:
        _template_of(request, template_id).delete()
        return Response({"message": "Successfully Deleted."})

    @needs(Permission.PREPARE)
    def apply(self, request: Request, template_id: int) -> Response:
        template = _template_of(request, template_id)
        if (sent := cast(Any, request.data).get("campaign_id")) in (None, ""):
            return _refusal("campaign_id is required.")
        try:
            campaign: Campaign = campaign_of(request, parse_id(str(sent)))
        except NotFound:
            return _refusal("Campaign not found.", status=404)
        try:
            made = templates.apply(template=template, campaign=campaign)
        except InvalidInput as error:
            return _refusal(error.message)
        shown = [_applied_json(wire.step_json(step, request)) for step in made]
        return Response({"message": "Template applied successfully.", "steps": shown}, status=201)


def _refusal(sentence: str, *, status: int = 400) -> Response:
    """Return an error with its message under `error`, as documented for templates, and under the two usual keys."""
    body = {"error": sentence, "message": sentence, "detail": sentence}
    return Response(body, status=status, headers={ERROR_CODE: "not_found" if status == 404 else "invalid"})


def _readable() -> QuerySet[SurveyTemplate]:
    steps = TemplateStep.objects.select_related("audio").order_by("order")
    return SurveyTemplate.objects.prefetch_related(Prefetch("steps", steps))


def _read(template: SurveyTemplate) -> SurveyTemplate:
    return _readable().get(pk=template.pk)


def _template_of(request: Request, template_id: int) -> SurveyTemplate:
    template = _readable().filter(owner=account_of(request), pk=template_id).first()
    if template is None:
        raise NotFound("No SurveyTemplate matches the given query.", code="no_such_survey_template")
    return template


def _with_steps(sent: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Convert `content` to steps, with the uploaded recordings."""
    changes = dict(sent)
    content = changes.pop("content", None)
    if content is not None:
        for place, step in enumerate(content):
            if "order" not in step:
                raise serializers.ValidationError({"content": {str(place): {"order": "This is missing."}}})
        plans = wire.plans_of(content, renumbered=False)
        changes["steps"] = wire.with_files(plans, wire.files_of(request, FILES))
    return changes


def _template_json(template: SurveyTemplate, request: Request) -> dict[str, Any]:
    voice = speech.catalogue().get(template.voice)
    at = template.created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "id": template.pk,
        "name": template.name,
        "voice": None if voice is None else {**voice_json(voice), "is_beta": False},
        "length_factor": length_factor_of(template),
        "content": [_content_json(step, request) for step in template.steps.all()],
        "created_at": at,
    }


def _content_json(step: TemplateStep, request: Request) -> dict[str, Any]:
    """Return a step as documented, and also its text, which the documentation omits."""
    shown = wire.content_json(step, request)
    return {**_without_text(shown), "text_or_url": shown["text_or_url"]}


def _applied_json(shown: dict[str, Any]) -> dict[str, Any]:
    survey, text = shown.pop("survey"), shown["text_or_url"]
    return {**_without_text(shown), "survey": survey, "text_or_url": text}


def _without_text(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name != "text_or_url"}
