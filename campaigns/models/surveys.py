"""Surveys, their steps, the responses to them, and templates."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Now

from campaigns.models.campaigns import Campaign
from campaigns.models.recipients import Recipient
from campaigns.models.runs import Run
from telephony.models import Audio


class StepKind(models.TextChoices):
    """Whether a step speaks its text or plays its recording.

    `info` speaks the text, or plays the recording if there is no text.
    """

    SAY = "say"
    PLAY = "play"
    INFO = "info"


class Answer(models.TextChoices):
    """How recipients respond to a step."""

    KEYS = "keys", "by pressing keys"
    SPEECH = "speech"
    NONE = "none"


class Step(models.Model):
    """One step of a survey or of a survey template."""

    order = models.IntegerField()
    kind = models.CharField(max_length=4, choices=StepKind)
    text = models.TextField(blank=True)
    audio = models.ForeignKey(Audio, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    answer = models.CharField(max_length=6, choices=Answer, default=Answer.NONE)
    input_name = models.CharField(max_length=128, blank=True, help_text="Name of the responses in reports.")

    class Meta:
        abstract = True

    @property
    def plays(self) -> bool:
        """Whether the step plays its recording instead of speaking its text."""
        return self.audio_id is not None and (self.kind == StepKind.PLAY or not self.text)


class Survey(models.Model):
    """The survey of a campaign. One call goes through all of its steps in order."""

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, related_name="survey")

    def __str__(self) -> str:
        return f"survey {self.pk} of {self.campaign_id}"


class SurveyStepQuerySet(models.QuerySet["SurveyStep"]):
    def asked_by(self, campaign: Campaign) -> Self:
        """Return the current steps of a campaign's survey in order, with their recordings. Empty without a survey."""
        asked = self.filter(survey__campaign=campaign, replaced_at=None)
        return asked.select_related("audio").order_by("order")


class SurveyStep(Step):
    """A step of a survey. It is replaced instead of changed, so that each response keeps the question that was asked."""

    survey = models.ForeignKey(Survey, on_delete=models.CASCADE, related_name="steps", db_index=False)
    replaced_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when this step no longer belongs to the survey."
    )

    objects = SurveyStepQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["survey", "order"],
                condition=models.Q(replaced_at__isnull=True),
                name="one_step_in_each_place",
            )
        ]
        indexes: ClassVar = [models.Index(fields=["survey", "order"], name="step_of_survey")]

    def __str__(self) -> str:
        return f"step {self.order} of survey {self.survey_id}"


class SurveyAnswer(models.Model):
    """A recipient's response to one step in one run: pressed keys or speech.

    For speech, `text` is the name of the recording, or the carrier's reference if the carrier keeps the recording.
    """

    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="answers", db_index=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="answers", db_index=False)
    step = models.ForeignKey(SurveyStep, on_delete=models.CASCADE, related_name="answers")
    text = models.CharField(max_length=200)
    audio = models.ForeignKey(
        Audio,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="Recording of the spoken response. It is kept as long as this row.",
    )
    answered_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["recipient", "run", "step"], name="one_answer_to_each_step_of_a_run"
            )
        ]
        indexes: ClassVar = [
            # prune_audio uses it to find out which recordings are responses.
            models.Index(fields=["audio"], condition=models.Q(audio__isnull=False), name="answers_spoken")
        ]

    def __str__(self) -> str:
        return f"{self.text} to {self.step_id}"


class SurveyTemplate(models.Model):
    """Steps and a voice that can be copied into surveys."""

    owner = models.ForeignKey("accounts.Account", on_delete=models.CASCADE, related_name="survey_templates")
    name = models.CharField(max_length=200)
    voice = models.CharField(max_length=50)
    speed = models.DecimalField(max_digits=5, decimal_places=4, default=Decimal(1), help_text="0.5 to 2.")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class TemplateStep(Step):
    template = models.ForeignKey(SurveyTemplate, on_delete=models.CASCADE, related_name="steps")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["template", "order"], name="one_step_in_each_place_of_a_template")
        ]

    def __str__(self) -> str:
        return f"step {self.order} of template {self.template_id}"
