"""The published words that v1 has for itself, beside those of `campaigns.api.words`, and what they mean inside."""

from __future__ import annotations

from collections.abc import Mapping

from campaigns.api.words import SERVICES
from campaigns.models import RunStatus, Service, Source
from telephony.models import DeliveryStatus
from telephony.numbering import Operator

OFFERED = {word: service for service, word in SERVICES.items()}

# There is no word for a pause, which v1 cannot make: what is paused will go on running.
CAMPAIGN_STATUSES: Mapping[str | None, str] = {
    None: "Not Started",
    RunStatus.SCHEDULED: "Scheduled",
    RunStatus.RUNNING: "Running",
    RunStatus.PAUSED: "Running",
    RunStatus.COMPLETED: "Completed",
    RunStatus.STOPPING: "Terminated",
    RunStatus.TERMINATED: "Terminated",
}

# A call that was not started has not ended, so nothing follows it; but it can be asked for, and is shown again.
FAILOVER_TARGETS = {
    "not started": DeliveryStatus.QUEUED,
    "hungup": DeliveryStatus.HUNGUP,
    "unanswered": DeliveryStatus.UNANSWERED,
    "failed": DeliveryStatus.FAILED,
    "completed": DeliveryStatus.COMPLETED,
}

CATEGORIES = {Source.MESSAGE: "Text", Source.AUDIO: "Audio"}
CARRIERS = {Operator.NTC: "NTC", Operator.NCELL: "Ncell", Operator.OTHER: "other"}
OUTCOMES = {
    DeliveryStatus.UNANSWERED: "Unanswered",
    DeliveryStatus.HUNGUP: "HungUp",
    DeliveryStatus.FAILED: "Failed",
    DeliveryStatus.TERMINATED: "Terminated",
    DeliveryStatus.COMPLETED: "Completed",
}
KINDS = {Service.SMS: "text", Service.CALL: "voice", Service.SURVEY: "survey", Service.BOTH: "combined"}
