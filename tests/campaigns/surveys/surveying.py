"""Surveys for tests: plain functions with defaults for whatever a test does not care about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accounts.models import User
from campaigns.models import Answer, Campaign, Service, StepKind, SurveyTemplate
from campaigns.surveys import steps, templates
from campaigns.surveys.steps import StepPlan
from tests.factories import make_campaign


def asks(order: int, text: str = "Press a key.", **fields: Any) -> StepPlan:
    """A step that says something and is answered by a key, unless told otherwise."""
    defaults: dict[str, Any] = {"kind": StepKind.SAY, "answer": Answer.KEYS, "input_name": f"field_{order}"}
    return StepPlan(order=order, text=text, **{**defaults, **fields})


def make_survey(
    *, numbers: Sequence[object] = (9841000012, 9841000034), plans: Sequence[StepPlan] = (), **fields: Any
) -> Campaign:
    """A campaign that asks: two questions and a good-bye, unless told otherwise."""
    campaign = make_campaign(service=Service.SURVEY, numbers=numbers, **fields)
    steps.set_steps(
        campaign=campaign,
        steps=plans
        or [asks(0, "Are you well?"), asks(1, "Have you water?"), asks(2, "Thank you.", answer=Answer.NONE)],
    )
    return campaign


def make_template(
    *, owner: User, name: str = "Water", plans: Sequence[StepPlan] = (), **fields: Any
) -> SurveyTemplate:
    """A template with two questions, unless told otherwise."""
    plans = plans or [asks(0, "Are you well?"), asks(1, "Have you water?")]
    return templates.create_template(owner=owner, name=name, **{"voice": "np_rija", "steps": plans, **fields})
