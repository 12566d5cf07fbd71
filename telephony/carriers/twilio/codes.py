"""Twilio's error codes and statuses, from its "Error and Warning Dictionary" and its references of calls and messages."""

from __future__ import annotations

from collections.abc import Mapping

from telephony.carriers.http import Code, Verdict
from telephony.models import Cause, DeliveryStatus

CODES: Mapping[int, Code] = {
    10001: Code("Account is not active", Verdict.MISCONFIGURED),
    20003: Code("Authentication error", Verdict.MISCONFIGURED),
    20005: Code("Account not active", Verdict.MISCONFIGURED),
    20404: Code("Resource not found", Verdict.TRUNK),
    20429: Code("Too many requests", Verdict.TOO_FAST),
    21201: Code("No 'To' number", Verdict.INVALID),
    21205: Code("Invalid URL", Verdict.MISCONFIGURED),
    21210: Code("'From' number not verified", Verdict.DOUBTFUL),
    21211: Code("Invalid 'To' number", Verdict.INVALID),
    21212: Code("Invalid 'From' number", Verdict.DOUBTFUL),
    21214: Code("'To' number cannot be reached", Verdict.INVALID),
    21215: Code("Geographic permission missing for this call", Verdict.DOUBTFUL),
    21216: Code("Account not allowed to call this number", Verdict.REFUSED),
    21217: Code("Number does not appear to be valid", Verdict.INVALID),
    21219: Code("'To' number not verified", Verdict.REFUSED),
    21262: Code("Answering machine detection without a callback", Verdict.MISCONFIGURED),
    21408: Code("Region not enabled for SMS", Verdict.DOUBTFUL),
    21606: Code("'From' number cannot send SMS", Verdict.DOUBTFUL),
    21608: Code("'To' number not verified", Verdict.REFUSED),
    21610: Code("Recipient has opted out", Verdict.OPTED_OUT),
    21611: Code("Queue of this 'From' number is full", Verdict.TOO_FAST),
    21612: Code("No route from 'From' to 'To'", Verdict.DOUBTFUL),
    21614: Code("'To' number is not a mobile number", Verdict.INVALID),
    21617: Code("Text too long", Verdict.REFUSED),
    30001: Code("Queue overflow", Verdict.TOO_FAST),
    30002: Code("Account suspended", Verdict.MISCONFIGURED),
    32001: Code("Trunk rate exceeded", Verdict.TOO_FAST),
}

# Codes about the sender of an SMS.
SENDER_CODES = frozenset({21212, 21606, 21612})

# Statuses of a message. `accepted`, `queued` and so on are not final, but show that Twilio has the message.
MESSAGE_STATUSES: Mapping[str, tuple[DeliveryStatus, Cause]] = {
    "accepted": (DeliveryStatus.SUBMITTED, Cause.NONE),
    "scheduled": (DeliveryStatus.SUBMITTED, Cause.NONE),
    "queued": (DeliveryStatus.SUBMITTED, Cause.NONE),
    "sending": (DeliveryStatus.SUBMITTED, Cause.NONE),
    "sent": (DeliveryStatus.SUBMITTED, Cause.NONE),
    "delivered": (DeliveryStatus.COMPLETED, Cause.NONE),
    "read": (DeliveryStatus.COMPLETED, Cause.NONE),
    "undelivered": (DeliveryStatus.FAILED, Cause.REFUSED),
    "failed": (DeliveryStatus.FAILED, Cause.REFUSED),
    "canceled": (DeliveryStatus.FAILED, Cause.REFUSED),
}
# The cause of an undelivered message, where its error code says more.
MESSAGE_CAUSES: Mapping[int, Cause] = {
    21211: Cause.INVALID,
    21610: Cause.OPTED_OUT,
    21614: Cause.INVALID,
    30005: Cause.INVALID,  # unknown destination handset
    30006: Cause.INVALID,  # landline or unreachable carrier
    30036: Cause.EXPIRED,  # validity period expired
}

# Statuses of a call, except `completed`: there the duration shows whether the whole recording was played.
CALL_STATUSES: Mapping[str, tuple[DeliveryStatus, Cause]] = {
    "queued": (DeliveryStatus.SUBMITTED, Cause.NONE),
    "initiated": (DeliveryStatus.SUBMITTED, Cause.NONE),
    "ringing": (DeliveryStatus.RINGING, Cause.NONE),
    "in-progress": (DeliveryStatus.ANSWERED, Cause.NONE),
    "answered": (DeliveryStatus.ANSWERED, Cause.NONE),
    "busy": (DeliveryStatus.UNANSWERED, Cause.BUSY),
    "no-answer": (DeliveryStatus.UNANSWERED, Cause.NO_ANSWER),
    "failed": (DeliveryStatus.FAILED, Cause.REFUSED),
    "canceled": (DeliveryStatus.FAILED, Cause.REFUSED),
}
# SIP responses that mean an invalid number, in the SipResponseCode of a failed call.
INVALID_NUMBER_RESPONSES = frozenset({"404", "410", "484", "604"})
