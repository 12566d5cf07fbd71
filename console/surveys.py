"""The questions of a survey as a form. Recordings of questions that were uploaded by the API are kept."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from campaigns import services
from campaigns.models import Answer, Campaign, StepKind, SurveyStep
from campaigns.surveys.steps import MAX_STEPS, StepPlan, plan_of, set_steps
from console.forms import SPEEDS
from iris.errors import InvalidInput
from telephony import speech

EMPTY_ROWS = 1
ANSWERS = (
    (Answer.KEYS.value, _("They press a key")),
    (Answer.SPEECH.value, _("They say something, which is recorded")),
    (Answer.NONE.value, _("Nothing: it is only said")),
)


class QuestionForm(forms.Form):
    """One thing that is said in the call, and how people answer it."""

    text = forms.CharField(
        label=_("What is said"), required=False, max_length=2_000, widget=forms.Textarea(attrs={"rows": 2})
    )
    answer = forms.ChoiceField(label=_("What people do then"), choices=ANSWERS)
    input_name = forms.CharField(
        label=_("Short name of the answers in reports"), required=False, max_length=128
    )


class VoiceForm(forms.Form):
    voice = forms.ChoiceField(label=_("Voice"))
    speed = forms.ChoiceField(label=_("Speed"), choices=SPEEDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        voice = self.fields["voice"]
        assert isinstance(voice, forms.ChoiceField)
        voice.choices = [(name, one.display) for name, one in speech.catalogue().items()]


Questions = forms.formset_factory(
    QuestionForm, extra=EMPTY_ROWS, max_num=MAX_STEPS, absolute_max=MAX_STEPS + 10
)


class SurveyForm:
    """All questions of a survey, and the voice that asks them. Questions whose text is emptied are removed."""

    def __init__(self, sent: QueryDict | None, *, campaign: Campaign) -> None:
        self.campaign = campaign
        self.problem = ""
        self.steps = list(SurveyStep.objects.asked_by(campaign))
        speed = f"{campaign.speed.normalize():f}"
        self.voice = VoiceForm(
            sent,
            initial={
                "voice": campaign.voice or speech.resolve(None),
                "speed": speed if speed in dict(SPEEDS) else "1",
            },
        )
        stored = [
            {"text": step.text, "answer": step.answer, "input_name": step.input_name} for step in self.steps
        ]
        self.questions = Questions(sent, initial=stored, prefix="question")

    def is_valid(self) -> bool:
        return self.voice.is_valid() and self.questions.is_valid()

    def save(self) -> None:
        """Store the questions. Raises InvalidInput if there is none, and the errors of `set_steps`."""
        plans: list[StepPlan] = []
        for place, cleaned in enumerate(self.questions.cleaned_data):
            before = plan_of(self.steps[place]) if place < len(self.steps) else None
            text = cleaned.get("text", "")
            if text or (before is not None and before.audio is not None):
                plans.append(self._plan(before, cleaned, order=len(plans) + 1))
        if not plans:
            raise InvalidInput("Write at least one question.", code="no_question")
        services.update_campaign(
            campaign=self.campaign,
            voice=self.voice.cleaned_data["voice"],
            speed=Decimal(self.voice.cleaned_data["speed"]),
        )
        set_steps(campaign=self.campaign, steps=plans)

    def _plan(self, before: StepPlan | None, cleaned: dict[str, Any], *, order: int) -> StepPlan:
        answer, text = Answer(cleaned["answer"]), cleaned["text"]
        name = cleaned["input_name"] or ("" if answer is Answer.NONE else f"question {order}")
        if before is None:
            return StepPlan(order=order, kind=StepKind.SAY, text=text, answer=answer, input_name=name)
        return replace(before, order=order, text=text, answer=answer, input_name=name)
