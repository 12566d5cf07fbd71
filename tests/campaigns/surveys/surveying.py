"""Make surveys for tests. All arguments that a test does not need have defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accounts.models import Account
from campaigns.models import Answer, Campaign, Service, StepKind, SurveyTemplate
from campaigns.surveys import steps, templates
from campaigns.surveys.steps import StepPlan
from tests.factories import make_campaign


def asks(order: int, text: str = "Press a key.", **fields: Any) -> StepPlan:
    """Return a step that speaks a text and asks for a key."""
    defaults: dict[str, Any] = {"kind": StepKind.SAY, "answer": Answer.KEYS, "input_name": f"field_{order}"}
    return StepPlan(order=order, text=text, **{**defaults, **fields})


def make_survey(
    *, numbers: Sequence[object] = (9841000012, 9841000034), plans: Sequence[StepPlan] = (), **fields: Any
) -> Campaign:
    """Create a survey, by default with two questions and a final message."""
    campaign = make_campaign(service=Service.SURVEY, numbers=numbers, **fields)
    steps.set_steps(
        campaign=campaign,
        steps=plans
        or [asks(0, "Are you well?"), asks(1, "Have you water?"), asks(2, "Thank you.", answer=Answer.NONE)],
    )
    return campaign


def make_template(
    *, owner: Account, name: str = "Water", plans: Sequence[StepPlan] = (), **fields: Any
) -> SurveyTemplate:
    """Create a survey template, by default with two questions."""
    plans = plans or [asks(0, "Are you well?"), asks(1, "Have you water?")]
    return templates.create_template(
        account=owner, name=name, **{"voice": "np_rija", "steps": plans, **fields}
    )
