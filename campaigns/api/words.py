"""The published words that both dialects have in common, and what they mean inside."""

from __future__ import annotations

from collections.abc import Mapping

from campaigns.models import Campaign, Service
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


def pause_reason_json(campaign: Campaign) -> dict[str, str]:
    """An addition: why iris itself has paused this campaign (`with_status`); no field when it has not."""
    reason: str | None = getattr(campaign, "pause_reason", None)
    return {"pause_reason": reason} if reason else {}
