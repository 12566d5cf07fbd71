"""Campaigns, recipients, runs, alerts, sheet imports and surveys."""

from campaigns.models.alerts import AlertRecipient, AlertState
from campaigns.models.campaigns import Campaign, Run
from campaigns.models.choices import LIVE, PENDING, NotStarted, RunStatus, Service, Source
from campaigns.models.imports import ImportStatus, SheetImport
from campaigns.models.recipients import Recipient
from campaigns.models.surveys import (
    Answer,
    Step,
    StepKind,
    Survey,
    SurveyAnswer,
    SurveyStep,
    SurveyTemplate,
    TemplateStep,
)

__all__ = [
    "AlertRecipient",
    "AlertState",
    "Answer",
    "Campaign",
    "ImportStatus",
    "LIVE",
    "NotStarted",
    "PENDING",
    "Recipient",
    "Run",
    "RunStatus",
    "Service",
    "SheetImport",
    "Source",
    "Step",
    "StepKind",
    "Survey",
    "SurveyAnswer",
    "SurveyStep",
    "SurveyTemplate",
    "TemplateStep",
]
