"""Campaigns, recipients, contact lists, runs, alerts, sheet imports, surveys and templates."""

from campaigns.models.alerts import AlertRecipient, AlertState
from campaigns.models.campaigns import Campaign
from campaigns.models.choices import LIVE, PENDING, LeftOut, NotStarted, RunStatus, Service, Source
from campaigns.models.imports import ImportStatus, SheetImport
from campaigns.models.lists import Audience, Contact, ContactList, ListUse
from campaigns.models.recipient_counts import RecipientCount
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
from campaigns.models.text_templates import TextTemplate, TextVersion

__all__ = [
    "AlertRecipient",
    "AlertState",
    "Answer",
    "Audience",
    "Campaign",
    "Contact",
    "ContactList",
    "ImportStatus",
    "LIVE",
    "LeftOut",
    "ListUse",
    "NotStarted",
    "PENDING",
    "Recipient",
    "RecipientCount",
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
    "TextTemplate",
    "TextVersion",
    "WAITS",
    "WAITS_FOR_GO_AHEAD",
]
