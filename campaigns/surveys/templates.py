"""Create, change and apply survey templates: steps and a voice that can be copied into surveys."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django.db import transaction

from accounts.models import Account
from campaigns import services
from campaigns.models import Campaign, Service, SurveyStep, SurveyTemplate, TemplateStep
from campaigns.surveys.steps import StepPlan, check_steps, fields_of, plan_of, set_steps
from iris.errors import InvalidInput
from telephony import speech

NO_SURVEY = "Template can only be applied to SURVEY campaigns."
NO_STEPS = "Template has no steps to apply."


@transaction.atomic
def create_template(
    *, account: Account, name: str, voice: str, speed: Decimal = Decimal(1), steps: Sequence[StepPlan]
) -> SurveyTemplate:
    """Create a template. Raises InvalidInput for an unknown voice or invalid steps."""
    check_steps(steps)
    template = SurveyTemplate.objects.create(
        owner=account, name=name, voice=speech.resolve(voice), speed=speed
    )
    _fill(template, steps)
    return template


@transaction.atomic
def update_template(
    *,
    template: SurveyTemplate,
    name: str | None = None,
    voice: str | None = None,
    speed: Decimal | None = None,
    steps: Sequence[StepPlan] | None = None,
) -> SurveyTemplate:
    """Change the given fields. New steps replace all existing steps.

    Raises InvalidInput, and SurveyTemplate.DoesNotExist if the template was deleted in the meantime.
    """
    template = SurveyTemplate.objects.select_for_update().get(pk=template.pk)
    template.name = name if name is not None else template.name
    template.voice = speech.resolve(voice) if voice is not None else template.voice
    template.speed = speed if speed is not None else template.speed
    template.save(update_fields=["name", "voice", "speed"])
    if steps is not None:
        check_steps(steps)
        template.steps.all().delete()
        _fill(template, steps)
    return template


def apply(*, template: SurveyTemplate, campaign: Campaign) -> list[SurveyStep]:
    """Replace a campaign's voice and steps by those of the template. Raises InvalidInput and Conflict."""
    if campaign.service != Service.SURVEY:
        raise InvalidInput(NO_SURVEY, code="no_survey")
    steps = [plan_of(step) for step in template.steps.select_related("audio").order_by("order")]
    if not steps:
        raise InvalidInput(NO_STEPS, code="no_steps")
    with transaction.atomic():
        made = set_steps(campaign=campaign, steps=steps)
        services.update_campaign(campaign=campaign, voice=template.voice, speed=template.speed)
    return made


def _fill(template: SurveyTemplate, steps: Sequence[StepPlan]) -> None:
    TemplateStep.objects.bulk_create(TemplateStep(template=template, **fields_of(plan)) for plan in steps)
