"""The delivery statuses as integers, for SQL statements."""

from __future__ import annotations

from telephony.models.deliveries import FINAL, DeliveryStatus

QUEUED = int(DeliveryStatus.QUEUED)
SUBMITTING = int(DeliveryStatus.SUBMITTING)
UNKNOWN = int(DeliveryStatus.UNKNOWN)
SUBMITTED = int(DeliveryStatus.SUBMITTED)
ANSWERED = int(DeliveryStatus.ANSWERED)
COMPLETED = int(DeliveryStatus.COMPLETED)
HUNGUP = int(DeliveryStatus.HUNGUP)
UNANSWERED = int(DeliveryStatus.UNANSWERED)
FAILED = int(DeliveryStatus.FAILED)
TERMINATED = int(DeliveryStatus.TERMINATED)
END = int(FINAL)
