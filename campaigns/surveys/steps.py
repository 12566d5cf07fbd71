"""Check, read and replace the steps of a survey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.db import transaction
from django.utils import timezone

from accounts import audit
from campaigns.messages import parse_message
from campaigns.models import PENDING, Answer, Campaign, Service, Step, StepKind, Survey, SurveyStep
from campaigns.runs import run_statuses
from campaigns.runs.reschedule import reschedule
from iris.errors import Conflict, InvalidInput
from telephony.models import Audio

MAX_STEPS = 100  # steps of a survey


@dataclass(frozen=True, slots=True)
class StepPlan:
    """The fields of a step before it is stored."""

    order: int
    kind: StepKind
    text: str = ""
    audio: Audio | None = None
    answer: Answer = Answer.NONE
    input_name: str = ""


def set_steps(*, campaign: Campaign, steps: Sequence[StepPlan]) -> list[SurveyStep]:
    """Replace the steps of a campaign's survey. Steps that do not change keep their id and their responses.

    A run that has not started is replaced by one with the new steps. Raises InvalidInput, and Conflict while a run is in
    progress.
    """
    check_steps(steps)
    if campaign.service != Service.SURVEY:
        raise InvalidInput("Only a SURVEY campaign has steps.", code="no_survey")
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        run = run_statuses.live_run(campaign.pk)
        if run is not None and run.status not in PENDING:
            raise Conflict(
                "This survey is running. Wait until it has completed, or stop it, before you change its steps.",
                code="campaign_live",
            )
        survey, _ = Survey.objects.get_or_create(campaign=campaign)
        before = {plan_of(step): step.pk for step in SurveyStep.objects.asked_by(campaign)}
        gone = [pk for plan, pk in before.items() if plan not in steps]
        new = [plan for plan in steps if plan not in before]
        if gone:
            SurveyStep.objects.filter(pk__in=gone).update(replaced_at=timezone.now())
        SurveyStep.objects.bulk_create(SurveyStep(survey=survey, **fields_of(plan)) for plan in new)
        if gone or new:
            campaign.save(update_fields=["updated_at"])
            audit.note(
                account_id=campaign.owner_id,
                action="survey_changed",
                kind="campaign",
                object_id=campaign.pk,
                name=campaign.name,
                campaign_id=campaign.pk,
                steps=len(steps),
            )
            reschedule(campaign)
        return list(SurveyStep.objects.asked_by(campaign))


def attach_recordings(*, campaign: Campaign, recordings: Mapping[int, Audio]) -> list[SurveyStep]:
    """Set the recordings of steps. Keys are positions from 0; positions without a step are ignored."""
    plans = [plan_of(step) for step in SurveyStep.objects.asked_by(campaign)]
    steps = [replace(plan, audio=recordings.get(place, plan.audio)) for place, plan in enumerate(plans)]
    return set_steps(campaign=campaign, steps=steps)


def check_steps(steps: Sequence[StepPlan]) -> None:
    """Raise InvalidInput if there are too many steps, if two have the same order, or if a text cannot be stored."""
    refuse_too_many_steps(len(steps))
    twice = [order for order, count in Counter(step.order for step in steps).items() if count > 1]
    if twice:
        raise InvalidInput(
            f"Several steps have the order {min(twice)}. Give each step its own.", code="order_not_unique"
        )
    for step in steps:
        parse_message(step.text)


def refuse_too_many_steps(count: int) -> None:
    """Raise InvalidInput for more steps than a survey can have. Call it before examining the steps."""
    if count > MAX_STEPS:
        raise InvalidInput(
            f"There are {count:,} steps, but a survey can have at most {MAX_STEPS}. Split them into several surveys.",
            code="too_many_steps",
        )


def plan_of(step: Step) -> StepPlan:
    return StepPlan(
        order=step.order,
        kind=StepKind(step.kind),
        text=step.text,
        audio=step.audio,
        answer=Answer(step.answer),
        input_name=step.input_name,
    )


def fields_of(plan: StepPlan) -> dict[str, object]:
    """Return the model fields of a planned step."""
    return {name: getattr(plan, name) for name in ("order", "kind", "text", "audio", "answer", "input_name")}
