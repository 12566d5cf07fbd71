"""The published words of the v1 dialect and their meanings. `campaigns.api.words` has the words that v0 and v1 share."""

from __future__ import annotations

from collections.abc import Mapping

from campaigns.api.words import SERVICES
from campaigns.models import RunStatus, Service, Source
from telephony.models import DeliveryStatus
from telephony.numbering import Operator

OFFERED = {word: service for service, word in SERVICES.items()}

# v1 cannot pause a campaign and has no word for it. A paused campaign is shown as running, because it will continue.
CAMPAIGN_STATUSES: Mapping[str | None, str] = {
    None: "Not Started",
    RunStatus.AWAITING: "Scheduled",  # it has not started; `approval` says that it must be approved first
    RunStatus.SCHEDULED: "Scheduled",
    RunStatus.RUNNING: "Running",
    RunStatus.PAUSED: "Running",
    RunStatus.COMPLETED: "Completed",
    RunStatus.STOPPING: "Terminated",
    RunStatus.TERMINATED: "Terminated",
}

# iris accepts "not started" and returns it in responses, but sends no SMS for it: a call that has not started has not ended.
FAILOVER_TARGETS = {
    "not started": DeliveryStatus.QUEUED,
    "hungup": DeliveryStatus.HUNGUP,
    "unanswered": DeliveryStatus.UNANSWERED,
    "failed": DeliveryStatus.FAILED,
    "completed": DeliveryStatus.COMPLETED,
}

CATEGORIES = {Source.MESSAGE: "Text", Source.AUDIO: "Audio"}
# v1 has no word for Smart Telecom.
CARRIERS = {Operator.NTC: "NTC", Operator.NCELL: "Ncell", Operator.SMART: "other", Operator.OTHER: "other"}
OUTCOMES = {
    DeliveryStatus.UNANSWERED: "Unanswered",
    DeliveryStatus.HUNGUP: "HungUp",
    DeliveryStatus.FAILED: "Failed",
    DeliveryStatus.TERMINATED: "Terminated",
    DeliveryStatus.COMPLETED: "Completed",
}
KINDS = {Service.SMS: "text", Service.CALL: "voice", Service.SURVEY: "survey", Service.BOTH: "combined"}
