"""Read and show the steps of surveys and templates in the v1 dialect. Clients send them in several forms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.request import Request

from campaigns.messages import MAX_CHARACTERS
from campaigns.models import Answer, Step, StepKind, SurveyStep
from campaigns.surveys.steps import StepPlan, check_steps, refuse_too_many_steps
from iris.api.fields import Text, Upload, Word
from iris.api.json_text import json_value
from iris.errors import InvalidInput
from telephony.api.fields import Message
from telephony.media import audio_url
from telephony.models import Audio
from telephony.speech import audio as recordings
from telephony.speech.fetching import fetch_recordings

KINDS = {"say": StepKind.SAY, "play": StepKind.PLAY, "info": StepKind.INFO}
ANSWERS = {"dtmf": Answer.KEYS, "raw_record": Answer.SPEECH, "none": Answer.NONE}
KIND_WORDS = {kind: word for word, kind in KINDS.items()}
ANSWER_WORDS = {answer: word for word, answer in ANSWERS.items()}

LAST_ORDER = 10_000
# Objects, lists and texts; in a form, the published client sends the names of fields for each step.
MAX_EXAMINED = 2_000


class Place(serializers.IntegerField):
    """The position of a step among the others."""

    default_error_messages = {
        "invalid": "This must be a whole number from 0.",
        "min_value": "This must be a whole number from 0.",
        "max_value": "This number is too large.",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_value=LAST_ORDER, **options)

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = dictionary.get(self.field_name, empty)
        return empty if value is None or value == "" else value

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Address(serializers.Field[Any, Any, Any, Any]):
    """The URL of a recording, or null."""

    json_schema = {"type": ["string", "null"], "maxLength": 2000, "description": "The URL of a recording."}
    default_error_messages = {"invalid": "This must be the address of a recording, or null."}

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        value = dictionary.get(self.field_name, empty)
        return empty if value is None or value == "" else value

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or len(data) > 2000:
            self.fail("invalid")
        return data


class StepFields(serializers.Serializer[Any]):
    """One step. `id` and `survey` are ignored, because the server assigns them."""

    order = Place(required=False)
    content_type = Word(KINDS)
    text_or_url = Message(required=False, allow_blank=True, max_length=MAX_CHARACTERS)
    response_type = Word(ANSWERS, required=False)
    input_name = Text(required=False, allow_blank=True, max_length=128)
    audio_file = Address(required=False)


class Steps(serializers.Field[Any, Any, Any, Any]):
    """A list of steps, or the same list as JSON text. Every object in it must be a valid step.

    Items that are not objects are ignored: in a form, the published client sends field names, or Python's representation
    of the steps. A list without any object counts as not sent.
    """

    json_schema = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "order": {"type": "integer", "minimum": 0, "maximum": LAST_ORDER},
                "content_type": {"type": "string", "enum": list(KINDS)},
                "text_or_url": {"type": "string", "maxLength": MAX_CHARACTERS},
                "response_type": {"type": "string", "enum": list(ANSWERS)},
                "input_name": {"type": "string", "maxLength": 128},
                "audio_file": Address.json_schema,
            },
            "required": ["content_type"],
        },
    }
    default_error_messages = {"required": "This field is missing: it must be a list of steps."}

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        name = self.field_name or ""
        sent = dictionary.getlist(name) if isinstance(dictionary, QueryDict) else dictionary.get(name)
        return _objects(sent) or empty

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        refuse_too_many_steps(len(data))
        validated = []
        for place, one in enumerate(data):
            # In templates, `input_name` can be called `field_name`.
            fields = StepFields(data=one | {"input_name": one.get("input_name") or one.get("field_name")})
            if not fields.is_valid():
                raise serializers.ValidationError({str(place): fields.errors})
            validated.append(dict(fields.validated_data))
        return validated


def _objects(sent: Any) -> list[dict[str, Any]]:
    """Return the JSON objects at any depth of the sent value, in order. Raises InvalidInput if it has too many items."""
    objects: list[dict[str, Any]] = []
    pending = [sent]
    examined = 0
    while pending:
        one = pending.pop()
        examined += 1
        if isinstance(one, str):
            one = _parsed(one)
        if isinstance(one, dict):
            objects.append(one)
        elif isinstance(one, list):
            if examined + len(pending) + len(one) > MAX_EXAMINED:
                refuse_too_many_steps(len(one))
                raise InvalidInput(
                    "This list of steps has too many items. Send only the steps.", code="too_many_steps"
                )
            pending.extend(reversed(one))
    return objects


def _parsed(text: str) -> Any:
    try:
        return json_value(text)
    except InvalidInput:
        return None


def plans_of(sent: Iterable[Mapping[str, Any]], *, renumbered: bool) -> list[StepPlan]:
    """Return the sent steps sorted by order. Recordings that are named by URL are fetched.

    Steps without an order are numbered in the sent sequence. With `renumbered`, duplicate orders are numbered, too;
    otherwise they raise InvalidInput.
    """
    listed = list(sent)
    orders = [step.get("order") for step in listed]
    if None in orders or (renumbered and len(set(orders)) < len(orders)):
        orders = list(range(len(listed)))
    named = [_plan(step, order) for step, order in zip(listed, orders, strict=True)]
    # All steps are checked before any recording is fetched.
    check_steps([plan for plan, _ in named])
    fetched = iter(fetch_recordings([address for _, address in named if address]))
    plans = [replace(plan, audio=next(fetched)) if address else plan for plan, address in named]
    return sorted(plans, key=lambda plan: plan.order)


def _plan(sent: Mapping[str, Any], order: Any) -> tuple[StepPlan, str]:
    """Return a step without its recording, and the URL of the recording, "" without one."""
    kind, text = sent["content_type"], sent.get("text_or_url", "")
    address = sent.get("audio_file", "")
    if not address and kind is not StepKind.SAY and re.match(r"https?://", text, re.IGNORECASE):
        address = text
        text = text if kind is StepKind.PLAY else ""
    plan = StepPlan(
        order=order,
        kind=kind,
        text=text,
        answer=sent.get("response_type", Answer.NONE),
        input_name=sent.get("input_name", ""),
    )
    return plan, address


def files_of(request: Request, pattern: str) -> dict[int, Audio]:
    """Store the uploaded recordings whose form field names match the pattern. Return them by the number in the name."""
    files: Mapping[str, UploadedFile[Any]] = request.FILES
    places = {name: place[1] for name in files if (place := re.fullmatch(pattern, name, re.ASCII))}
    refuse_too_many_steps(len(places))
    checked = [Upload().run_validation(files[name]) for name in places]
    kept = recordings.store_uploads(checked) if checked else []
    return {int(place): audio for place, audio in zip(places.values(), kept, strict=True)}


def with_files(plans: Iterable[StepPlan], files: Mapping[int, Audio]) -> list[StepPlan]:
    """Return the steps with the uploaded recordings, which are given by the steps' order."""
    return [replace(plan, audio=files.get(plan.order, plan.audio)) for plan in plans]


def step_json(step: SurveyStep, request: Request) -> dict[str, Any]:
    return {"id": step.pk, "survey": step.survey_id, **content_json(step, request)}


def content_json(step: Step, request: Request) -> dict[str, Any]:
    return {
        "order": step.order,
        "content_type": KIND_WORDS[StepKind(step.kind)],
        "text_or_url": step.text,
        "response_type": ANSWER_WORDS[Answer(step.answer)],
        "input_name": step.input_name,
        "audio_file": None if step.audio is None else audio_url(step.audio, request._request),
    }
