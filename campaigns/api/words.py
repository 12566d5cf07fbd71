"""The published words that both dialects share, and their meanings."""

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

# The status of a recipient.
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
    """Return why iris paused this campaign (see `with_status`); no key if iris did not. Not documented by TingTing."""
    reason: str | None = getattr(campaign, "pause_reason", None)
    return {"pause_reason": reason} if reason else {}


def notice_json(campaign: Campaign) -> dict[str, str]:
    """Return which calls of the latest run were not made (see `with_status`), or nothing. Not in the documentation."""
    count: int | None = getattr(campaign, "too_long", None)
    if not count:
        return {}
    calls = "1 call was" if count == 1 else f"{count:,} calls were"
    return {
        "notice": f"{calls} not made, because the speech turned out longer than the credits held for a call allow."
        " Nothing was charged. Begin the campaign again for the failed numbers."
    }
