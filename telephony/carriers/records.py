"""The rows that carriers keep for themselves, and when they are no longer needed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from telephony.models import SandboxMessage


def old(before: datetime) -> dict[str, QuerySet[Any]]:
    """Return rows that are older than this time and that no carrier needs any more, by their name for the operator."""
    return {
        "messages of the sandbox": SandboxMessage.objects.filter(created_at__lt=before, report_at=None),
    }
