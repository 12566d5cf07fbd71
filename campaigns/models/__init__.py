"""Campaigns, recipients, runs, alerts, sheet imports and surveys."""

from campaigns.models.alerts import AlertRecipient, AlertState
from campaigns.models.campaigns import Campaign
from campaigns.models.choices import LIVE, PENDING, LeftOut, NotStarted, RunStatus, Service, Source
from campaigns.models.imports import ImportStatus, SheetImport
from campaigns.models.recipients import Recipient
from campaigns.models.report_files import ReportFile, ReportFormat, ReportStatus
from campaigns.models.runs import WAITS, WAITS_FOR_GO_AHEAD, Run
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
    "LeftOut",
    "NotStarted",
    "PENDING",
    "Recipient",
    "ReportFile",
    "ReportFormat",
    "ReportStatus",
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
    "WAITS",
    "WAITS_FOR_GO_AHEAD",
]
