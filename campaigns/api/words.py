"""The published words that both dialects have in common, and what they mean inside."""

from __future__ import annotations

from collections.abc import Mapping

from campaigns.models import Service
from telephony.models import DeliveryStatus

SERVICES = {
    Service.SMS: "SMS",
    Service.CALL: "PHONE",
    Service.BOTH: "SMS & PHONE",
    Service.SURVEY: "SURVEY",
}

# How a number of a campaign stands.
RECIPIENT_STATUSES: Mapping[int | None, str] = {
    None: "not started",
    DeliveryStatus.QUEUED: "not started",
    DeliveryStatus.SUBMITTING: "dialing",
    DeliveryStatus.UNKNOWN: "dialing",
    DeliveryStatus.SUBMITTED: "dialing",
    DeliveryStatus.RINGING: "ringing",
    DeliveryStatus.ANSWERED: "answered",
    DeliveryStatus.COMPLETED: "completed",
    DeliveryStatus.HUNGUP: "hungup",
    DeliveryStatus.UNANSWERED: "unanswered",
    DeliveryStatus.FAILED: "failed",
    DeliveryStatus.TERMINATED: "terminated",
}
